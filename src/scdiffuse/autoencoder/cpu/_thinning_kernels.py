"""Compiled binomial thinning of counts."""
# ruff: noqa: PLR0917 - compiled functions take their arguments by position

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.compiled import compiled
from scdiffuse.autoencoder.cpu._stream import State, next_word

__all__ = ["STEPS", "thin_rows"]

Ints = NDArray[np.int32]

STEPS = 256
"""Probabilities to keep a count are multiples of one over this number."""
_BITS = 8
_WORD = 64
_56 = np.uint64(56)
_NONE, _ONE, _ALL = np.uint64(0), np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF)
_PAIRS, _FOURS, _EIGHTS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
_BYTES, _2, _4 = np.uint64(0x0101010101010101), np.uint64(2), np.uint64(4)


@compiled()
def thin_rows(
    starts: Ints, genes: Ints, counts: NDArray[np.float32], kept: NDArray[np.int64], keys: State, rows: tuple[int, int]
) -> int:
    """Thin the counts of some cells; the counts left move to the front of the memory of these cells.

    Parameters
    ----------
    starts
        Where each cell starts, and the end of the last one, shape ``(B + 1,)``.
    genes, counts
        Genes and counts, shape ``(nnz,)``, changed in place.
    kept
        Probability to keep a count, times `STEPS`, shape ``(B,)``; replaced by the number of genes left.
    keys
        Key of the random stream of each cell, shape ``(B,)``.
    rows
        First cell, and the one after the last.

    Returns
    -------
    Number of non-zero counts left.
    """
    begin, end = int(starts[rows[0]]), int(starts[rows[0]])
    state = np.empty(1, np.uint64)
    for row in range(rows[0], rows[1]):
        state[0] = keys[row]
        chance, first = np.uint64(kept[row]), end
        for at in range(starts[row], starts[row + 1]):
            left = _survivors(int(counts[at]), chance, state)
            genes[end], counts[end] = genes[at], left
            end += left > 0
        kept[row] = end - first
    return end - begin


@compiled(inner=True)
def _survivors(count: int, chance: np.uint64, state: State) -> int:
    """Draw a binomial number of counts to keep, exactly, 64 counts at once."""
    if chance == np.uint64(STEPS):
        return count
    if count == 1:  # most counts are
        return int((next_word(state) >> _56) < chance)
    left = 0
    while count > 0:
        stay = _NONE
        for bit in range(_BITS):  # from the lowest bit of the probability up; each random word halves the part below
            word = next_word(state)
            stay = stay | word if (chance >> np.uint64(bit)) & _ONE else stay & word
        if count < _WORD:
            stay &= (_ONE << np.uint64(count)) - _ONE
        left += _ones(stay)
        count -= _WORD
    return left


@compiled(inner=True)
def _ones(word: np.uint64) -> int:
    """Count the set bits, in pairs, fours and bytes."""
    word -= (word >> _ONE) & _PAIRS
    word = (word & _FOURS) + ((word >> _2) & _FOURS)
    word = (word + (word >> _4)) & _EIGHTS
    return int((word * _BYTES) >> _56)
