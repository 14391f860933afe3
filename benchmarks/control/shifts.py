"""Changes of other types put onto counts: what needs no model, and the best that any weighing of them could do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

Array = Any
_LEAST = 2e-5  # share that is added to each gene before logs are taken


def shares(cells: AnnData) -> Array:
    """Find the mean share of each gene, shape ``(G,)``."""
    counts = sparse.csr_matrix(cells.X, dtype=np.float64)
    totals = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1.0)
    return np.asarray((sparse.diags(1.0 / totals) @ counts).mean(axis=0)).ravel()


def log_change(target: Array, base: Array) -> Array:
    """Return the log ratio of shares, shape ``(G,)``."""
    return np.log((target + _LEAST) / (base + _LEAST))


def best_weights(changes: Sequence[Array], real: Array, *, weigh: Array) -> Array:
    """Weigh the changes of other types, not below 0, such that they come nearest to the real one: it sees the answer.

    `weigh`, shape ``(G,)``, says how much each gene counts.
    """
    from scipy.optimize import nnls

    found, _ = nnls(np.stack(changes, axis=1) * weigh[:, None], real * weigh)
    return found


def shifted(cells: AnnData, change: Array, *, seed: int) -> AnnData:
    """Change the shares of genes in real cells: counts are taken away at random where shares fall, or added.

    Parameters
    ----------
    cells
        Real cells, counts of shape ``(N, G)``.
    change
        Log ratio of shares, shape ``(G,)``.
    seed
        Seed of the draws.
    """
    rng = np.random.default_rng(seed)
    counts = sparse.csr_matrix(cells.X).toarray().astype(np.int64)
    before = shares(cells)
    after = np.maximum((before + _LEAST) * np.exp(change) - _LEAST, 0.0)
    after /= after.sum()
    kept = rng.binomial(counts, np.minimum(1.0, after / np.maximum(before, 1e-12)))
    added = rng.poisson(counts.sum(axis=1, keepdims=True) * np.maximum(after - before, 0.0))
    return anndata.AnnData(sparse.csr_matrix((kept + added).astype(np.float32)), obs=cells.obs.copy(), var=cells.var)
