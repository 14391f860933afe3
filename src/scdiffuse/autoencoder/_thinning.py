"""Cells as if they had been sequenced less."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from scdiffuse._core.random import Draws
from scdiffuse._core.threads import run_by_rows

__all__ = ["thin"]

_COUNTS_A_THREAD = 1 << 16  # below which a thread of their own takes longer than it saves


def thin(counts: sp.csr_matrix, most: float, *, draws: Draws) -> sp.csr_matrix:
    """Hide some of the counts of each cell.

    Parameters
    ----------
    counts
        Counts, shape ``(B, G)``, without stored zeros.
    most
        Largest share to hide; each cell loses each of its counts with a chance that is uniform between 0 and it, up to
        a 256th.
    draws
        Where the shares and the counts are drawn from.

    Returns
    -------
    Counts of the same shape, none larger, without stored zeros.
    """
    # The compiler takes half a second to import, which only those who train shall wait for.
    from scdiffuse.autoencoder.cpu._thinning_kernels import STEPS, thin_rows

    starts, genes, data = counts.indptr, counts.indices.copy(), counts.data.astype(np.float32)
    left = np.rint(STEPS * (1.0 - most * draws.uniforms())).astype(np.int64)
    keys = draws.keys()
    pieces = run_by_rows(
        lambda rows: (starts[rows[0]], thin_rows(starts, genes, data, left, keys, rows)),
        counts.shape[0],
        at_most=counts.nnz // _COUNTS_A_THREAD,
    )
    held = [slice(begin, begin + length) for begin, length in pieces]
    ends = np.concatenate([[0], np.cumsum(left)]).astype(starts.dtype)
    if len(held) == 1:
        return sp.csr_matrix((data[held[0]], genes[held[0]], ends), shape=counts.shape)
    found = np.concatenate([data[piece] for piece in held]), np.concatenate([genes[piece] for piece in held])
    return sp.csr_matrix((*found, ends), shape=counts.shape)
