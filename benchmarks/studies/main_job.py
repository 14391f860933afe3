"""The numbers of the main job: fit, generate, evaluate, start; each beside its goal.

Every part measures in a process of its own.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks import spaces
from benchmarks.cost import Meter
from benchmarks.data import slug
from benchmarks.layout import grid
from benchmarks.models import LABEL, open_model, read_parts
from benchmarks.records import rows_of
from benchmarks.studies.comparison import MAIN
from benchmarks.study import in_process

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse import CellGenerator

name = "main_job"
title = "The main job"
summary = "Fit, generation, realism, memory and start-up of the main job, beside their goals."
unit = ("part",)

Row = dict[str, Any]
PARTS = ("pbmc3k", "rate", "million", "startup")
_CELLS_PER_TYPE = 200
_TRIVIAL = ("independent_nb", "shuffled_genes")


def _row(what: str, *, value: float, unit: str, goal: str | None = None) -> Row:
    return {"measure": what, "value": value, "unit": unit, "goal": goal}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to measure, and sizes for a trial."""
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure")
    parser.add_argument("--cells", type=int, help="draw this many cells of pbmc3k, for a trial")
    parser.add_argument("--n-cells", type=int, default=1_000_000, help="cells written by `million`")
    parser.set_defaults(threads=2)


def run(context: Context) -> Iterator[Record]:
    """Measure each part in a process of its own."""
    options = context.options
    for part in options.parts:
        about = {"part": part, "threads": options.threads, "cells": options.cells, "n_cells": options.n_cells}
        call = partial(in_process, context, f"main_job:measure_{part}")
        yield from context.measure(about, call)


def measure_pbmc3k(context: Context) -> list[Row]:
    """Fit time and memory, classifier two-sample test, and the right type of generated cells, on pbmc3k."""
    import scdiffuse

    parts = read_parts("pbmc3k", context, max_cells=context.options.cells)
    model = scdiffuse.CellGenerator(parts["fit"], conditions=[LABEL], min_cells=1)
    with Meter() as fit:
        model.fit(seed=0, progress=False)
    model.save(context.work / "models" / f"{slug('pbmc3k', context.options.cells)}.scd", overwrite=True)
    held_out = parts["held_out"]
    cells = model.generate(where=held_out.obs[[LABEL]].reset_index(drop=True), seed=1, progress=False)
    report = scdiffuse.evaluate(
        held_out, cells, reference=parts["reference"], train=parts["fit"], by=LABEL, suite="quick", progress=False
    )
    return [
        _row("pbmc3k: fit, wall time", value=fit.cost.seconds, unit="s", goal="< 600"),
        _row("pbmc3k: fit, CPU time", value=fit.cost.cpu_seconds, unit="s"),
        _row("pbmc3k: fit, peak memory", value=fit.cost.peak_mib, unit="MiB", goal="< 2048"),
        *_scores(dict(report.to_json()["metrics"][MAIN])),
        *right_types(model, parts),
    ]


def measure_rate(context: Context) -> list[Row]:
    """Cells per second to integer counts in memory."""
    rows = []
    for data_set, n_cells, goal in (("pbmc68k", 20_000, ">= 3000"), ("pbmc3k", 4_000, ">= 500")):
        model = open_model(data_set, context, max_cells=context.options.cells)
        model.generate(500, seed=0, progress=False)
        with Meter() as meter:
            model.generate(n_cells, seed=1, progress=False)
        what = f"{data_set}: generate {n_cells:,} cells x {len(model.genes):,} genes"
        rows += [
            _row(what, value=n_cells / meter.cost.seconds, unit="cells/s", goal=goal),
            _row(f"{what}, CPU time", value=meter.cost.cpu_seconds, unit="s"),
            _row(f"{what}, peak memory", value=meter.cost.peak_mib, unit="MiB"),
        ]
    return rows


