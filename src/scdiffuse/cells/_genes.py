"""Which genes, and with them which cells, there is something to learn from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import CountsError, GenesError, SettingError, did_you_mean
from scdiffuse.cells._rows import Source

__all__ = ["MIN_CELLS", "GeneSelection", "select_genes"]

MIN_CELLS = 10
"""A gene seen in fewer cells is left out unless asked for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneSelection:
    """What the gene filter kept, and what it cost."""

    keep: NDArray[np.bool_]
    """Genes kept, shape ``(G,)``."""
    n_cells_by_gene: NDArray[np.int64]
    """In how many cells each gene was seen, shape ``(G,)``."""
    min_cells: int
    """Cells that a gene had to be seen in; 0 where the genes were named."""
    share_of_counts_dropped: float
    """Counts that belonged to dropped genes, between 0 and 1."""
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
        """Tell in one line what was kept and dropped."""
        n_silent = int(np.count_nonzero(self.n_cells_by_gene[~self.keep] == 0))
        why = f"seen in fewer than {self.min_cells} cells" if self.min_cells else "not among the genes asked for"
        text = (
            f"{self.n_kept:,} of {self.keep.size:,} genes kept; {self.n_dropped:,} {why} dropped ({n_silent:,} of them "
            f"seen in none), with {self.share_of_counts_dropped:.2%} of all counts."
        )
        n_empty = int((~self.cells_keep).sum())
        return text + (f" {n_empty:,} cells without a count in a kept gene left out." if n_empty else "")


def select_genes(source: Source, *, min_cells: int = MIN_CELLS, genes: Sequence[str] | None = None) -> GeneSelection:
    """Keep the genes seen in enough cells, or those named.

    Parameters
    ----------
    source
        Raw counts, read twice from the first to the last cell.
    min_cells
        Cells that a gene must be seen in (a count above zero).
    genes
        Keep exactly these, in whatever number of cells they were seen.

    Returns
    -------
    What was kept and dropped. Cells without a count in a kept gene are left out with a warning that counts them.

    Raises
    ------
    GenesError
        No gene is left, or some of `genes` are not in the data.
    CountsError
        Every cell is empty.
    SettingError
        `min_cells` is negative.
    """
    if min_cells < 0:
        msg = f"`min_cells` must be 0 or more, got {min_cells}."
        raise SettingError(msg)
    n_cells_by_gene = np.zeros(source.n_genes, dtype=np.int64)
    counts_by_gene = np.zeros(source.n_genes)
    for _, block in source.blocks():
        n_cells_by_gene += np.bincount(block.indices[block.data > 0], minlength=source.n_genes)
        counts_by_gene += np.asarray(block.sum(axis=0, dtype=np.float64)).ravel()
    if not counts_by_gene.any():
        msg = f"All {source.n_cells} cells are empty: no gene has a count. Expected raw counts; check the matrix."
        raise CountsError(msg)
    keep = n_cells_by_gene >= min_cells if genes is None else _named(source, genes)
    if not keep.any():
        most = int(n_cells_by_gene.max())
        msg = (
            f"No gene is seen in at least {min_cells} of the {source.n_cells} cells (the most frequent is seen in "
            f"{most}); expected at least one. Lower `min_cells`, or give more cells."
        )
        raise GenesError(msg)
    selection = GeneSelection(
        keep=keep,
        n_cells_by_gene=n_cells_by_gene,
        min_cells=min_cells if genes is None else 0,
        share_of_counts_dropped=float(counts_by_gene[~keep].sum() / counts_by_gene.sum()),
        cells_keep=_filled_cells(source, keep),
    )
    _say_empty(selection.cells_keep)
    return selection


def _named(source: Source, genes: Sequence[str]) -> NDArray[np.bool_]:
    known = pd.Index(source.genes)
    missing = [gene for gene in genes if gene not in known]
    if missing:
        msg = f"{len(missing)} of the {len(genes)} genes asked for are not in the data, such as {missing[0]!r}."
        raise GenesError(msg + (did_you_mean(missing[0], known) or " Compare with `adata.var_names`."))
    return np.asarray(known.isin(list(genes)))


def _filled_cells(source: Source, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    filled = np.zeros(source.n_cells, dtype=bool)
    weights = keep.astype(np.float32)
    for where, block in source.blocks():
        filled[where] = block @ weights > 0
    return filled


def _say_empty(filled: NDArray[np.bool_]) -> None:
    n_empty = int((~filled).sum())
    if n_empty == filled.size:
        msg = f"None of the {n_empty} cells has a count in a kept gene. Lower `min_cells`, or name other genes."
        raise CountsError(msg)
    if n_empty:
        msg = f"{n_empty} of {filled.size} cells have no count in a kept gene and are left out."
        warnings.warn(msg, UserWarning, stacklevel=3)
