"""Networks from saved tensors, which are compared with the settings before anything of their size is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from scdiffuse._core.initial_weights import initial_weights

__all__ = ["build_like", "require_depth", "require_finite"]

Module = TypeVar("Module", bound=nn.Module)


def build_like(tensors: Mapping[str, Tensor], build: Callable[[], Module]) -> Module:
    """Build a network and load its tensors, if settings and tensors are of one network.

    Parameters
    ----------
    tensors
        Saved tensors by name.
    build
        Builds the network from its settings. It is called twice, first without memory for tensors.

    Raises
    ------
    ValueError
        A tensor is missing, not of the network, or of another shape or type.
    """
    with torch.device("meta"):
        expected = build().state_dict()
    for name in sorted(set(expected) ^ set(tensors)):
        msg = f"tensor `{name}` is {'missing' if name in expected else 'not of this network'}"
        raise ValueError(msg)
    for name, tensor in tensors.items():
        found, wanted = (tuple(tensor.shape), tensor.dtype), (tuple(expected[name].shape), expected[name].dtype)
        if found != wanted:
            msg = f"tensor `{name}` has shape {found[0]} and type {found[1]}; expected {wanted[0]} and {wanted[1]}"
            raise ValueError(msg)
    with initial_weights():
        network = build()
    network.load_state_dict(dict(tensors))
    return network


def require_depth(depth: int, tensors: Mapping[str, Tensor]) -> None:
    """Make sure that there can be a tensor for each block, as even blocks without tensors take memory.

    Parameters
    ----------
    depth
        Number of blocks in the settings.
    tensors
        Saved tensors by name.

    Raises
    ------
    ValueError
        There are too few tensors.
    """
    if depth > len(tensors):
        msg = f"`depth` is {depth}, and there are {len(tensors)} tensors"
        raise ValueError(msg)


def require_finite(network: nn.Module) -> None:
    """Make sure that no weight and no buffer is infinite or NaN, but for missing conditions of the training cells.

    Parameters
    ----------
    network
        The network.

    Raises
    ------
    ValueError
        A tensor is.
    """
    for name, tensor in network.state_dict().items():
        if name != "conditions_values" and not bool(tensor.isfinite().all()):
            msg = f"tensor `{name}` holds numbers that are not finite"
            raise ValueError(msg)
