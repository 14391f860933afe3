"""Counts of the training cells, added up by combination of conditions (pseudobulk)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse.calibration._grid import ConditionGrid
from scdiffuse.cells import ConditionTable, Source

__all__ = ["Pseudobulk", "pool_pseudobulk"]

_OFTEN = 0.5  # of the cells: a gene found in nearly all of them does not tell molecules from reads


_FEWEST_GENES = 10


class Pseudobulk(NamedTuple):
    """Counts of the training cells, added up within combinations."""

    counts: NDArray[np.float64]
    """Of each pooled combination, shape ``(M, G)``."""
    others: NDArray[np.float64]
    """Of all other cells, shape ``(G,)``."""
    found: NDArray[np.float64]
    """Share of all cells that each gene is found in, shape ``(G,)``."""
    n_cells: int
    """All cells."""

    @property
    def fractions(self) -> NDArray[np.float64]:
        """Share of each gene in all cells, shape ``(G,)``, positive: half a count is added to each gene."""
        totals = self._totals + 0.5
        fractions: NDArray[np.float64] = totals / totals.sum()
        return fractions

    @property
    def counts_per_detection(self) -> float:
        """Counts that a usual gene has each time it is found, of the genes that at most half of the cells have.

        It is 1 where too few genes are that rare to tell.
        """
        rare = (self.found > 0) & (self.found <= _OFTEN)
        if np.count_nonzero(rare) < _FEWEST_GENES:
            return 1.0
        means = self._totals[rare] / self.n_cells
        return float(np.median(means / -np.log1p(-self.found[rare])))

    @property
    def _totals(self) -> NDArray[np.float64]:
        totals: NDArray[np.float64] = self.counts.sum(axis=0) + self.others
        return totals


def pool_pseudobulk(
    source: Source, cells: NDArray[np.int64], table: ConditionTable, *, grid: ConditionGrid | None
) -> Pseudobulk:
    """Add up the counts of the training cells, in one pass.

    Parameters
    ----------
    source
        Counts.
    cells
        Rows to use.
    table
        Conditions of those rows.
    grid
        What combinations there are; `None` adds up all cells in one row.

    Returns
    -------
    Counts by combination.
    """
    row_of, n_pooled = np.full(source.n_cells, -1, dtype=np.int64), 0
    row_of[cells] = 0
    if grid is not None:
        n_pooled = len(grid.pooled)
        row = np.full(len(grid.seen) + 1, n_pooled)  # the last of them is where -1 points to
        row[grid.pooled] = np.arange(n_pooled)
        codes, which = np.unique(grid.encode(table), axis=0, return_inverse=True)
        row_of[cells] = row[grid.find(codes)][which.ravel()]
    counts, found = np.zeros((n_pooled + 1, source.n_genes)), np.zeros(source.n_genes)
    for at, block in source.blocks():
        own = row_of[at]
        used = np.flatnonzero(own >= 0)
        member = sp.csr_matrix((np.ones(len(used)), (own[used], used)), shape=(len(counts), len(own)))
        pooled = sp.csr_matrix(member @ block)
        found += np.asarray(block[used].sign().sum(axis=0)).ravel()
        for group in np.flatnonzero(np.diff(pooled.indptr)):
            entries = slice(pooled.indptr[group], pooled.indptr[group + 1])
            counts[group, pooled.indices[entries]] += pooled.data[entries]
    return Pseudobulk(counts[:-1], counts[-1], found / len(cells), len(cells))
