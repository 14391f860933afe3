"""Binomial thinning: cells as if they had been sequenced less deeply."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from scdiffuse._core.random import Draws
from scdiffuse._core.threads import run_by_rows

__all__ = ["binomial_thinning"]

_COUNTS_A_THREAD = 1 << 16  # below which a thread of their own takes longer than it saves


def binomial_thinning(counts: sp.csr_matrix, largest_fraction: float, *, draws: Draws) -> sp.csr_matrix:
    """Remove a random fraction of the counts of each cell, as a lower sequencing depth would.

    Parameters
    ----------
    counts
        Counts, shape ``(B, G)``, without stored zeros.
    largest_fraction
        Largest fraction to remove. The fraction of a cell is uniform between 0 and this number, in steps of 1 / 256,
        and each count of the cell is removed with that probability.
    draws
        Random streams of the cells.

    Returns
    -------
    Counts of the same shape, none larger, without stored zeros.
    """
    # numba takes half a second to import, which only training needs.
    from scdiffuse.autoencoder.cpu._thinning_kernels import STEPS, thin_rows

    starts, genes, data = counts.indptr, counts.indices.copy(), counts.data.astype(np.float32)
    kept = np.rint(STEPS * (1.0 - largest_fraction * draws.uniforms())).astype(np.int64)
    keys = draws.keys()
    spans = run_by_rows(
        lambda rows: (starts[rows[0]], thin_rows(starts, genes, data, kept, keys, rows)),
        counts.shape[0],
        at_most=counts.nnz // _COUNTS_A_THREAD,
    )
    slices = [slice(begin, begin + length) for begin, length in spans]
    ends = np.concatenate([[0], np.cumsum(kept)]).astype(starts.dtype)
    if len(slices) == 1:
        return sp.csr_matrix((data[slices[0]], genes[slices[0]], ends), shape=counts.shape)
    parts = np.concatenate([data[span] for span in slices]), np.concatenate([genes[span] for span in slices])
    return sp.csr_matrix((*parts, ends), shape=counts.shape)
