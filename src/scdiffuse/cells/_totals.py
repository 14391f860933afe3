"""Counts added up by gene, by cell and by group of cells, one block of rows after another."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse.cells._kernels import add_rows

__all__ = ["CountTotals", "Groups", "RareCounts"]

Groups: TypeAlias = tuple[NDArray[np.integer], int]
"""Group of each cell, shape ``(N,)``, and the number of groups."""


class RareCounts(NamedTuple):
    """Counts of genes that few cells have."""

    rows: NDArray[np.int64]
    """The cells."""
    genes: NDArray[np.int64]
    counts: NDArray[np.float64]

    def of(self, genes: NDArray[np.bool_]) -> RareCounts:
        """Return those of some genes."""
        chosen = genes[self.genes]
        return RareCounts(self.rows[chosen], self.genes[chosen], self.counts[chosen])

    def by_cell(self, n_cells: int) -> NDArray[np.float64]:
        """Add up by cell, shape ``(N,)``."""
        return np.bincount(self.rows, weights=self.counts, minlength=n_cells).astype(np.float64)


class CountTotals:
    """Sums of the counts of cells that are added block by block.

    Parameters
    ----------
    n_cells, n_genes
        Size of the matrix.
    min_cells
        Counts of genes detected in fewer cells are held, so that library sizes without these genes follow; fewer than
        that many counts of each gene, whatever the number of cells.
    genes
        Genes whose counts are added up by cell; all if not given.
    groups
        Groups of cells; one of all cells if not given.
    """

    def __init__(
        self,
        n_cells: int,
        n_genes: int,
        *,
        min_cells: int,
        genes: NDArray[np.bool_] | None = None,
        groups: Groups | None = None,
    ) -> None:
        self._group_of: NDArray[np.integer]
        self._group_of, n_groups = (np.zeros(n_cells, np.int64), 1) if groups is None else groups
        self._min_cells = min_cells
        self._genes = None if genes is None else genes.astype(np.float64)
        self._rare: list[RareCounts] = []
        self.n_cells_by_gene = np.zeros(n_genes, dtype=np.int64)
        """Number of cells that each gene is detected in, shape ``(G,)``."""
        self.by_cell = np.zeros(n_cells)
        """Counts of each cell, shape ``(N,)``."""
        self.by_group = np.zeros((n_groups, n_genes))
        """Counts of each gene, added up by group of cells, shape ``(n_groups, G)``."""

    def add(self, where: slice, block: sp.csr_matrix) -> None:
        """Add the counts of the cells at `where`."""
        detected = block.indices if block.data.min(initial=1) > 0 else block.indices[block.data > 0]
        self.n_cells_by_gene += np.bincount(detected, minlength=self.n_cells_by_gene.size)
        if self._genes is None:
            self.by_cell[where] = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
        else:
            self.by_cell[where] = block @ self._genes
        self._hold_rare(block, where.start)
        add_rows(
            block.data,
            block.indices,
            block.indptr.astype(np.int64, copy=False),
            self._group_of[where].astype(np.int64, copy=False),
            self.by_group,
        )

    def rare(self) -> RareCounts:
        """Return the counts of genes that are detected in fewer than `min_cells` cells."""
        parts = zip(*self._rare, strict=True) if self._rare else ([np.zeros(0, one)] for one in ("i8", "i8", "f8"))
        return RareCounts(*map(np.concatenate, parts)).of(self.n_cells_by_gene < self._min_cells)

    def _hold_rare(self, block: sp.csr_matrix, begin: int) -> None:
        """Hold the counts of genes detected in too few cells so far."""
        is_rare = self.n_cells_by_gene < self._min_cells
        rare = np.flatnonzero(is_rare[block.indices])
        rare = rare[block.data[rare] > 0]
        if len(rare):
            rows = np.searchsorted(block.indptr, rare, side="right") - 1
            counts = block.data[rare].astype(np.float64)
            self._rare.append(RareCounts(rows + begin, block.indices[rare].astype(np.int64), counts))
