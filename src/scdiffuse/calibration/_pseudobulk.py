"""Counts of the training cells, added up by combination of conditions (pseudobulk)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pseudobulk"]

_OFTEN = 0.5  # of the cells: a gene detected in nearly all of them does not distinguish UMIs from reads
_FEWEST_GENES = 10


class Pseudobulk(NamedTuple):
    """Counts of the training cells, added up within combinations of conditions."""

    counts: NDArray[np.float64]
    """Counts of each pooled combination, shape ``(M, G)``."""
    others: NDArray[np.float64]
    """Counts of all other cells, shape ``(G,)``."""
    detected: NDArray[np.float64]
    """Fraction of all cells that each gene is detected in, shape ``(G,)``."""
    n_cells: int
    """All cells."""

    @property
    def fractions(self) -> NDArray[np.float64]:
        """Expression fraction of each gene in all cells, shape ``(G,)``, positive: half a count is added to each."""
        totals = self._totals + 0.5
        fractions: NDArray[np.float64] = totals / totals.sum()
        return fractions

    @property
    def counts_per_detection(self) -> float:
        """Counts that a usual gene has each time it is detected, of the genes that at most half of the cells have.

        The value is 1 where too few genes are that rare.
        """
        rare = (self.detected > 0) & (self.detected <= _OFTEN)
        if np.count_nonzero(rare) < _FEWEST_GENES:
            return 1.0
        means = self._totals[rare] / self.n_cells
        return float(np.median(means / -np.log1p(-self.detected[rare])))

    @property
    def _totals(self) -> NDArray[np.float64]:
        totals: NDArray[np.float64] = self.counts.sum(axis=0) + self.others
        return totals
