"""The random streams of compiled loops: SplitMix64, Steele et al. 2014, https://doi.org/10.1145/2660193.2660195."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.compiled import compiled
from scdiffuse._core.random import GOLDEN, mix

__all__ = ["State", "mixed", "next_word"]

State = NDArray[np.uint64]

mixed = compiled(inner=True)(mix)


@compiled(inner=True)
def next_word(state: State) -> np.uint64:
    """Step a stream of one word, shape ``(1,)``, and return its next 64 bits."""
    state[0] += GOLDEN
    word: np.uint64 = mixed(state[0])
    return word
