"""Genes that differ between two groups of cells, and how large a difference would have been found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse, stats

from scdiffuse._core.errors import CountsError, GenesError
from scdiffuse._core.random import generator
from scdiffuse.evaluation._reading import first_columns
from scdiffuse.metrics import log_normalise

__all__ = ["Differential", "compare_groups", "paired_changes", "split_in_halves"]

_BLOCK_VALUES = 1 << 22
_TARGET = 1e4
_PSEUDOCOUNT = 0.1
"""Counts in 10,000 that are added to both means, so that genes of few counts have small fold changes."""
_LEVEL = 0.05
_STRICT = 1e-3
"""Level of one gene that `detectable` is computed for: about what is left of .05 after correction for many genes."""
_POWER = 0.8
_FEWEST_CELLS = 3
_DETECTED = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Differential:
    """Differential expression of two groups of cells."""

    table: pd.DataFrame
    """One row a gene, by ``p``: ``log2_fold_change``, ``p``, ``q``, ``mean_a``, ``mean_b``, ``fraction_a``,
    ``fraction_b``."""
    n_a: int
    n_b: int
    detectable: float | None
    """Log2 fold change that would be found in four of five cases in half of the genes that a tenth of cells express;
    `None` where there is no such gene."""

    @property
    def n_significant(self) -> int:
        """Genes with ``q`` below .05."""
        return int((self.table["q"] < _LEVEL).sum())

    @property
    def level(self) -> Literal["passes", "too_few", "differs"]:
        """Whether genes differ; ``too_few`` where none does and a twofold change would not have been found."""
        if self.n_significant:
            return "differs"
        return "passes" if self.detectable is not None and self.detectable <= 1 else "too_few"

    def __str__(self) -> str:
        """Say in a sentence what was found."""
        sizes = f"{self.n_a:,} against {self.n_b:,} cells"
        if self.level == "differs":
            n = self.n_significant
            return f"{n:,} of {len(self.table):,} genes differ{'s' * (n == 1)} (q < .05; {sizes})."
        if self.detectable is None:
            return f"Too few cells to tell: no gene differs, and none is expressed enough to be tested ({sizes})."
        fold = f"a {2**self.detectable:.1f}-fold change of a typical gene"
        if self.level == "passes":
            return f"No gene differs, and {fold} would have been found ({sizes})."
        return f"Too few cells to tell: no gene differs, but only {fold} or more would have been found ({sizes})."


def compare_groups(a: ad.AnnData, b: ad.AnnData) -> Differential:
    """Compare two groups of cells gene by gene: Wilcoxon rank-sum test, corrected by Benjamini and Hochberg.

    Tests see ``log1p`` of counts in 10,000; fold changes are of mean counts in 10,000, with 0.1 added to both.

    Parameters
    ----------
    a, b
        Cells with counts in `X`; genes that both have are compared.

    Returns
    -------
    The table and its power.

    Raises
    ------
    CountsError
        A group has fewer than three cells.
    GenesError
        The groups share no gene.
    """
    for name, cells in (("first", a), ("second", b)):
        if cells.n_obs < _FEWEST_CELLS:
            msg = f"The {name} group has {cells.n_obs} cells; expected at least {_FEWEST_CELLS}. Select more."
            raise CountsError(msg)
    genes = _shared(a, b)
    logs = [_log_values(cells, genes) for cells in (a, b)]
    n_a, n_b = a.n_obs, b.n_obs
    means = [np.asarray(one.expm1().mean(axis=0)).ravel() for one in logs]
    p = _rank_sum(logs[0], logs[1])
    table = pd.DataFrame(
        {
            "log2_fold_change": np.log2((means[0] + _PSEUDOCOUNT) / (means[1] + _PSEUDOCOUNT)),
            "p": p,
            "q": stats.false_discovery_control(p),
            "mean_a": means[0],
            "mean_b": means[1],
            "fraction_a": logs[0].getnnz(axis=0) / n_a,
            "fraction_b": logs[1].getnnz(axis=0) / n_b,
        },
        index=pd.Index(genes.astype(str), name="gene"),
    )
    order = np.lexsort((-table["log2_fold_change"].abs().to_numpy(), p))
    return Differential(table=table.iloc[order], n_a=n_a, n_b=n_b, detectable=_detectable(logs))


def paired_changes(before: ad.AnnData, after: ad.AnnData) -> pd.DataFrame:
    """Compare the same cells before and after, such as given cells with their counterfactual prediction.

    Parameters
    ----------
    before, after
        Cells with counts in `X`, in the same order.

    Returns
    -------
    One row a gene that both have, by ``p``: ``log2_fold_change`` of mean counts in 10,000, its ``standard_error`` over
    pairs of cells, ``p`` and ``q`` of that, ``mean_before`` and ``mean_after``.

    Raises
    ------
    CountsError
        The numbers of cells differ, or there are fewer than three.
    GenesError
        They share no gene.
    """
    if before.n_obs != after.n_obs or before.n_obs < _FEWEST_CELLS:
        msg = (
            f"{before.n_obs} cells are compared with {after.n_obs}; expected the same cells, at least {_FEWEST_CELLS}."
        )
        raise CountsError(msg)
    genes = _shared(after, before)
    x, y = (_log_values(cells, genes).expm1() for cells in (before, after))
    mean_x, mean_y = (np.asarray(one.mean(axis=0)).ravel() for one in (x, y))
    # delta method: log(mean_y) - log(mean_x) has the variance of y / mean_y - x / mean_x over the pairs
    scale_x, scale_y = 1 / (mean_x + _PSEUDOCOUNT), 1 / (mean_y + _PSEUDOCOUNT)
    gap = sparse.csr_matrix(y.multiply(scale_y) - x.multiply(scale_x))
    mean = np.asarray(gap.mean(axis=0)).ravel()
    variance = np.asarray(gap.multiply(gap).mean(axis=0)).ravel() - mean**2
    error = np.sqrt(np.maximum(variance, 0) / max(before.n_obs - 1, 1)) / math.log(2)
    change = np.log2(scale_x / scale_y)
    ratio = np.divide(np.abs(change), error, out=np.where(change == 0, 0.0, np.inf), where=error > 0)
    p = 2 * stats.t.sf(ratio, before.n_obs - 1)
    table = pd.DataFrame(
        {
            "log2_fold_change": change,
            "standard_error": error,
            "p": p,
            "q": stats.false_discovery_control(p),
            "mean_before": mean_x,
            "mean_after": mean_y,
        },
        index=pd.Index(genes.astype(str), name="gene"),
    )
    return table.iloc[np.lexsort((-np.abs(change), p))]


def split_in_halves(n_cells: int, *, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide cells at random into two halves, for a real-vs-real reference.

    Parameters
    ----------
    n_cells
        Number of cells.
    seed
        Seed of the draw.

    Returns
    -------
    Rows of each half.
    """
    order = generator(seed, "halves").permutation(n_cells)
    return np.sort(order[: n_cells // 2]), np.sort(order[n_cells // 2 :])


def _shared(one: ad.AnnData, other: ad.AnnData) -> pd.Index[str]:
    """List the genes that both have, each once."""
    genes: pd.Index[str] = one.var_names[one.var_names.isin(other.var_names) & ~one.var_names.duplicated()]
    if not len(genes):
        msg = "The groups share no gene; expected the same kind of gene names in both."
        raise GenesError(msg)
    return genes


def _log_values(cells: ad.AnnData, genes: pd.Index[str]) -> sparse.csr_matrix:
    """Log-normalise over all genes of the cells, then keep some, of a repeated name the first."""
    logs = log_normalise(sparse.csr_matrix(cells.X, dtype=np.float32), target=_TARGET)
    kept = sparse.csr_matrix(logs[:, first_columns(cells.var_names, genes)], dtype=np.float64)
    kept.eliminate_zeros()  # stored ones are no detections
    return kept


def _rank_sum(x: sparse.csr_matrix, y: sparse.csr_matrix) -> NDArray[np.float64]:
    """Compute two-sided p values of the Wilcoxon rank-sum test, normal approximation with ties."""
    n_x, n_y = x.shape[0], y.shape[0]
    n = n_x + n_y
    p = np.ones(x.shape[1])
    both = sparse.csc_matrix(sparse.vstack([x, y]))
    n_genes = max(1, _BLOCK_VALUES // n)
    for begin in range(0, x.shape[1], n_genes):
        values = both[:, begin : begin + n_genes].toarray()
        ranks = stats.rankdata(values, axis=0)
        ordered = np.sort(values, axis=0)
        ties = np.array([_tie_sum(column) for column in ordered.T])
        u = ranks[:n_x].sum(axis=0) - n_x * (n_x + 1) / 2
        variance = n_x * n_y / 12 * ((n + 1) - ties / (n * (n - 1)))
        z = np.divide(u - n_x * n_y / 2, np.sqrt(variance), out=np.zeros_like(u), where=variance > 0)
        p[begin : begin + n_genes] = 2 * stats.norm.sf(np.abs(z))
    return p


def _tie_sum(ordered: NDArray[np.float32]) -> float:
    """Sum ``t^3 - t`` over groups of equal values."""
    edges = np.flatnonzero(np.diff(ordered)) + 1
    sizes = np.diff(np.concatenate([[0], edges, [len(ordered)]])).astype(np.float64)
    return float((sizes**3 - sizes).sum())


def _detectable(logs: list[sparse.csr_matrix]) -> float | None:
    """Compute the log2 fold change that half of the expressed genes show in four of five cases."""
    parts = []
    for one in logs:
        plain = one.expm1()
        mean = np.asarray(plain.mean(axis=0)).ravel()
        variance = np.asarray(plain.multiply(plain).mean(axis=0)).ravel() - mean**2
        parts.append(variance / one.shape[0] / (mean + _PSEUDOCOUNT) ** 2)
    n = sum(one.shape[0] for one in logs)
    expressed = sum(one.getnnz(axis=0) for one in logs) >= _DETECTED * n
    if not expressed.any():
        return None
    error = np.sqrt(np.maximum(parts[0] + parts[1], 0))[expressed] / math.log(2)
    return float(np.median(error) * (stats.norm.isf(_STRICT / 2) + stats.norm.isf(1 - _POWER)))
