"""One pass over the counts that collects everything a fit needs before its first step."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse._core.errors import CountsError, GenesError, ScdiffuseWarning, SettingError, did_you_mean
from scdiffuse._core.progress import Progress
from scdiffuse.cells._checks import check_names, require_counts
from scdiffuse.cells._genes import MIN_CELLS, GeneSelection
from scdiffuse.cells._rows import Source
from scdiffuse.cells._sources import CellData

__all__ = ["CountStatistics", "collect_statistics"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CountStatistics:
    """Statistics of one pass over the counts."""

    selection: GeneSelection
    """Genes and cells that are kept."""
    library_sizes: NDArray[np.float64]
    """Counts of each cell in the kept genes, shape ``(N,)``."""
    group_counts: NDArray[np.float64]
    """Counts of each kept gene, added up by group of cells, shape ``(n_groups, G_kept)``."""

    @property
    def n_cells_by_gene(self) -> NDArray[np.int64]:
        """Number of cells that each kept gene is detected in, shape ``(G_kept,)``."""
        return self.selection.n_cells_by_gene[self.selection.keep]


class _DroppedCounts:
    """Counts of genes that may yet be dropped: fewer than `min_cells` of each, whatever the number of cells."""

    def __init__(self, min_cells: int) -> None:
        self._min_cells = min_cells
        self._blocks: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []

    def add(self, block: sp.csr_matrix, begin: int, n_cells_by_gene: NDArray[np.int64]) -> None:
        """Hold the counts of a block that belong to genes detected in too few cells so far."""
        rare = np.flatnonzero((n_cells_by_gene[block.indices] < self._min_cells) & (block.data > 0))
        if len(rare):
            rows = np.searchsorted(block.indptr, rare, side="right") - 1
            self._blocks.append(
                (rows + begin, block.indices[rare].astype(np.int64), block.data[rare].astype(np.float64))
            )

    def by_cell(self, keep: NDArray[np.bool_], n_cells: int) -> NDArray[np.float64]:
        """Add up the counts of dropped genes by cell, shape ``(N,)``."""
        if not self._blocks:
            return np.zeros(n_cells)
        rows, genes, counts = (np.concatenate(part) for part in zip(*self._blocks, strict=True))
        dropped = ~keep[genes]
        return np.bincount(rows[dropped], weights=counts[dropped], minlength=n_cells).astype(np.float64)


def collect_statistics(
    source: Source,
    *,
    data: Source | CellData | None = None,
    layer: str | None = None,
    min_cells: int = MIN_CELLS,
    genes: Sequence[str] | None = None,
    groups: tuple[NDArray[np.int64], int] | None = None,
    progress: bool = False,
) -> CountStatistics:
    """Check counts, choose genes, and add counts up by cell and by group of cells, in one pass.

    Parameters
    ----------
    source
        The cells, all genes.
    data, layer
        Where the cells are from, to name the matrix that holds counts if this one does not.
    min_cells
        Cells that a gene must be detected in (a count above zero).
    genes
        Keep exactly these genes, in whatever number of cells they are detected.
    groups
        Group of each cell, shape ``(N,)``, and the number of groups; one group of all cells if not given.
    progress
        Whether to show a progress bar.

    Returns
    -------
    The statistics. Cells without a count in a kept gene are left out with a warning that counts them.

    Raises
    ------
    GenesError
        No gene is left, some of `genes` are not in the data, or two genes share a name.
    CountsError
        A value is not a count, every cell is empty, or two cells share a name.
    SettingError
        `min_cells` is negative.
    """
    if min_cells < 0:
        msg = f"`min_cells` must be 0 or more, got {min_cells}."
        raise SettingError(msg)
    check_names(source)
    named = None if genes is None else _named(source, genes)
    where_from, name = (source, "The matrix") if data is None else (data, f"Layer {layer!r}" if layer else "`X`")
    group_of, n_groups = (np.zeros(source.n_cells, np.int64), 1) if groups is None else groups
    n_cells_by_gene, library_sizes = np.zeros(source.n_genes, dtype=np.int64), np.zeros(source.n_cells)
    group_counts, dropped = np.zeros((n_groups, source.n_genes)), _DroppedCounts(min_cells)
    with Progress("reading counts", source.n_cells, enabled=progress) as bar:
        for where, block in source.blocks():
            require_counts(block, name, where_from)
            n_cells_by_gene += np.bincount(block.indices[block.data > 0], minlength=source.n_genes)
            if named is None:
                library_sizes[where] = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
                dropped.add(block, where.start, n_cells_by_gene)
            else:
                library_sizes[where] = block @ named.astype(np.float64)
            _add_groups(group_counts, block, group_of[where])
            bar.advance(block.shape[0])
    counts_by_gene = group_counts.sum(axis=0)
    if not counts_by_gene.any():
        msg = f"All {source.n_cells} cells are empty: no gene has a count. Expected raw counts; check the matrix."
        raise CountsError(msg)
    keep = n_cells_by_gene >= min_cells if named is None else named
    _require_genes(keep, n_cells_by_gene, min_cells=min_cells, n_cells=source.n_cells)
    library_sizes -= dropped.by_cell(keep, source.n_cells)
    _report_empty(library_sizes > 0)
    selection = GeneSelection(
        keep=keep,
        n_cells_by_gene=n_cells_by_gene,
        min_cells=min_cells if genes is None else 0,
        fraction_of_counts_dropped=float(counts_by_gene[~keep].sum() / counts_by_gene.sum()),
        cells_keep=library_sizes > 0,
    )
    return CountStatistics(selection=selection, library_sizes=library_sizes, group_counts=group_counts[:, keep])


def _add_groups(totals: NDArray[np.float64], block: sp.csr_matrix, group_of: NDArray[np.int64]) -> None:
    """Add the counts of a block to those of the groups of its cells."""
    n_rows = block.shape[0]
    member = sp.csr_matrix((np.ones(n_rows), (group_of, np.arange(n_rows))), shape=(len(totals), n_rows))
    pooled = sp.csr_matrix(member @ block)
    for group in np.flatnonzero(np.diff(pooled.indptr)):
        entries = slice(pooled.indptr[group], pooled.indptr[group + 1])
        totals[group, pooled.indices[entries]] += pooled.data[entries]


def _named(source: Source, genes: Sequence[str]) -> NDArray[np.bool_]:
    known = pd.Index(source.genes)
    missing = [gene for gene in genes if gene not in known]
    if missing:
        msg = f"{len(missing)} of the {len(genes)} named genes are not in the data, such as {missing[0]!r}."
        raise GenesError(msg + (did_you_mean(missing[0], known) or " Compare with `adata.var_names`."))
    return np.asarray(known.isin(list(genes)))


def _require_genes(
    keep: NDArray[np.bool_], n_cells_by_gene: NDArray[np.int64], *, min_cells: int, n_cells: int
) -> None:
    if not keep.any():
        most = int(n_cells_by_gene.max())
        msg = (
            f"No gene is detected in at least {min_cells} of the {n_cells} cells (the most frequent is detected in "
            f"{most}); expected at least one. Lower `min_cells`, or give more cells."
        )
        raise GenesError(msg)


def _report_empty(filled: NDArray[np.bool_]) -> None:
    n_empty = int((~filled).sum())
    if n_empty == filled.size:
        msg = f"None of the {n_empty} cells has a count in a kept gene. Lower `min_cells`, or name other genes."
        raise CountsError(msg)
    if n_empty:
        msg = f"{n_empty} of {filled.size} cells have no count in a kept gene and are left out."
        warnings.warn(msg, ScdiffuseWarning, stacklevel=4)
