"""A simulated tissue whose truth is known, and generators with one fault each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scdiffuse.evaluation import baselines

N_GENES, TYPES, SHARES = 160, np.array(["alpha", "beta", "gamma", "rare"]), np.array([0.4, 0.3, 0.22, 0.08])


@dataclass(frozen=True)
class Tissue:
    """Four types with markers, programs that tie genes together within a type, and cells of unequal library size."""

    seed: int = 0

    def draw(self, n: int, seed: int, *, contrast: float = 1.0) -> ad.AnnData:
        """Draw cells; `contrast` scales the log-fold changes between types."""
        fixed, stream = np.random.default_rng([self.seed, 0]), np.random.default_rng([self.seed, seed])
        base = fixed.normal(-0.6, 0.9, N_GENES)
        effects = np.zeros((4, N_GENES))
        for kind in range(4):
            effects[kind, kind * 20 : kind * 20 + 20] = fixed.uniform(1.0, 2.2, 20)
        loadings = np.zeros((4, N_GENES))
        for program in range(4):
            loadings[program, 80 + program * 20 : 100 + program * 20] = fixed.uniform(0.5, 0.9, 20)
        kinds = stream.choice(4, size=n, p=SHARES)
        log_rate = base + contrast * effects[kinds] + stream.normal(size=(n, 4)) @ loadings
        log_rate = log_rate - 0.5 * (loadings**2).sum(axis=0) + stream.normal(0, 0.3, (n, 1))
        counts = stream.poisson(np.exp(log_rate) * stream.gamma(5, 1 / 5, (n, N_GENES)))
        return as_cells(counts, TYPES[kinds])


def as_cells(counts: object, types: np.ndarray) -> ad.AnnData:
    """Build an AnnData as users hold them."""
    matrix = sparse.csr_matrix(counts, dtype=np.float32)
    obs = pd.DataFrame({"cell_type": pd.Categorical(types)}, index=[f"c{i}" for i in range(matrix.shape[0])])
    var = pd.DataFrame(index=[f"g{i}" for i in range(matrix.shape[1])])
    return ad.AnnData(X=matrix, obs=obs, var=var)


@dataclass(frozen=True)
class Splits:
    """Samples of one tissue: three real ones and a perfect generator's."""

    train: ad.AnnData
    reference: ad.AnnData
    real: ad.AnnData
    perfect: ad.AnnData


@pytest.fixture(scope="session")
def tissue() -> Tissue:
    """The tissue."""
    return Tissue()


@pytest.fixture(scope="session")
def splits(tissue: Tissue) -> Splits:
    """Samples large enough for every fault to show."""
    return Splits(tissue.draw(600, 1), tissue.draw(600, 2), tissue.draw(400, 3), tissue.draw(400, 4))


def class_means(splits: Splits) -> ad.AnnData:
    """Every cell is the rounded mean of its type."""
    made, types = splits.perfect.X.toarray(), np.asarray(splits.perfect.obs["cell_type"])
    for kind in TYPES:
        made[types == kind] = np.rint(made[types == kind].mean(axis=0))
    return as_cells(made, types)


def over_dispersed(splits: Splits) -> ad.AnnData:
    """Counts vary more than they should around the right means."""
    stream = np.random.default_rng(0)
    counts = splits.perfect.X.toarray()
    return as_cells(stream.poisson(counts * stream.gamma(2, 1 / 2, counts.shape)), _types(splits))


def under_dispersed(splits: Splits) -> ad.AnnData:
    """Every cell is the rounded average of three of its type."""
    stream = np.random.default_rng(0)
    counts, types = splits.perfect.X.toarray(), _types(splits)
    made = np.zeros_like(counts)
    for kind in TYPES:
        rows = np.flatnonzero(types == kind)
        made[rows] = np.mean([counts[stream.permutation(rows)] for _ in range(3)], axis=0)
    return as_cells(np.floor(made + stream.random(made.shape)), types)


def shuffled_genes(splits: Splits) -> ad.AnnData:
    """Genes are shuffled within types: no correlations."""
    return baselines.shuffled_genes(splits.train, by="cell_type", n_cells=400, seed=1)


def missing_type(splits: Splits) -> ad.AnnData:
    """The rare type never comes."""
    return splits.perfect[splits.perfect.obs["cell_type"] != "rare"].copy()


def half_memorised(splits: Splits) -> ad.AnnData:
    """Half of the cells of one type are training cells."""
    made, rows, source = _of_type(splits, "beta")
    made[rows[::2]] = source[: len(rows[::2])]
    return as_cells(made, _types(splits))


def wrong_library_size(splits: Splits) -> ad.AnnData:
    """Cells hold two thirds of the counts."""
    counts = splits.perfect.X.toarray().astype(int)
    return as_cells(np.random.default_rng(0).binomial(counts, 0.67), _types(splits))


def negative_values(splits: Splits) -> ad.AnnData:
    """Some values are below zero."""
    made = splits.perfect.X.toarray()
    made[::10, :5] = -1
    return as_cells(made, _types(splits))


def fractions(splits: Splits) -> ad.AnnData:
    """Values are not whole."""
    return as_cells(splits.perfect.X.toarray() * 0.93, _types(splits))


def swapped_labels(splits: Splits) -> ad.AnnData:
    """Two types bear each other's name."""
    swap = {"alpha": "beta", "beta": "alpha", "gamma": "gamma", "rare": "rare"}
    return as_cells(splits.perfect.X, np.array([swap[kind] for kind in _types(splits)]))


def weak_contrasts(_: Splits) -> ad.AnnData:
    """Log-fold changes between types are half of what they are."""
    return Tissue().draw(400, 4, contrast=0.5)


def collapsed_type(splits: Splits) -> ad.AnnData:
    """All cells of one type scatter around the same four cells."""
    made, rows, _ = _of_type(splits, "beta")
    stream = np.random.default_rng(0)
    made[rows] = stream.poisson(made[rows[np.arange(rows.size) % 4]])
    return as_cells(made, _types(splits))


FAULTS: dict[str, Callable[[Splits], ad.AnnData]] = {
    fault.__name__: fault
    for fault in (
        class_means, over_dispersed, under_dispersed, shuffled_genes, missing_type, half_memorised, wrong_library_size,
        negative_values, fractions, swapped_labels, weak_contrasts, collapsed_type,
    )
}  # fmt: skip


@pytest.fixture
def faults() -> dict[str, Callable[[Splits], ad.AnnData]]:
    """Generators with one fault each, by name."""
    return FAULTS


def _types(splits: Splits) -> np.ndarray:
    return np.asarray(splits.perfect.obs["cell_type"])


def _of_type(splits: Splits, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    source = splits.train.X.toarray()[np.asarray(splits.train.obs["cell_type"]) == kind]
    return splits.perfect.X.toarray(), np.flatnonzero(_types(splits) == kind), source
