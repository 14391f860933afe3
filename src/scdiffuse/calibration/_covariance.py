"""Covariances of the expression of a gene between combinations of conditions, and which of them each gene has."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

from scdiffuse.calibration._config import CalibrationConfig

__all__ = [
    "Combinations",
    "Covariance",
    "NoiseBins",
    "best_components",
    "covariance_grid",
    "explain",
    "label_similarity",
]

Array = NDArray[np.float64]
_MOST_OWN_AMPLITUDES = 3  # conditions that have variances of their own; with more of them they share one
_EM_STEPS = 50
_LEAST_FREQUENCY = 1e-3  # of genes, for a covariance to stay in the grid


class Covariance(NamedTuple):
    """Variances of the effects of a gene, on the scale of `CalibrationConfig.expected_scale`."""

    labels: tuple[float, ...]
    """Variance of the effects of the labels of each condition."""
    shared: float
    """Variance of what combinations share that are alike in all conditions."""
    own: float
    """Variance of what a combination shares with no other."""


class Combinations(NamedTuple):
    """Combinations whose pseudobulks are known, and which labels are alike."""

    codes: NDArray[np.int64]
    """Shape ``(M, C)``."""
    similarity: Sequence[Array]
    """Similarity of the labels of each condition, each of shape ``(n, n)``."""
    correlation: Sequence[Array]
    """Correlation of the effects of the labels of each condition, likewise."""
    mean_variance: float
    """Variance of the mean over all combinations."""

    def covariance(self, of: Covariance, others: NDArray[np.int64]) -> Array:
        """Compute the covariance of the true expression with that of others, codes of shape ``(U, C)``.

        Returns
        -------
        Shape ``(M, U)``.
        """
        pairs = [np.ix_(one, other) for one, other in zip(self.codes.T, others.T, strict=True)]
        found = self.mean_variance + of.own * np.all(self.codes[:, None] == others[None], axis=2)
        for variance, correlation, pair in zip(of.labels, self.correlation, pairs, strict=True):
            found = found + variance * correlation[pair]
        if of.shared:
            alike = [similarity[pair] for similarity, pair in zip(self.similarity, pairs, strict=True)]
            found = found + of.shared * np.prod(alike, axis=0)
        return np.asarray(found, dtype=np.float64)

    def factorise(self, of: Covariance, noise: Array) -> Array:
        """Factorise the covariance of the pseudobulks, with sampling variances of shape ``(M,)``.

        Returns
        -------
        Lower Cholesky factor, shape ``(M, M)``.
        """
        return _factorised(self.covariance(of, self.codes), noise)


class NoiseBins(NamedTuple):
    """Sampling variance of pseudobulks, of genes that are about equally uncertain together."""

    of_gene: NDArray[np.int64]
    """Bin of each gene, shape ``(G,)``."""
    variance: Array
    """Variance of each combination, shape ``(n_bins, M)``."""

    @classmethod
    def of(cls, variance: Array, n_bins: int) -> NoiseBins:
        """Put genes into bins of about equal size by the median of their variances, shape ``(M, G)``."""
        order = np.argsort(np.median(variance, axis=0), kind="stable")
        of_gene = np.empty(len(order), dtype=np.int64)
        parts = np.array_split(order, n_bins)
        for at, genes in enumerate(parts):
            of_gene[genes] = at
        medians = [np.median(variance[:, genes], axis=1) if len(genes) else np.ones(len(variance)) for genes in parts]
        return cls(of_gene, np.stack(medians))


def covariance_grid(n_conditions: int, config: CalibrationConfig) -> list[Covariance]:
    """List all covariances that a gene may have."""
    amplitudes = config.label_variances
    labels = (
        list(product(amplitudes, repeat=n_conditions))
        if n_conditions <= _MOST_OWN_AMPLITUDES
        else [(one,) * n_conditions for one in amplitudes]
    )
    shared = (0.0, *config.shared_variances) if config.pairwise_interactions else (0.0,)
    return [Covariance(*each) for each in product(labels, shared, config.own_variances)]


def label_similarity(embedding: Array, length_scale: float) -> Array:
    r"""Compare labels by their embeddings.

    .. math:: S(l, l') = \exp \left( - \frac{\lVert e_l - e_{l'} \rVert^2}{2 \ell^2 d^2} \right)

    with :math:`d^2` the mean square distance of two labels.

    Parameters
    ----------
    embedding
        Shape ``(n, R)``.
    length_scale
        :math:`\ell`.

    Returns
    -------
    Shape ``(n, n)``.
    """
    squares = np.square(embedding[:, None] - embedding[None]).sum(axis=2)
    n_pairs = len(embedding) * (len(embedding) - 1)
    typical = squares.sum() / max(n_pairs, 1)
    return np.asarray(np.exp(-squares / max(2.0 * length_scale**2 * typical, 1e-12)))


def best_components(
    values: Array, noise: NoiseBins, combinations: Combinations, *, config: CalibrationConfig
) -> NDArray[np.int64]:
    """Choose the covariance of each gene: the most probable one, given how frequent each is over all genes.

    Parameters
    ----------
    values
        Expression less its mean, shape ``(M, G)``.
    noise
        Sampling variances.
    combinations
        Combinations of these values.
    config
        Settings.

    Returns
    -------
    Index into `covariance_grid`, shape ``(G,)``.

    References
    ----------
    Urbut et al. 2019, https://doi.org/10.1038/s41588-018-0268-8 (a mixture of covariances whose weights are learnt over
    all genes).
    """
    grid = covariance_grid(combinations.codes.shape[1], config)
    n_genes = values.shape[1]
    some = np.arange(0, n_genes, -(-n_genes // config.n_evidence_genes))

    def evidence(which: NDArray[np.int64], genes: NDArray[np.int64]) -> Array:
        found = np.empty((len(which), len(genes)))
        bins = noise.of_gene[genes]
        for row, at in enumerate(which):
            covariance = combinations.covariance(grid[at], combinations.codes)
            for one in np.unique(bins):
                factor = _factorised(covariance, noise.variance[one])
                mine = np.flatnonzero(bins == one)
                white = solve_triangular(factor, values[:, genes[mine]], lower=True, check_finite=False)
                found[row, mine] = -0.5 * np.square(white).sum(axis=0) - np.log(np.diag(factor)).sum()
        return found

    every = np.arange(len(grid))
    frequencies = _frequencies(evidence(every, some))
    kept = every[frequencies > _LEAST_FREQUENCY]
    found = evidence(kept, np.arange(n_genes)) + np.log(frequencies[kept])[:, None]
    return np.asarray(kept[found.argmax(axis=0)], dtype=np.int64)


def _factorised(covariance: Array, noise: Array) -> Array:
    return np.asarray(cholesky(covariance + np.diag(noise), lower=True, check_finite=False))


def explain(factor: Array, values: Array) -> Array:
    """Solve with a factor of `Combinations.factorise`."""
    return np.asarray(cho_solve((factor, True), values, check_finite=False))


def _frequencies(evidence: Array) -> Array:
    """Estimate how frequent each covariance is from the log evidence of genes, shape ``(K, G)``, by EM."""
    likelihood = np.exp(evidence - evidence.max(axis=0))
    frequencies = np.full(len(evidence), 1.0 / len(evidence))
    for _ in range(_EM_STEPS):
        posterior = likelihood * frequencies[:, None]
        frequencies = (posterior / posterior.sum(axis=0)).mean(axis=1)
    return frequencies
