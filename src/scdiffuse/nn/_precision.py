"""Compute with lower precision than that of the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from scdiffuse.nn._forward import changed_forward

__all__ = ["Precision", "computing_in"]

Precision = Literal["float32", "bf16"]
"""Precision of the matrix products of a network: 32 bits, or the 16 bits of bfloat16."""


@contextmanager
def computing_in(precision: Precision, networks: Sequence[nn.Module], *, device: torch.device) -> Iterator[None]:
    """Compute the matrix products of networks in some precision within a context; weights and results stay ``float32``.

    Parameters
    ----------
    precision
        ``"float32"`` changes nothing.
    networks
        Networks to change.
    device
        Device of the networks.
    """
    changed = networks if precision == "bf16" else ()
    with changed_forward(changed, partial(_lowered, kind=device.type)):
        yield


def _lowered(forward: Callable[..., Any], kind: str) -> Callable[..., Any]:
    def lowered(*inputs: object) -> Tensor | tuple[Tensor, ...]:
        with torch.autocast(kind, torch.bfloat16):
            result = forward(*inputs)
        return result.float() if isinstance(result, Tensor) else tuple(part.float() for part in result)

    return lowered
