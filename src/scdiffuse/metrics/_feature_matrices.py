"""Feature matrices of two samples: checks, seeded subsamples, and squared distances block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scdiffuse._core.errors import SettingError
from scdiffuse._core.random import generator

__all__ = ["Array", "Counts", "as_csr", "equal_sizes", "paired", "squared_distance_blocks", "subsample"]

Array: TypeAlias = NDArray[Any]
Counts: TypeAlias = sparse.csr_matrix | NDArray[Any]
"""Raw counts, CSR or dense."""
_BLOCK_ROWS = 1024


def paired(real: Array, generated: Array, *, least: int = 2) -> tuple[Array, Array]:
    """Check two feature matrices against each other, as float64."""
    x, y = (np.ascontiguousarray(values, dtype=np.float64) for values in (real, generated))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        msg = (
            f"Real cells have shape {x.shape} and generated cells {y.shape}; expected two matrices with the same "
            "columns. Bring both to the same features first."
        )
        raise SettingError(msg)
    if min(len(x), len(y)) < least:
        msg = (
            f"Got {len(x)} real and {len(y)} generated cells; this metric needs at least {least} of each. Generate "
            "or hold out more cells."
        )
        raise SettingError(msg)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        msg = "The features hold NaN or infinite values; expected finite ones. Check the counts they were made from."
        raise SettingError(msg)
    return x, y


def subsample(n: int, size: int, *, seed: int, stream: str) -> NDArray[np.int64]:
    """Choose ``size`` of ``n`` rows without replacement, in order; all of them when there are no more."""
    if size >= n:
        return np.arange(n, dtype=np.int64)
    return np.sort(generator(seed, "metrics", stream).choice(n, size=size, replace=False)).astype(np.int64)


def equal_sizes(real: Array, generated: Array, *, max_cells: int, seed: int) -> tuple[Array, Array]:
    """Draw equally many rows of both, at most ``max_cells`` each."""
    if max_cells < 2:
        msg = f"`max_cells` must be at least 2, got {max_cells}; raise it."
        raise SettingError(msg)
    size = min(len(real), len(generated), max_cells)
    rows = (subsample(len(cells), size, seed=seed, stream=f"equal {k}") for k, cells in enumerate((real, generated)))
    return real[next(rows)], generated[next(rows)]


def squared_distance_blocks(x: Array, y: Array) -> Iterator[tuple[slice, Array]]:
    """Visit the squared Euclidean distances from blocks of ``x`` to all of ``y``."""
    # Centred first: |x|^2 - 2xy + |y|^2 cancels when the cloud lies far from the origin.
    centre = y.mean(axis=0)
    x, y = x - centre, y - centre
    y_norms = np.einsum("ij,ij->i", y, y)
    for start in range(0, len(x), _BLOCK_ROWS):
        block = x[start : start + _BLOCK_ROWS]
        squares = block @ y.T
        squares *= -2.0
        squares += y_norms
        squares += np.einsum("ij,ij->i", block, block)[:, None]
        yield slice(start, start + len(block)), np.maximum(squares, 0.0, out=squares)


def as_csr(counts: Counts) -> sparse.csr_matrix:
    """Take counts in any matrix form as CSR."""
    return counts if isinstance(counts, sparse.csr_matrix) else sparse.csr_matrix(counts)
