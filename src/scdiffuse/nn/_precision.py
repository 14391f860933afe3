"""Networks that compute with fewer bits than their weights have."""

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
"""Bits of the numbers that a network computes with: 32, or the 16 of bfloat16."""


@contextmanager
def computing_in(precision: Precision, networks: Sequence[nn.Module], *, device: torch.device) -> Iterator[None]:
    """Let networks compute in some precision while the context lasts; weights and results stay ``float32``.

    Parameters
    ----------
    precision
        ``"float32"`` changes nothing.
    networks
        Their products of matrices are of that precision, and the results ``float32`` again.
    device
        Where they are.
    """
    changed = networks if precision == "bf16" else ()
    with changed_forward(changed, partial(_lowered, kind=device.type)):
        yield


def _lowered(forward: Callable[..., Any], kind: str) -> Callable[..., Any]:
    def lowered(*given: object) -> Tensor | tuple[Tensor, ...]:
        with torch.autocast(kind, torch.bfloat16):
            found = forward(*given)
        return found.float() if isinstance(found, Tensor) else tuple(part.float() for part in found)

    return lowered
