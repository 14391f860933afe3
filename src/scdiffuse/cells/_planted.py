"""Effects of known size, planted into real counts."""

from __future__ import annotations

from itertools import product

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse._core.random import generator

__all__ = ["plant_effects"]

Floats = NDArray[np.float64]

_CONDITIONS, _DAYS, _BATCHES = ("control", "stimulated"), (0.0, 1.0, 2.0, 3.0), ("b1", "b2")
_LOG2_FOLD = {"condition": 2.0, "day": 2.0, "batch": 1.0}
"""Largest effect of each column: stimulated for control, day 3 for day 0, batch b2 for b1."""
_N_GENES = 60


def plant_effects(adata: ad.AnnData, *, by: str, seed: int) -> ad.AnnData:
    """Assign cells to conditions, days and batches at random, and change their counts as `var` says.

    Counts that fall are thinned; counts that rise get Poisson counts at the mean of the cell's type. Each of the three
    columns changes genes of its own, by the same factor in every cell type.

    Parameters
    ----------
    adata
        Raw counts, shape ``(N, G)``.
    by
        `obs` column of cell types; every type is spread evenly over the assignments.
    seed
        The same seed gives the same cells.
    """
    counts = np.asarray(adata.X.todense(), dtype=np.float64)
    rng = generator(seed, "planted effects")
    obs = adata.obs.assign(**_assign(adata.obs[by].to_numpy(), rng))
    var = pd.DataFrame(_log2_folds(counts), index=adata.var_names)
    weights = {
        "condition": (obs["condition"] == "stimulated").to_numpy(dtype=np.float64),
        "day": obs["day"].to_numpy() / max(_DAYS),
        "batch": (obs["batch"] == "b2").to_numpy(dtype=np.float64),
    }
    folds = np.exp2(sum(np.outer(weight, var[f"log2_fold_{name}"]) for name, weight in weights.items()))
    thinned = rng.binomial(counts.astype(np.int64), np.minimum(folds, 1.0))
    added = rng.poisson(_type_means(counts, adata.obs[by]) * np.maximum(folds - 1.0, 0.0))
    obs = obs.assign(**{name: pd.Categorical(obs[name]) for name in ("condition", "batch")})
    return ad.AnnData(X=sp.csr_matrix((thinned + added).astype(np.float32)), obs=obs, var=var, uns=dict(adata.uns))


def _assign(labels: NDArray[np.object_], rng: np.random.Generator) -> dict[str, list[str] | list[float]]:
    """Deal the cells of each label to all combinations in turn."""
    combinations = list(product(_CONDITIONS, _DAYS, _BATCHES))
    turns = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        turns[rows] = (np.arange(len(rows)) + rng.integers(len(combinations))) * 5 % len(combinations)
    dealt = [combinations[turn] for turn in turns]
    return {name: [one[at] for one in dealt] for at, name in enumerate(("condition", "day", "batch"))}  # type: ignore[misc]


def _log2_folds(counts: Floats) -> dict[str, Floats]:
    """Give each column every third of the most expressed genes, up and down in turn."""
    order = np.argsort(-counts.mean(axis=0), kind="stable")[: len(_LOG2_FOLD) * _N_GENES]
    found = {}
    for at, (name, largest) in enumerate(_LOG2_FOLD.items()):
        folds = np.zeros(counts.shape[1])
        genes = order[at :: len(_LOG2_FOLD)]
        folds[genes] = largest * (-1.0) ** np.arange(len(genes))
        found[f"log2_fold_{name}"] = folds
    return found


def _type_means(counts: Floats, labels: pd.Series) -> Floats:
    """Return for each cell the mean counts of its type at the cell's own library size, shape ``(N, G)``."""
    sizes = counts.sum(axis=1)
    means = np.zeros_like(counts)
    for label in labels.unique():
        rows = (labels == label).to_numpy()
        means[rows] = np.outer(sizes[rows], counts[rows].sum(axis=0) / sizes[rows].sum())
    return means
