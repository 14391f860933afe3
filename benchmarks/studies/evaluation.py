"""What an evaluation catches and costs.

Faults are planted into real cells, one at a time, and the groups of metrics that catch them are listed. Costs are
measured on cells that anyone can make: bundled example data are widened by setting copies side by side, and every
sample is drawn from them by the independent negative binomial. Real and generated cells thus follow one distribution,
which is the slowest case: trees grow deepest where there is nothing to find.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.cost import Meter
from benchmarks.data import DATA_SETS, load, trim
from benchmarks.layout import distinct, grid, only
from benchmarks.records import rows_of
from scdiffuse import cells
from scdiffuse.evaluation import Benchmark, baselines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse.evaluation import Verdict

name = "evaluation"
title = "Evaluation"
summary = "Which planted faults an evaluation catches, and what it costs."
unit = ("part", "suite", "cells_a_side")

FAULTS_PART, SIZES_PART, COST_PART = "faults", "faults by cells", "cost"
SUITES: tuple[Literal["quick", "full"], ...] = ("quick", "full")
GOALS = {"quick": 60, "full": 600}
"""Seconds on two cores for 10,000 x 10,000 cells and 2,000 genes."""
SIZES = (100, 250, 500, 1000)
"""Cells a side for the table of faults by number of cells."""
_BY = "cell_type"
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to measure, and the sizes."""
    parts = (FAULTS_PART, SIZES_PART, COST_PART)
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--set", default="pbmc68k", choices=list(DATA_SETS), help="data set to plant faults into")
    parser.add_argument(
        "--suites", nargs="+", choices=SUITES, default=list(SUITES), help="suites whose cost is measured"
    )
    parser.add_argument("--large-set", default="kang_ctrl_8donors", choices=list(DATA_SETS), help="for faults by cells")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="cells a side for faults by cells")
    parser.add_argument("--cells", type=int, default=10_000, help="cells of each sample whose cost is measured")
    parser.add_argument("--genes", type=int, default=2_000, help="genes of them")


def run(context: Context) -> Iterator[Record]:
    """Plant the faults, and evaluate once with each suite."""
    options = context.options
    if FAULTS_PART in options.parts:
        about = {"part": FAULTS_PART, "data_set": options.set}
        yield from context.measure(about, partial(measure_faults, context, options.set))
    for size in options.sizes if SIZES_PART in options.parts else ():
        about = {"part": SIZES_PART, "data_set": options.large_set, "cells_a_side": size}
        yield from context.measure(about, partial(measure_faults, context, options.large_set, size=size))
    for suite in options.suites if COST_PART in options.parts else ():
        about = {"part": COST_PART, "suite": suite, "cells": options.cells, "genes": options.genes}
        about["threads"] = options.threads
        yield from context.measure(about, partial(measure_cost, suite, n_cells=options.cells, n_genes=options.genes))


