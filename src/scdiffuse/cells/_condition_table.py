"""The conditions of cells as numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["ConditionTable"]


@dataclass(frozen=True, eq=False)
class ConditionTable:
    """The conditions of cells as numbers."""

    codes: NDArray[np.int64]
    """Position of each label in its vocabulary, shape ``(N, C_categorical)``; -1 is missing."""
    values: NDArray[np.float32]
    """Standardised numbers, shape ``(N, C_continuous)``; NaN is missing."""
    counts: NDArray[np.int64] = field(default_factory=lambda: np.ones(0, dtype=np.int64))
    """Number of cells of each row, shape ``(N,)``; one each unless given."""

    def __post_init__(self) -> None:
        if self.counts.size != len(self):
            object.__setattr__(self, "counts", np.ones(len(self), dtype=np.int64))

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.codes)

    @property
    def numbers(self) -> NDArray[np.float64]:
        """Codes and values side by side, shape ``(N, C)``; NaN is missing."""
        codes = np.where(self.codes < 0, np.nan, self.codes.astype(np.float64))
        return np.concatenate([codes, self.values.astype(np.float64)], axis=1)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_] | slice) -> ConditionTable:
        """Return some of the rows, in the order given."""
        return ConditionTable(self.codes[rows], self.values[rows], self.counts[rows])

    def distinct(self) -> ConditionTable:
        """Return each combination once, with the number of cells that have it."""
        both = np.concatenate([self.codes.astype(np.float64), self.values.astype(np.float64)], axis=1)
        keys = np.where(np.isnan(both), np.inf, both)
        _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        counts = np.bincount(which.ravel(), weights=self.counts, minlength=first.size).astype(np.int64)
        return ConditionTable(self.codes[first], self.values[first], counts)
