"""Principal components, a Gaussian mixture per cell type, Poisson counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from benchmarks.generators.shared import LibrarySizes, joint_labels, log_normalise, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

_PRIOR_CELLS = 50.0
_CELLS_PER_COMPONENT = 100
_MAX_COMPONENTS = 5


@dataclass(frozen=True, slots=True)
class _Mixture:
    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    factors: NDArray[np.float64]

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        component = rng.choice(len(self.weights), size=n, p=self.weights)
        noise = rng.standard_normal((n, self.means.shape[1]))
        drawn: NDArray[np.float64] = self.means[component] + np.einsum("nij,nj->ni", self.factors[component], noise)
        return drawn


class PcaMixture:
    """The strongest generator one can write with scikit-learn in a page."""

    def __init__(self, *, n_components: int = 50) -> None:
        self._n_components = n_components

    def fit(self, adata: AnnData, *, condition_keys: Sequence[str], seed: int) -> None:
        """Fit the components on all cells, then one mixture for each label."""
        self._template, self._keys = adata[:0].copy(), list(condition_keys)
        counts = sparse.csr_matrix(adata.X)
        labels = joint_labels(adata.obs, self._keys)
        self._library_sizes = LibrarySizes(counts, labels)
        n_components = min(self._n_components, min(counts.shape) - 1)
        self._pca = PCA(n_components, svd_solver="arpack", random_state=seed)
        scores = self._pca.fit_transform(log_normalise(counts)).astype(np.float64)
        within = scores - _means_of(scores, labels)
        pooled = np.cov(within, rowvar=False) + 1e-6 * np.eye(n_components)
        self._mixtures = {label: _fit_mixture(scores[labels == label], pooled, seed) for label in np.unique(labels)}

    def generate(self, obs: pd.DataFrame, *, seed: int) -> AnnData:
        """Draw scores, carry them back to rates, draw Poisson counts."""
        rng = np.random.default_rng(seed)
        labels = joint_labels(obs, self._keys)
        scores = np.empty((len(labels), self._pca.n_components_))
        for label in np.unique(labels):
            rows = labels == label
            scores[rows] = self._mixtures[label].draw(int(rows.sum()), rng)
        rates = np.expm1(np.clip(self._pca.inverse_transform(scores), 0.0, None))
        rates /= np.maximum(rates.sum(axis=1, keepdims=True), 1e-12)
        counts = rng.poisson(rates * self._library_sizes.draw(labels, rng)[:, None])
        return pack(counts, obs, self._template)


def _means_of(scores: NDArray[np.float64], labels: NDArray[np.str_]) -> NDArray[np.float64]:
    means = np.empty_like(scores)
    for label in np.unique(labels):
        means[labels == label] = scores[labels == label].mean(axis=0)
    return means


def _fit_mixture(scores: NDArray[np.float64], pooled: NDArray[np.float64], seed: int) -> _Mixture:
    """Fit one label; each covariance is shrunk to the pooled one as if 50 pooled cells had been seen."""
    n_components = min(_MAX_COMPONENTS, 1 + len(scores) // _CELLS_PER_COMPONENT)
    if len(scores) < 2:
        weights, means, covariances = np.ones(1), scores.mean(axis=0, keepdims=True), pooled[None]
    else:
        mixture = GaussianMixture(n_components, reg_covar=1e-4, random_state=seed).fit(scores)
        weights, means, covariances = mixture.weights_, mixture.means_, mixture.covariances_
    n_cells = (weights * len(scores))[:, None, None]
    shrunk = (n_cells * covariances + _PRIOR_CELLS * pooled) / (n_cells + _PRIOR_CELLS)
    return _Mixture(weights / weights.sum(), means, np.linalg.cholesky(shrunk).astype(np.float64))
