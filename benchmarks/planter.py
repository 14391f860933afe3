"""Real cells with planted faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

from scdiffuse.evaluation import baselines

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData
    from numpy.typing import NDArray

_MIN_CELLS = 8
_SEED = 0


class Planter:
    """Real cells that no other sample holds, with a fault planted into a copy of them."""

    def __init__(self, spare: AnnData, train: AnnData, *, by: str) -> None:
        self._spare, self._train, self._by = spare, train, by
        self._types = spare.obs[by].to_numpy(dtype=str)
        names, sizes = np.unique(self._types, return_counts=True)
        self._order = [str(names[place]) for place in np.argsort(-sizes) if sizes[place] >= _MIN_CELLS]

    def plant(self, fault: str) -> AnnData:
        """Return cells with one fault; ``"none"`` gives them as they are."""
        stream = np.random.default_rng(_SEED)
        if fault == "shuffled genes":
            return baselines.shuffled_genes(self._train, by=self._by, n_cells=self._spare.n_obs, seed=_SEED)
        if fault == "missing type":
            return self._spare[self._types != self._order[-1]].copy()
        if fault == "swapped labels":
            swap = dict(zip(self._order[:2], self._order[1::-1], strict=True))
            types = np.array([swap.get(name, name) for name in self._types])
            return self._dress(self._spare.X, types)
        counts = np.asarray(sparse.csr_matrix(self._spare.X).toarray(), dtype=np.float64)
        return self._dress(_CHANGES[fault](self, counts, stream), self._types)

    def _dress(self, counts: NDArray[np.float64] | sparse.csr_matrix, types: NDArray[np.str_]) -> AnnData:
        obs = pd.DataFrame({self._by: pd.Categorical(types)}, index=[f"cell-{row}" for row in range(len(types))])
        return anndata.AnnData(sparse.csr_matrix(counts, dtype=np.float32), obs=obs, var=self._spare.var[[]])

    def as_they_are(self, counts: NDArray[np.float64], _: np.random.Generator) -> NDArray[np.float64]:
        """Plant nothing."""
        return counts

    def class_means(self, counts: NDArray[np.float64], _: np.random.Generator) -> NDArray[np.float64]:
        """Make every cell the rounded mean of its type."""
        for name in np.unique(self._types):
            counts[self._types == name] = np.rint(counts[self._types == name].mean(axis=0))
        return counts

    def over_dispersed(self, counts: NDArray[np.float64], stream: np.random.Generator) -> NDArray[np.float64]:
        """Draw counts anew around the right means, with too much spread."""
        return stream.poisson(counts * stream.gamma(2, 1 / 2, counts.shape)).astype(np.float64)

    def under_dispersed(self, counts: NDArray[np.float64], stream: np.random.Generator) -> NDArray[np.float64]:
        """Average three cells of a type each."""
        made = np.zeros_like(counts)
        for name in np.unique(self._types):
            rows = np.flatnonzero(self._types == name)
            made[rows] = np.mean([counts[stream.permutation(rows)] for _ in range(3)], axis=0)
        return np.asarray(np.floor(made + stream.random(made.shape)))

    def half_copied(self, counts: NDArray[np.float64], _: np.random.Generator) -> NDArray[np.float64]:
        """Put training cells in the place of half of the cells of the second largest type."""
        name = self._order[min(1, len(self._order) - 1)]
        source = self._train[self._train.obs[self._by] == name].X.toarray()
        rows = np.flatnonzero(self._types == name)[::2]
        counts[rows[: len(source)]] = source[: len(rows)]
        return counts

    def wrong_library_size(self, counts: NDArray[np.float64], stream: np.random.Generator) -> NDArray[np.float64]:
        """Lose a third of the counts."""
        return stream.binomial(counts.astype(np.int64), 0.67).astype(np.float64)

    def negative_values(self, counts: NDArray[np.float64], _: np.random.Generator) -> NDArray[np.float64]:
        """Set some values below zero."""
        counts[::10, :5] = -1
        return counts

    def fractions(self, counts: NDArray[np.float64], _: np.random.Generator) -> NDArray[np.float64]:
        """Leave values that are not whole."""
        return counts * 0.93

    def weak_contrasts(self, counts: NDArray[np.float64], stream: np.random.Generator) -> NDArray[np.float64]:
        """Halve the log-fold changes between types, by thinning counts or adding to them."""
        overall = counts.mean(axis=0) + 1e-3
        made = np.empty_like(counts)
        for name in np.unique(self._types):
            rows = self._types == name
            factor = np.sqrt(overall / (counts[rows].mean(axis=0) + 1e-3))
            kept = stream.binomial(counts[rows].astype(np.int64), np.minimum(factor, 1))
            made[rows] = kept + stream.poisson(np.maximum(factor - 1, 0) * counts[rows].mean(axis=0), kept.shape)
        return made

    def collapsed_type(self, counts: NDArray[np.float64], stream: np.random.Generator) -> NDArray[np.float64]:
        """Let all cells of the largest type scatter around four of them."""
        rows = np.flatnonzero(self._types == self._order[0])
        counts[rows] = stream.poisson(counts[rows[np.arange(rows.size) % 4]])
        return counts


_CHANGES: dict[str, Callable[[Planter, NDArray[np.float64], np.random.Generator], NDArray[np.float64]]] = {
    "none": Planter.as_they_are,
    "class means": Planter.class_means,
    "over-dispersed": Planter.over_dispersed,
    "under-dispersed": Planter.under_dispersed,
    "half of a type copied": Planter.half_copied,
    "wrong library size": Planter.wrong_library_size,
    "negative values": Planter.negative_values,
    "fractions": Planter.fractions,
    "halved log-fold changes": Planter.weak_contrasts,
    "collapsed type": Planter.collapsed_type,
}
FAULTS = (*_CHANGES, "shuffled genes", "swapped labels", "missing type")
