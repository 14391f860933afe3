"""Generators with one fault each, planted into real cells, and which group of metrics catches them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.data import DATA_SETS, load, trim
from scdiffusion import cells
from scdiffusion.evaluation import Benchmark, baselines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

    from scdiffusion.evaluation import Verdict

FAULTS_FILE = "faults.csv"
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
            return baselines.shuffled_genes(self._train, by=self._by, n=self._spare.n_obs, seed=_SEED)
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

    def wrong_depth(self, counts: NDArray[np.float64], stream: np.random.Generator) -> NDArray[np.float64]:
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
    "wrong depth": Planter.wrong_depth,
    "negative values": Planter.negative_values,
    "fractions": Planter.fractions,
    "halved log-fold changes": Planter.weak_contrasts,
    "collapsed type": Planter.collapsed_type,
}
FAULTS = (*_CHANGES, "shuffled genes", "swapped labels", "missing type")


def run(results: Path, *, data_set: str, data: Path | None) -> None:
    """Plant every fault, evaluate with the default suite, and write the table."""
    chosen = DATA_SETS[data_set]
    by = chosen.condition_keys[0]
    adata = trim(load(chosen, data), by, max_cells=None)
    half, reference, real = cells.split(adata, by=by, fractions=(0.5, 0.25, 0.25), seed=_SEED)
    train, spare, _ = cells.split(half, by=by, fractions=(0.5, 0.5, 0.0), seed=_SEED + 1)
    planter = Planter(spare, train, by=by)
    benchmark = Benchmark(real, reference=reference, train=train, by=by, seed=_SEED, progress=False)
    rows = []
    for fault in FAULTS:
        report = benchmark.score(planter.plant(fault))
        rows += [_row(data_set, fault, verdict) for verdict in report.verdicts.values()]
        results.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(results / FAULTS_FILE, index=False)


def _row(data_set: str, fault: str, verdict: Verdict) -> dict[str, str]:
    caught = "; ".join(verdict.evidence[:3]) or "; ".join(verdict.labels[:3])
    return {
        "data_set": data_set,
        "fault": fault,
        "group": verdict.group,
        "level": verdict.level,
        "caught_by": caught if verdict.flagged else "",
    }


def section(results: Path) -> str:
    """Write the section of the results page; nothing if the faults were never planted."""
    path = results / FAULTS_FILE
    if not path.exists():
        return ""
    table = pd.read_csv(path, keep_default_na=False)
    groups = list(dict.fromkeys(table["group"]))
    lines = [["fault", *groups], ["---"] * (len(groups) + 1)]
    for fault, rows in table.groupby("fault", sort=False):
        told = {row.group: _cell(str(row.level), str(row.caught_by)) for row in rows.itertuples(index=False)}
        lines.append([str(fault), *(told.get(group, "") for group in groups)])
    grid = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return (
        "## Planted faults\n\n"
        f"`python -m benchmarks faults`: real cells of {table['data_set'].iloc[0]} with one fault each, judged by the "
        "default suite.\nA group that catches a fault says so with the metrics that did, at most three; an empty cell "
        f"found nothing.\n\n{grid}"
    )


def _cell(level: str, caught_by: str) -> str:
    return f"{level}: {caught_by}" if caught_by else ""
