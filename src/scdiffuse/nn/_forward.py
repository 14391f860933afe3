"""Replace the forward pass of networks within a context."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

__all__ = ["changed_forward"]


@contextmanager
def changed_forward(
    networks: Sequence[nn.Module], change: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """Replace the forward pass of networks within a context; contexts may be nested.

    Parameters
    ----------
    networks
        Networks to change.
    change
        From the forward pass of a network to the one that replaces it.
    """
    before = [vars(network).get("forward") for network in networks]
    for network in networks:
        setattr(network, "forward", change(network.forward))  # noqa: B010 - a method for mypy
    try:
        yield
    finally:
        for network, own in zip(networks, before, strict=True):
            delattr(network, "forward")
            if own is not None:
                setattr(network, "forward", own)  # noqa: B010
