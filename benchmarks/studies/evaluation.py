"""What an evaluation catches and costs.

Faults are planted into real cells, one at a time, and the groups of metrics that catch them are listed. Real cells
without a fault are evaluated several times, so that false alarms are counted. Costs are measured on cells that anyone
can make: bundled example data are widened by setting copies side by side, and every sample is drawn from them by the
independent negative binomial. Real and generated cells thus follow one distribution, which is the slowest case: trees
grow deepest where there is nothing to find.
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
from benchmarks.planter import FAULTS, Planter
from benchmarks.records import rows_of
from scdiffuse import cells
from scdiffuse.evaluation import Benchmark, baselines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse.evaluation import Verdict

name = "evaluation"
title = "Evaluation"
summary = "Which planted faults an evaluation catches, and what it costs."
unit = ("part", "suite", "cells_a_side")

FAULTS_PART, SIZES_PART, ALARMS_PART, COST_PART = "faults", "faults by cells", "alarms", "cost"
SUITES: tuple[Literal["quick", "full"], ...] = ("quick", "full")
GOALS = {"quick": 60, "full": 600}
"""Seconds on two cores for 10,000 x 10,000 cells and 2,000 genes."""
SIZES = (100, 250, 500, 1000)
"""Cells a side for the table of faults by number of cells, and for alarms."""
N_DRAWS = 8
"""Draws of real cells that are evaluated as if they were generated."""
_BY = "cell_type"
_SEED = 0
_CAUGHT = {"differs", "fails"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to measure, and the sizes."""
    parts = (FAULTS_PART, SIZES_PART, ALARMS_PART, COST_PART)
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
    for size in options.sizes if ALARMS_PART in options.parts else ():
        about = {"part": ALARMS_PART, "data_set": options.large_set, "cells_a_side": size}
        yield from context.measure(about, partial(measure_alarms, context, options.large_set, size=size))
    for suite in options.suites if COST_PART in options.parts else ():
        about = {"part": COST_PART, "suite": suite, "cells": options.cells, "genes": options.genes}
        about["threads"] = options.threads
        yield from context.measure(about, partial(measure_cost, suite, n_cells=options.cells, n_genes=options.genes))


def measure_faults(context: Context, data_set: str, *, size: int | None = None) -> list[dict[str, str]]:
    """Plant every fault and evaluate with the default suite; one row each and group of metrics.

    With a size, that many held-out cells, cells with the fault and other real cells are compared, and as many training
    cells are known.
    """
    adata, by = _cells_of(context, data_set)
    if size is None:
        half, reference, real = cells.split(adata, by=by, fractions=(0.5, 0.25, 0.25), seed=_SEED)
        train, spare, _ = cells.split(half, by=by, fractions=(0.5, 0.5, 0.0), seed=_SEED + 1)
    else:
        real, spare, train, reference = _draw(adata, size, seed=_SEED)
    planter = Planter(spare, train, by=by)
    benchmark = Benchmark(real, reference=reference, train=train, by=by, seed=_SEED, progress=False)
    return [
        _row(fault, verdict) for fault in FAULTS for verdict in benchmark.score(planter.plant(fault)).verdicts.values()
    ]


def measure_alarms(context: Context, data_set: str, *, size: int) -> list[dict[str, object]]:
    """Evaluate other real cells as if they were generated; one row each draw and group of metrics."""
    adata, by = _cells_of(context, data_set)
    rows: list[dict[str, object]] = []
    for seed in range(N_DRAWS):
        real, spare, train, reference = _draw(adata, size, seed=seed)
        benchmark = Benchmark(real, reference=reference, train=train, by=by, seed=_SEED, progress=False)
        rows += [{"draw": seed, **_row("none", verdict)} for verdict in benchmark.score(spare).verdicts.values()]
    return rows


def _cells_of(context: Context, data_set: str) -> tuple[AnnData, str]:
    chosen = DATA_SETS[data_set]
    by = chosen.condition_keys[0]
    return trim(load(chosen, context.data), by, max_cells=None), by


def _draw(adata: AnnData, size: int, *, seed: int) -> list[AnnData]:
    """Draw real, spare, training and reference cells; of these half as many again, to choose genes."""
    rows = np.random.default_rng(seed).permutation(adata.n_obs)
    ends = np.cumsum([size, size, size, size + size // 2])
    return [adata[rows[begin:end]].copy() for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


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
        + _alarms(only(found, part=ALARMS_PART))
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
    caught = [row["group"] for row in rows if row["level"] in _CAUGHT]
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


def _alarms(found: list[dict[str, Any]]) -> list[str]:
    if not found:
        return []
    rows = []
    for size in sorted(distinct(found, "cells_a_side")):
        mine = only(found, cells_a_side=size)
        counts = [sum(one["level"] in levels for one in mine) for levels in ({"passes"}, {"too_few"}, _CAUGHT)]
        caught = sorted({f"{one['group']} ({one['caught_by']})" for one in mine if one["level"] in _CAUGHT})
        rows.append([f"{size:,}", len(distinct(mine, "draw")), *counts, "; ".join(caught)])
    about = (
        f"Other real cells of {found[0]['data_set']} in the place of generated ones: how often each answer was given, "
        "over draws of all cells and groups of metrics. *Caught* is a false alarm here."
    )
    header = ["cells a side", "draws", "as close as real cells", "too few to tell", "caught", "by"]
    return ["#### False alarms", about, grid(header, rows)]


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
