"""What studies measure cells with: log-normalised genes, components and classifiers of real cells, effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

Array = Any
_TARGET_SUM = 1e4
_MOST_VARIABLE = 2_000
_LEAST = 2e-5  # fraction that is added to each gene before logs are taken


def log_normalise(adata: AnnData, genes: Sequence[str] | NDArray[np.str_] | None = None) -> Array:
    """Take cells to ``log1p`` of counts per 10,000 counts of the given genes, dense, ``float32``."""
    counts = sparse.csr_matrix(adata.X if genes is None else adata[:, list(genes)].X, dtype=np.float32)
    totals = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1.0)
    scaled = sparse.diags((_TARGET_SUM / totals).astype(np.float32)) @ counts
    return np.log1p(scaled.toarray())


@dataclass(frozen=True)
class Components:
    """Principal components of the most variable genes of real cells."""

    genes: NDArray[np.int64]
    mean: Array
    axes: Array

    @classmethod
    def of(cls, cells: Array, *, n: int = 30, seed: int = 0) -> Components:
        """Find the components of log-normalised cells, shape ``(N, G)``."""
        from sklearn.decomposition import PCA

        genes = most_variable(cells, _MOST_VARIABLE)
        n_components = min(n, len(cells) - 1, len(genes))
        found = PCA(n_components, svd_solver="randomized", random_state=seed).fit(cells[:, genes])
        return cls(genes, found.mean_, found.components_)

    def __call__(self, cells: Array) -> Array:
        """Project cells, shape ``(N, G)`` to ``(N, n)``."""
        return (cells[:, self.genes] - self.mean) @ self.axes.T


def most_variable(cells: Array, n: int) -> NDArray[np.int64]:
    """Find the genes of largest variance in log-normalised cells, shape ``(N, G)``, in the order of the columns."""
    order = np.argsort(-cells.var(axis=0), kind="stable")
    return np.sort(order[:n]).astype(np.int64)


def classifier(features: Array, labels: Array, *, seed: int = 0) -> Any:  # noqa: ANN401 - a scikit-learn pipeline
    """Train a logistic regression on standardised features; every class counts the same."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LogisticRegression(max_iter=2_000, C=0.1, class_weight="balanced", random_state=seed)
    return make_pipeline(StandardScaler(), model).fit(features, labels)


def halves(labels: Array, *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows in two at random, each label as evenly as can be."""
    rng = np.random.default_rng(seed)
    first = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        first[rows[: len(rows) // 2 + int(rng.integers(2)) * (len(rows) % 2)]] = True
    return np.flatnonzero(first), np.flatnonzero(~first)


def energy(x: Array, y: Array) -> float:
    """Measure the squared energy distance without the bias of small samples."""
    from scdiffuse.metrics import energy_distance

    return float(energy_distance(np.asarray(x), np.asarray(y)))


def energy_of_halves(cells: Array) -> float:
    """Measure the energy distance of two random halves of real cells, shape ``(N, n)``: what cells of one kind have.

    Components vary more in the cells that they were found in, which are so at a distance from others: they are no
    reference for cells that components were not found in.
    """
    order = np.random.default_rng(0).permutation(len(cells))
    return energy(cells[order[::2]], cells[order[1::2]])


def log_fold_change(treated: Array, base: Array) -> Array:
    """Return log2 of the ratio of mean expression (counts per 10,000, one added), per gene."""
    return np.log2(1 + np.expm1(treated).mean(axis=0)) - np.log2(1 + np.expm1(base).mean(axis=0))


def agreement(real: Array, made: Array, *, top: int = 200) -> dict[str, float]:
    """Compare changes over the genes that changed most in real cells: correlation, and slope of the major axis."""
    from scdiffuse.metrics import fit_line

    genes = np.argsort(-np.abs(real), kind="stable")[:top]
    if np.std(made[genes]) == 0:
        return {"pearson": float("nan"), "slope": 0.0}
    line = fit_line(real[genes], made[genes])
    return {"pearson": float(line.r), "slope": float(line.slope)}


def fractions(cells: AnnData) -> Array:
    """Find the mean expression fraction of each gene, shape ``(G,)``."""
    counts = sparse.csr_matrix(cells.X, dtype=np.float64)
    totals = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1.0)
    return np.asarray((sparse.diags(1.0 / totals) @ counts).mean(axis=0)).ravel()


def pseudobulk(cells: AnnData) -> Array:
    """Add cells up, and take them to ``log1p`` of counts per 10,000, shape ``(G,)``."""
    counts = np.asarray(cells.X.sum(axis=0)).ravel()
    return np.log1p(_TARGET_SUM * counts / counts.sum())


def log_change(target: Array, base: Array) -> Array:
    """Return the log ratio of expression fractions, shape ``(G,)``."""
    return np.log((target + _LEAST) / (base + _LEAST))


def best_weights(changes: Sequence[Array], real: Array, *, weigh: Array) -> Array:
    """Combine the effects of the other types, weights not below 0, as near to the real effect as can be: an oracle.

    `weigh`, shape ``(G,)``, says how much each gene counts.
    """
    from scipy.optimize import nnls

    found, _ = nnls(np.stack(changes, axis=1) * weigh[:, None], real * weigh)
    return found


def shifted(cells: AnnData, change: Array, *, seed: int) -> AnnData:
    """Change the expression fractions of real cells: counts are removed at random where fractions fall, or added.

    Parameters
    ----------
    cells
        Real cells, counts of shape ``(N, G)``.
    change
        Log ratio of expression fractions, shape ``(G,)``.
    seed
        Seed of the draws.
    """
    rng = np.random.default_rng(seed)
    counts = sparse.csr_matrix(cells.X).toarray().astype(np.int64)
    before = fractions(cells)
    after = np.maximum((before + _LEAST) * np.exp(change) - _LEAST, 0.0)
    after /= after.sum()
    kept = rng.binomial(counts, np.minimum(1.0, after / np.maximum(before, 1e-12)))
    added = rng.poisson(counts.sum(axis=1, keepdims=True) * np.maximum(after - before, 0.0))
    return anndata.AnnData(sparse.csr_matrix((kept + added).astype(np.float32)), obs=cells.obs.copy(), var=cells.var)
