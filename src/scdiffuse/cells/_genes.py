"""Genes and cells that a fit keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_CELLS", "GeneSelection"]

MIN_CELLS = 10
"""Cells that a gene must be detected in to be kept."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneSelection:
    """Genes and cells that the gene filter keeps, and what it drops."""

    keep: NDArray[np.bool_]
    """Genes kept, shape ``(G,)``."""
    n_cells_by_gene: NDArray[np.int64]
    """Number of cells that each gene is detected in, shape ``(G,)``."""
    min_cells: int
    """Cells that a gene must be detected in; 0 if the user named the genes."""
    fraction_of_counts_dropped: float
    """Fraction of all counts in dropped genes, between 0 and 1."""
    cells_keep: NDArray[np.bool_]
    """Cells with at least one count in a kept gene, shape ``(N,)``."""

    @property
    def n_kept(self) -> int:
        """Number of genes kept."""
        return int(self.keep.sum())

    @property
    def n_dropped(self) -> int:
        """Number of genes dropped."""
        return int((~self.keep).sum())

    def report(self) -> str:
        """Describe in one line what is kept and dropped."""
        n_absent = int(np.count_nonzero(self.n_cells_by_gene[~self.keep] == 0))
        why = f"detected in fewer than {self.min_cells} cells" if self.min_cells else "not among the named genes"
        text = (
            f"{self.n_kept:,} of {self.keep.size:,} genes kept; {self.n_dropped:,} {why} dropped ({n_absent:,} of them "
            f"detected in none), with {self.fraction_of_counts_dropped:.2%} of all counts."
        )
        n_empty = int((~self.cells_keep).sum())
        return text + (f" {n_empty:,} cells without a count in a kept gene left out." if n_empty else "")
