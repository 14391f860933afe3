"""Random numbers of a training step as tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from scdiffuse._core.random import Draws

__all__ = ["draw_tensors"]


def draw_tensors(draws: Draws, *, normals: tuple[int, ...], uniforms: int) -> tuple[Tensor, Tensor]:
    """Draw the random numbers of a training step, on the CPU.

    Parameters
    ----------
    draws
        Random streams of ``B`` cells.
    normals
        Shape of the normal numbers of each cell.
    uniforms
        Number of uniform numbers of each cell.

    Returns
    -------
    Standard normals, shape ``(B, *normals)``, and numbers from 0 to 1, shape ``(B, uniforms)``; ``float32``.
    """
    normal, uniform = torch.empty(draws.n_cells, *normals), torch.empty(draws.n_cells, uniforms)
    for stream, rows in draws:
        source = torch.Generator().manual_seed(int(stream.integers(2**63)))  # faster than NumPy
        normal[rows].normal_(generator=source)
        uniform[rows].uniform_(generator=source)
    return normal, uniform
