"""Depth features: how many counts a cell holds and how they are spread, whichever genes they fall on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scdiffuse.metrics._feature_matrices import Counts, as_csr

__all__ = ["DEPTH_NAMES", "depth_features"]

DEPTH_NAMES = (
    "log_library_size",
    "log_genes_detected",
    "singleton_fraction",
    "doubleton_fraction",
    "log_highest_count",
    "count_entropy",
)
"""Columns of `depth_features`."""


def depth_features(counts: Counts) -> NDArray[np.float32]:
    """Compute six features of the shape of a cell's counts, which tell a likelihood of low counts that is off.

    Parameters
    ----------
    counts
        Raw counts, shape ``(N, G)``.

    Returns
    -------
    Shape ``(N, 6)``, in the order of `DEPTH_NAMES`: log library size, log number of genes detected, genes with one and
    with two counts as fractions of the genes detected, log of the highest count, and the entropy of the cell's
    expression fractions in nats. Empty cells have zeros.

    Examples
    --------
    >>> [round(float(value), 2) for value in depth_features(np.array([[2, 1, 1, 0]]))[0]]
    [1.61, 1.39, 0.67, 0.33, 1.1, 1.04]
    """
    matrix = as_csr(counts).astype(np.float64)
    matrix.data = np.maximum(np.nan_to_num(matrix.data), 0)
    n_cells = matrix.shape[0]
    cell = np.repeat(np.arange(n_cells), np.diff(matrix.indptr))

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(cell, weights=values, minlength=n_cells).astype(np.float64)

    value = matrix.data
    totals, detected = total(value), np.maximum(total((value > 0).astype(float)), 1)
    fraction = value / np.maximum(totals, 1e-12)[cell]
    highest = matrix.max(axis=1).toarray().ravel() if matrix.nnz else np.zeros(n_cells)
    features = (
        np.log1p(totals),
        np.log1p(total((value > 0).astype(float))),
        total((value == 1).astype(float)) / detected,
        total((value == 2).astype(float)) / detected,
        np.log1p(highest),
        -total(fraction * np.log(np.where(fraction > 0, fraction, 1.0))),
    )
    return np.column_stack(features).astype(np.float32)