def measure_million(context: Context) -> list[Row]:
    """Many cells of the model of bundled data straight to disk."""
    model, target = open_model("pbmc68k", context, max_cells=context.options.cells), context.work / "million.h5ad"
    with Meter() as meter:
        model.generate(context.options.n_cells, seed=0, path=target, overwrite=True, progress=False)
    what, size = f"{context.options.n_cells:,} bundled cells to disk", target.stat().st_size / 2**20
    target.unlink()
    return [
        _row(f"{what}, peak memory", value=meter.cost.peak_mib, unit="MiB", goal="< 1536"),
        _row(f"{what}, wall time", value=meter.cost.seconds, unit="s"),
        _row(f"{what}, CPU time", value=meter.cost.cpu_seconds, unit="s"),
        _row(f"{what}, rate", value=context.options.n_cells / meter.cost.seconds, unit="cells/s"),
        _row(f"{what}, file", value=size, unit="MiB"),
    ]


def measure_startup(_: Context) -> list[Row]:
    """Import and `--help`, beside the bare interpreter."""
    commands = {
        "python, nothing imported": (["-c", "pass"], None),
        "import scdiffuse": (["-c", "import scdiffuse"], "< 0.5"),
        "scdiffuse --help": (["-c", "from scdiffuse.cli import main; main()", "--help"], "< 0.5"),
    }
    return [
        _row(what, value=_median_seconds([sys.executable, *arguments]), unit="s", goal=goal)
        for what, (arguments, goal) in commands.items()
    ]


def _scores(score: dict[str, Any]) -> list[Row]:
    what = "pbmc3k: forest AUC on genes, held-out against generated cells"
    baselines = [
        _row(f"{what}: baseline {baseline}", value=value, unit="", goal="> 0.88" if baseline in _TRIVIAL else None)
        for baseline, value in score["baselines"].items()
    ]
    return [
        _row(what, value=score["value"], unit="", goal="<= 0.75"),
        _row(f"{what}: real-vs-real reference", value=score["reference"], unit="", goal="about 0.50"),
        *baselines,
    ]


def right_types(model: CellGenerator, parts: dict[str, AnnData]) -> list[Row]:
    """Compare how often a classifier of real cells gives generated and unseen real cells their type."""
    import anndata
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    training = parts["fit"]
    # Held-out and reference cells together: of the rarest type either alone has three.
    unseen = anndata.concat([parts["held_out"], parts["reference"]])
    types = [label for label in training.obs[LABEL].cat.categories if label != "unlabelled"]
    asked = pd.DataFrame({LABEL: np.repeat(types, _CELLS_PER_TYPE)})
    generated = model.generate(where=asked, seed=2, progress=False)
    labelled = training[training.obs[LABEL].isin(types)]
    classifier = LogisticRegression(max_iter=300, class_weight="balanced").fit(
        spaces.log_normalise(labelled), labelled.obs[LABEL].astype(str)
    )
    rows = []
    assert isinstance(generated, anndata.AnnData)
    for label in types:
        fractions = []
        for cells in (generated, unseen):
            of_type = cells[(cells.obs[LABEL] == label).to_numpy()]
            fractions.append(float((classifier.predict(spaces.log_normalise(of_type)) == label).mean()))
        what = f"pbmc3k: {label} given the right type, generated / real"
        # No ratio where no real cell is given its type, as may be in a trial of few cells.
        ratio = fractions[0] / fractions[1] if fractions[1] else math.nan
        rows.append(_row(what, value=ratio, unit="", goal=">= 0.90"))
    return rows


def _median_seconds(argv: list[str], *, n_times: int = 7) -> float:
    seconds = []
    for _ in range(n_times):
        start = time.perf_counter()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def lines(records: Sequence[Record]) -> list[str]:
    """Write every number beside its goal."""
    rows = [
        [one["measure"], f"{_number(one['value'])} {one['unit']}".strip(), one["goal"], one["threads"]]
        for one in rows_of(sorted(records, key=lambda record: PARTS.index(record.settings["part"])))
    ]
    return [grid(["measure", "value", "goal", "threads"], rows)]


def _number(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"
