"""Moving stored rows, in machine code."""
# ruff: noqa: PLR0917 - compiled functions take their arguments by position, and that before one as it does

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.compiled import compiled

__all__ = ["deal"]


def deal(
    values: NDArray[np.generic],
    begins: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    dealt: NDArray[np.generic],
) -> None:
    """Copy rows of values to the places where they belong.

    Parameters
    ----------
    values
        Stored values.
    begins, lengths
        Where each row begins among them, and how many it has; shape ``(B,)``.
    places
        Where each row shall begin, shape ``(B,)``.
    dealt
        What is filled, of the type of the values.
    """
    bits = f"u{dealt.itemsize}"  # one compiled loop serves all types of a size
    _deal(values.view(bits), begins, lengths, places, dealt.view(bits))


@compiled
def _deal(
    values: NDArray[np.generic],
    begins: NDArray[np.int64],
    lengths: NDArray[np.int64],
    places: NDArray[np.int64],
    dealt: NDArray[np.generic],
) -> None:
    for row in range(len(begins)):
        begin, place, n = begins[row], places[row], lengths[row]
        source, target = values[begin : begin + n], dealt[place : place + n]  # of these, many are copied at once
        for at in range(n):
            target[at] = source[at]
