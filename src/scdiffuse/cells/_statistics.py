"""Everything a fit needs of the counts before its first step: from one pass over them, or kept with shards."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import CountsError, GenesError, ScdiffuseWarning, SettingError, did_you_mean
from scdiffuse._core.progress import Progress
from scdiffuse.cells._checks import check_names, require_counts
from scdiffuse.cells._genes import MIN_CELLS, GeneSelection
from scdiffuse.cells._rows import Source
from scdiffuse.cells._shards import ShardSource
from scdiffuse.cells._sources import CellData
from scdiffuse.cells._totals import CountTotals, Groups

__all__ = ["CountStatistics", "collect_statistics"]

_MANY_GENES = 20
_FIRST = 1024
_GENES = "Gene Expression"  # the name of their kind in files of 10x Genomics


@dataclass(frozen=True, kw_only=True, eq=False)
class CountStatistics:
    """Statistics of all counts."""

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


class _Sums(NamedTuple):
    keep: NDArray[np.bool_]
    n_cells_by_gene: NDArray[np.int64]
    library_sizes: NDArray[np.float64]
    """Counts of each cell in the kept genes."""
    by_group: NDArray[np.float64]
    """Counts of all genes."""


def collect_statistics(
    source: Source,
    *,
    data: Source | CellData | None = None,
    layer: str | None = None,
    min_cells: int = MIN_CELLS,
    genes: Sequence[str] | None = None,
    groups: Groups | None = None,
    progress: bool = False,
) -> CountStatistics:
    """Check counts, choose genes, and add counts up by cell and by group of cells, in one pass.

    Shards were checked and added up when they were made. Where that tells all that is asked for, no count is read.

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
    The statistics. Cells without a count in a kept gene are left out with a warning that counts them. Features that are
    no genes, and matrices of 0 and 1, are kept with a warning.

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
    groups = (np.zeros(source.n_cells, np.int64), 1) if groups is None else groups
    sums = _find_sums(source, named, min_cells=min_cells, groups=groups)
    if sums is None:
        where_from, name = (source, "The matrix") if data is None else (data, f"Layer {layer!r}" if layer else "`X`")
        totals = CountTotals(
            source.n_cells, source.n_genes, min_cells=min_cells if named is None else 0, genes=named, groups=groups
        )
        with Progress("reading counts", source.n_cells, enabled=progress) as bar:
            for where, block in source.blocks():
                require_counts(block, name, where_from)
                totals.add(where, block)
                bar.advance(block.shape[0])
        keep = totals.n_cells_by_gene >= min_cells if named is None else named
        library_sizes = totals.by_cell - totals.rare().of(~keep).by_cell(source.n_cells)
        sums = _Sums(keep, totals.n_cells_by_gene, library_sizes, totals.by_group)
    counts_by_gene = sums.by_group.sum(axis=0)
    if not counts_by_gene.any():
        msg = f"All {source.n_cells} cells are empty: no gene has a count. Expected raw counts; check the matrix."
        raise CountsError(msg)
    _require_genes(sums.keep, sums.n_cells_by_gene, min_cells=min_cells, n_cells=source.n_cells)
    cells_keep = sums.library_sizes > 0
    _report_empty(cells_keep)
    _report_kind(source.var[sums.keep], is_binary=np.array_equal(counts_by_gene, sums.n_cells_by_gene))
    _report_multiples(source, counts_by_gene)
    selection = GeneSelection(
        keep=sums.keep,
        n_cells_by_gene=sums.n_cells_by_gene,
        min_cells=min_cells if genes is None else 0,
        fraction_of_counts_dropped=float(counts_by_gene[~sums.keep].sum() / counts_by_gene.sum()),
        cells_keep=cells_keep,
    )
    return CountStatistics(
        selection=selection, library_sizes=sums.library_sizes, group_counts=sums.by_group[:, sums.keep]
    )


def _find_sums(source: Source, named: NDArray[np.bool_] | None, *, min_cells: int, groups: Groups) -> _Sums | None:
    """Find the sums that were kept with shards, if they tell all that is asked for."""
    kept = source.read_statistics() if isinstance(source, ShardSource) else None
    if kept is None:
        return None
    keep = kept.n_cells_by_gene >= min_cells if named is None else named
    found = kept.select(keep, groups)
    return None if found is None else _Sums(keep, kept.n_cells_by_gene, *found)


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


def _report_kind(var: pd.DataFrame, *, is_binary: bool) -> None:
    """Warn of counts that are none of RNA, which the likelihood is made for."""
    kinds = var["feature_types"].dropna().astype(str) if "feature_types" in var else pd.Series(dtype=str)
    others = kinds[kinds != _GENES]
    if len(others):
        msg = f"{len(others):,} of {len(var):,} genes are {' and '.join(map(repr, sorted(set(others))))}, says"
        msg += " `var['feature_types']`; expected genes. The model is made for counts of RNA, and others spoil library"
        msg += f" sizes. Leave them out: `adata[:, adata.var['feature_types'] == {_GENES!r}]`."
        warnings.warn(msg, ScdiffuseWarning, stacklevel=4)
    if is_binary:
        msg = "No count is above 1, as of open chromatin or of a matrix brought to 0 and 1; expected raw counts of"
        warnings.warn(msg + " genes. Check where the matrix is from.", ScdiffuseWarning, stacklevel=4)


def _report_multiples(source: Source, counts_by_gene: NDArray[np.float64]) -> None:
    """Warn of counts that were multiplied: where sums of many genes have a divisor, the first cells are looked at."""
    if np.count_nonzero(counts_by_gene) < _MANY_GENES or np.gcd.reduce(counts_by_gene.astype(np.int64)) == 1:
        return
    first = source.rows(np.arange(min(_FIRST, source.n_cells)))
    divisor = int(np.gcd.reduce(first.data.astype(np.int64)))
    if divisor > 1:
        msg = f"All counts are multiples of {divisor}, as where both reads of a pair are counted; generated counts will"
        msg += f" not be. Divide them: `adata.X = adata.X / {divisor}`."
        warnings.warn(msg, ScdiffuseWarning, stacklevel=4)
