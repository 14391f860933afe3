"""What a residual block does beside its matrix products, in one compiled pass over the features of each cell.

Each row is computed alone and alike, so that no cell depends on another.
"""
# ruff: noqa: PLR0917 - compiled functions take their arguments by position

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.compiled import compiled_sums

__all__ = ["affine", "gate", "modulate"]

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_EPSILON = np.float32(1e-5)  # as in `torch.nn.functional.layer_norm`
_ONE = np.float32(1.0)


@compiled_sums
def modulate(h: Floats, settled: Floats, of_time: Floats, which: Ints, out: Floats) -> None:
    r"""Normalise features, scale and shift them: :math:`a \odot \mathrm{norm}(h) + b`.

    Parameters
    ----------
    h
        Features, shape ``(B, width)``.
    settled
        Shares of the conditions in ``a`` and ``b``, side by side, one row for each set of conditions, shape
        ``(U, 2 * width)``.
    of_time
        What time adds to them, shape ``(2 * width,)``.
    which
        Row of `settled` of each cell, shape ``(B,)``.
    out
        Filled, shape ``(B, width)``.
    """
    n_cells, width = h.shape
    scale_of_time, shift_of_time = of_time[:width], of_time[width:]
    for cell in range(n_cells):
        row, made = h[cell], out[cell]
        scale, shift = settled[which[cell], :width], settled[which[cell], width:]
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


@compiled_sums
def gate(h: Floats, change: Floats, settled: Floats, of_time: Floats, which: Ints) -> None:
    r"""Add a change to features in place, as far as the gate lets it: :math:`h + g \odot \mathrm{change}`.

    Parameters
    ----------
    h, change
        Features, shape ``(B, width)``.
    settled, of_time, which
        As in `modulate`, of the gate, ``width`` wide.
    """
    n_cells, width = h.shape
    for cell in range(n_cells):
        row, more, share = h[cell], change[cell], settled[which[cell]]
        for at in range(width):
            row[at] += (share[at] + of_time[at]) * more[at]


@compiled_sums
def affine(x: Floats, y: Floats, settled: Floats, of_time: Floats, which: Ints) -> None:
    r"""Add gain and shift to values in place: :math:`x + g \odot y + b`.

    Parameters
    ----------
    x, y
        Values, shape ``(B, D)``.
    settled, of_time, which
        As in `modulate`, of gain and shift, ``2 * D`` wide.
    """
    n_cells, width = x.shape
    gain_of_time, shift_of_time = of_time[:width], of_time[width:]
    for cell in range(n_cells):
        made, row = x[cell], y[cell]
        gain, shift = settled[which[cell], :width], settled[which[cell], width:]
        for at in range(width):
            made[at] += (gain[at] + gain_of_time[at]) * row[at] + (shift[at] + shift_of_time[at])
