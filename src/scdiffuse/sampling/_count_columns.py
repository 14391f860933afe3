"""Columns of `obs` that count: brought up to date where the counts of the cells have changed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

__all__ = ["refresh_counts"]


def refresh_counts(
    obs: pd.DataFrame, counts: sp.csr_matrix, *, like: pd.DataFrame, but: Collection[str]
) -> pd.DataFrame:
    """Count again what columns of `obs` count, as scanpy and Seurat name them.

    Parameters
    ----------
    obs
        Columns of ``N`` cells.
    counts
        Their counts, shape ``(N, G)``.
    like
        The columns before the counts changed; only those that hold numbers there are counted again.
    but
        Columns that stay as they are, such as conditions.

    Returns
    -------
    The columns; those with a number of counts or of genes are that of `counts`, decimals stay decimals.
    """
    names = [name for name in like if name in _COUNTED and name not in but and like[name].dtype.kind in "iuf"]
    fresh: dict[str, Any] = {}
    for name in names:
        numbers = pd.Series(_COUNTED[name](counts), index=obs.index)
        fresh[name] = numbers.astype(like[name].dtype if like[name].dtype.kind == "f" else np.int64)
    return obs.assign(**fresh)


def _totals(counts: sp.csr_matrix) -> NDArray[np.float64]:
    return np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()


def _detected(counts: sp.csr_matrix) -> NDArray[np.float64]:
    return np.asarray((counts > 0).sum(axis=1), dtype=np.float64).ravel()


_COUNTED: dict[str, Callable[[sp.csr_matrix], NDArray[np.float64]]] = {
    **dict.fromkeys(("n_counts", "total_counts", "nCount_RNA"), _totals),
    **dict.fromkeys(("n_genes", "n_genes_by_counts", "nFeature_RNA"), _detected),
    "log1p_total_counts": lambda counts: np.log1p(_totals(counts)),
    "log1p_n_genes_by_counts": lambda counts: np.log1p(_detected(counts)),
}
