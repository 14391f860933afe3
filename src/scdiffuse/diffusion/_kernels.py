"""Compiled kernels of a residual block: everything but its matrix products, in one pass over the features of a cell.

Each row is computed on its own, so that no cell depends on another.
"""
# ruff: noqa: PLR0917 - compiled functions take their arguments by position

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.compiled import compiled

__all__ = ["affine", "gate", "modulate"]

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_EPSILON = np.float32(1e-5)  # as in `torch.nn.functional.layer_norm`
_ONE = np.float32(1.0)


@compiled(any_order=True)
def modulate(h: Floats, of_conditions: Floats, of_time: Floats, which: Ints, out: Floats) -> None:
    r"""Normalise features, scale and shift them: :math:`a \odot \mathrm{norm}(h) + b`.

    Parameters
    ----------
    h
        Features, shape ``(B, width)``.
    of_conditions
        Modulation by conditions, ``a`` and ``b`` side by side, one row for each combination of conditions, shape
        ``(U, 2 * width)``.
    of_time
        Modulation by time, shape ``(2 * width,)``.
    which
        Row of `of_conditions` of each cell, shape ``(B,)``.
    out
        Filled, shape ``(B, width)``.
    """
    n_cells, width = h.shape
    scale_of_time, shift_of_time = of_time[:width], of_time[width:]
    for cell in range(n_cells):
        row, made = h[cell], out[cell]
        scale, shift = of_conditions[which[cell], :width], of_conditions[which[cell], width:]
        total = np.float32(0.0)
        for at in range(width):
            total += row[at]
        mean = total / np.float32(width)
        total = np.float32(0.0)
        for at in range(width):
            off = row[at] - mean
            total += off * off
        factor = _ONE / np.sqrt(total / np.float32(width) + _EPSILON)
        for at in range(width):
            normal = (row[at] - mean) * factor
            made[at] = normal * (scale[at] + scale_of_time[at]) + (shift[at] + shift_of_time[at])


@compiled(any_order=True)
def gate(h: Floats, change: Floats, of_conditions: Floats, of_time: Floats, which: Ints) -> None:
    r"""Add a gated change to features in place: :math:`h + g \odot \mathrm{change}`.

    Parameters
    ----------
    h, change
        Features, shape ``(B, width)``.
    of_conditions, of_time, which
        As in `modulate`, for the gate, ``width`` wide.
    """
    n_cells, width = h.shape
    for cell in range(n_cells):
        row, more, factor = h[cell], change[cell], of_conditions[which[cell]]
        for at in range(width):
            row[at] += (factor[at] + of_time[at]) * more[at]


@compiled(any_order=True)
def affine(x: Floats, y: Floats, of_conditions: Floats, of_time: Floats, which: Ints) -> None:
    r"""Add gain and shift to values in place: :math:`x + g \odot y + b`.

    Parameters
    ----------
    x, y
        Values, shape ``(B, D)``.
    of_conditions, of_time, which
        As in `modulate`, for gain and shift, ``2 * D`` wide.
    """
    n_cells, width = x.shape
    gain_of_time, shift_of_time = of_time[:width], of_time[width:]
    for cell in range(n_cells):
        made, row = x[cell], y[cell]
        gain, shift = of_conditions[which[cell], :width], of_conditions[which[cell], width:]
        for at in range(width):
            made[at] += (gain[at] + gain_of_time[at]) * row[at] + (shift[at] + shift_of_time[at])