def measure_faults(context: Context, data_set: str, *, size: int | None = None) -> list[dict[str, str]]:
    """Plant every fault and evaluate with the default suite; one row each and group of metrics.

    With a size, that many held-out cells, cells with the fault and other real cells are compared, and as many training
    cells are known.
    """
    chosen = DATA_SETS[data_set]
    by = chosen.condition_keys[0]
    adata = trim(load(chosen, context.data), by, max_cells=None)
    if size is None:
        half, reference, real = cells.split(adata, by=by, fractions=(0.5, 0.25, 0.25), seed=_SEED)
        train, spare, _ = cells.split(half, by=by, fractions=(0.5, 0.5, 0.0), seed=_SEED + 1)
    else:
        # Half as many reference cells again, for choosing genes and components.
        rows = np.random.default_rng(_SEED).permutation(adata.n_obs)
        ends = np.cumsum([size, size, size, size + size // 2])
        real, spare, train, reference = (
            adata[rows[begin:end]].copy() for begin, end in zip([0, *ends[:-1]], ends, strict=True)
        )
    planter = Planter(spare, train, by=by)
    benchmark = Benchmark(real, reference=reference, train=train, by=by, seed=_SEED, progress=False)
    return [
        _row(fault, verdict) for fault in FAULTS for verdict in benchmark.score(planter.plant(fault)).verdicts.values()
    ]


def _row(fault: str, verdict: Verdict) -> dict[str, str]:
    caught = "; ".join(verdict.evidence[:3]) or "; ".join(verdict.labels[:3])
    return {
        "fault": fault,
        "group": verdict.group,
        "level": verdict.level,
        "caught_by": caught if verdict.flagged else "",
    }


def make_samples(n_cells: int, n_genes: int) -> dict[str, AnnData]:
    """Draw four samples of one distribution, ``n_cells`` each on ``n_genes`` genes, with the types of pbmc68k."""
    import scdiffuse

    source = scdiffuse.datasets.pbmc68k()
    n_copies = -(-n_genes // source.n_vars)
    counts = sparse.csr_matrix(sparse.hstack([sparse.csr_matrix(source.X)] * n_copies))[:, :n_genes]
    names = [f"{gene}-{copy}" for copy in range(n_copies) for gene in source.var_names][:n_genes]
    wide = anndata.AnnData(counts, obs=source.obs[[_BY]], var=pd.DataFrame(index=names))
    roles = ("real", "reference", "train", "generated")
    return {role: baselines.independent_nb(wide, by=_BY, n_cells=n_cells, seed=seed) for seed, role in enumerate(roles)}


def measure_cost(suite: Literal["quick", "full"], *, n_cells: int, n_genes: int) -> dict[str, object]:
    """Evaluate once with a suite: what it cost, and on how many cells."""
    from scdiffuse import evaluate

    samples = make_samples(n_cells, n_genes)
    generated = samples["generated"]
    with Meter() as meter:
        report = evaluate(
            samples["real"],
            generated,
            reference=samples["reference"],
            train=samples["train"],
            by=_BY,
            suite=suite,
            progress=False,
        )
    return {
        "cells": generated.n_obs,
        "genes": generated.n_vars,
        "cells_a_side": report.settings["n_cells_a_side"],
        "labels": len(report.by),
        "metrics": len(report.metrics),
        **meter.cost.to_json(),
    }


def lines(records: Sequence[Record]) -> list[str]:
    """Write what was caught, and what it costs."""
    found = rows_of(records)
    return (
        _caught(only(found, part=FAULTS_PART))
        + _caught_by_size(only(found, part=SIZES_PART))
        + _costs(only(found, part=COST_PART))
    )


def _caught(found: list[dict[str, Any]]) -> list[str]:
    if not found:
        return []
    groups = distinct(found, "group")
    rows = []
    for fault in distinct(found, "fault"):
        cell = {
            row["group"]: f"{row['level']}: {row['caught_by']}" if row["caught_by"] else ""
            for row in only(found, fault=fault)
        }
        rows.append([fault, *(cell.get(group, "") for group in groups)])
    about = (
        f"Planted faults: real cells of {found[0]['data_set']} with one fault each, evaluated with the default suite. "
        "A group that catches a fault names the metrics that did, at most three; an empty cell found nothing."
    )
    return ["#### Planted faults", about, grid(["fault", *groups], rows)]


def answer(rows: Sequence[dict[str, Any]]) -> str:
    """Sum up the verdicts on one fault: caught by which groups, too few cells to tell, or missed."""
    caught = [row["group"] for row in rows if row["level"] in {"differs", "fails"}]
    if caught:
        return "caught: " + ", ".join(caught)
    unsure = [row["group"] for row in rows if row["level"] == "too_few"]
    return "too few to tell: " + ", ".join(unsure) if unsure else "as close as real cells"


def _caught_by_size(found: list[dict[str, Any]]) -> list[str]:
    if not found:
        return []
    sizes = sorted(distinct(found, "cells_a_side"))
    rows = [
        [fault, *(answer(only(found, fault=fault, cells_a_side=size)) for size in sizes)]
        for fault in distinct(found, "fault")
    ]
    about = (
        f"The same faults in {found[0]['data_set']} by the number of cells a side, default suite. Three answers: "
        "caught by these groups; no group found anything, and these have too few cells to tell; or as close as real "
        "cells, which is right in the first row only."
    )
    return ["#### Planted faults by number of cells", about, grid(["fault", *(f"{n:,}" for n in sizes)], rows)]


def _costs(found: list[dict[str, Any]]) -> list[str]:
    if not found:
        return []
    header = ["suite", "real and generated cells, each", "genes", "types", "metrics", "s", "CPU s", "peak MiB"]
    rows = []
    for one in sorted(found, key=lambda one: SUITES.index(one["suite"])):
        sizes = [one["suite"], f"{one['cells']:,}", f"{one['genes']:,}", one["labels"], one["metrics"]]
        costs = [f"{one['seconds']:.0f}", f"{one['cpu_seconds']:.0f}", f"{one['peak_mib']:,.0f}"]
        rows.append([*sizes, *costs, GOALS[one["suite"]]])
    about = (
        "Costs, with as many reference and training cells, the real-vs-real reference, baselines and every type "
        "included. The goals are for two cores, 10,000 cells and 2,000 genes."
    )
    return ["#### What an evaluation costs", about, grid([*header, "goal, s"], rows)]
