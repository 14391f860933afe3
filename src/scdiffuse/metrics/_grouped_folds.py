"""Folds of a cross-validation that keep copies of a cell together."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scdiffuse.metrics._feature_matrices import Array

__all__ = ["count_hashes", "grouped_folds", "row_hashes"]

_COLLAPSED = 0.1  # distinct cells of a side; drawing four times with replacement still leaves a quarter


def count_hashes(counts: sparse.csr_matrix) -> NDArray[np.uint64]:
    """Give each cell a key that its copies share: a hash of its counts.

    Parameters
    ----------
    counts
        Raw counts, shape ``(N, G)``.

    Returns
    -------
    Keys, shape ``(N,)``.
    """
    matrix = sparse.csr_matrix(counts, dtype=np.float32, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    bounds = zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)
    genes = matrix.indices.astype(np.int64)
    return np.array(
        [_key(genes[begin:end].tobytes() + matrix.data[begin:end].tobytes()) for begin, end in bounds], dtype=np.uint64
    )


def row_hashes(features: Array) -> NDArray[np.uint64]:
    """Give each row a key that equal rows share.

    Parameters
    ----------
    features
        Shape ``(N, F)``.

    Returns
    -------
    Keys, shape ``(N,)``.
    """
    return np.array([_key(row.tobytes()) for row in np.ascontiguousarray(features)], dtype=np.uint64)


def grouped_folds(
    is_generated: NDArray[np.bool_], keys: NDArray[np.uint64], *, folds: int, seed: int
) -> NDArray[np.int64]:
    """Divide cells into stratified folds, copies into the same one.

    Without copies these are the folds of scikit-learn's ``StratifiedKFold``. Otherwise the first cell of each key takes
    part in them, and its copies follow.

    Parameters
    ----------
    is_generated
        Which cells are generated, shape ``(N,)``.
    keys
        A key for each cell, the same for copies, shape ``(N,)``.
    folds
        Number of folds.
    seed
        Seed of the folds.

    Returns
    -------
    The fold of each cell, shape ``(N,)``. Where a side has collapsed to fewer distinct cells than a tenth of its cells,
    copies are not kept together: there the copies are the fault, and a classifier has to see it.
    """
    from sklearn.model_selection import StratifiedKFold

    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")  # cells without copies keep their places
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    leaders = is_generated[first[order]]
    n_generated, n_distinct = int(is_generated.sum()), int(leaders.sum())
    sides = ((n_distinct, n_generated), (leaders.size - n_distinct, is_generated.size - n_generated))
    if any(distinct < max(folds, _COLLAPSED * n) for distinct, n in sides):
        leaders, rank, group = is_generated, np.arange(is_generated.size), np.arange(is_generated.size)
    fold = np.empty(leaders.size, dtype=np.int64)
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros((leaders.size, 1)), leaders)
    for number, (_, held_out) in enumerate(splits):
        fold[held_out] = number
    return fold[rank[group]]


def _key(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
