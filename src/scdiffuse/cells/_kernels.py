"""Compiled kernels that scatter stored rows, and add them up by group."""
# ruff: noqa: PLR0917 - compiled functions take their arguments by position, and the uncompiled wrapper does too

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.compiled import compiled

__all__ = ["add_rows", "scatter_rows"]


def scatter_rows(
    values: NDArray[np.generic],
    begins: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: NDArray[np.generic],
) -> None:
    """Copy rows of values to their places in an output array.

    Parameters
    ----------
    values
        Stored values.
    begins, lengths
        Start and length of each row in `values`, shape ``(B,)``.
    places
        Start of each row in the output, shape ``(B,)``.
    out
        Output, of the type of the values.
    """
    bits = f"u{out.itemsize}"  # one compiled loop serves all types of a size
    _scatter_rows(values.view(bits), begins, lengths, places, out.view(bits))


@compiled()
def _scatter_rows(
    values: NDArray[np.generic],
    begins: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    out: NDArray[np.generic],
) -> None:
    for row in range(len(begins)):
        begin, place, n = begins[row], places[row], lengths[row]
        source, target = values[begin : begin + n], out[place : place + n]  # slices, so that the loop is vectorised
        for at in range(n):
            target[at] = source[at]


@compiled()
def add_rows(
    values: NDArray[np.float32],
    columns: NDArray[np.integer],
    starts: NDArray[np.int64],
    group_of: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> None:
    """Add sparse rows to the sums of their groups; all columns and groups must exist.

    Parameters
    ----------
    values, columns, starts
        Values, their columns, and starts of ``B`` rows.
    group_of
        Group of each row, shape ``(B,)``.
    sums
        Sums to add to, shape ``(n_groups, G)``.
    """
    for row in range(len(group_of)):
        total = sums[group_of[row]]
        for at in range(starts[row], starts[row + 1]):
            total[columns[at]] += values[at]
