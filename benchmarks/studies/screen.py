"""A screen: control cells predicted under many perturbations, by the time that this takes.

The model is fitted once. All control cells, drawn again until there are enough, are predicted under all labels by one
call.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np

from benchmarks.cost import Meter
from benchmarks.layout import Row, grid
from benchmarks.models import SECONDS_FILE, Fit, model_of, read
from benchmarks.records import rows_of
from benchmarks.study import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse import CellGenerator

name = "screen"
title = "A screen of perturbations"
summary = "Control cells predicted under many perturbations: minutes, and cells a second."
unit = ("data_set", "threads")

_MINUTE = 60.0


@dataclass(frozen=True, kw_only=True)
class Screen:
    """What is predicted: which cells, under what."""

    fit: Fit
    key: str
    """Condition that is changed, a label or a number."""

    start: tuple[str, str]
    """Column and label of the cells that are given."""

    ignored: tuple[str, ...] = ()
    """Labels that are no perturbations."""

    def cells(self, adata: anndata.AnnData, n_cells: int, *, seed: int) -> anndata.AnnData:
        """Draw cells to start from; each is taken once before any is taken again."""
        column, label = self.start
        rows = np.flatnonzero((adata.obs[column] == label).to_numpy())
        chosen = np.resize(np.random.default_rng(seed).permutation(rows), n_cells)
        obs = adata.obs.iloc[chosen].set_axis([f"cell {at}" for at in range(n_cells)])
        return anndata.AnnData(adata.X[chosen], obs=obs, var=adata.var)

    def targets(self, model: CellGenerator, n_labels: int) -> list[Any]:
        """Choose labels, or numbers from the lowest to the highest that was measured."""
        if self.key in model.conditions.continuous:
            measured = model.conditions.continuous[self.key]
            return list(map(float, np.linspace(measured.min, measured.max, n_labels)))
        without = {*self.ignored, self.start[1]}
        return [label for label in model.conditions.categorical[self.key] if label not in without][:n_labels]


SCREENS = {
    "papalexi_lowmoi": Screen(
        fit=Fit(name="screen", data_set="papalexi_lowmoi", conditions=("perturbation", "batch")),
        key="perturbation",
        start=("perturbation", "non-targeting"),
        ignored=("unassigned",),
    ),
    "malaria_pberghei": Screen(
        fit=Fit(name="screen", data_set="malaria_pberghei", conditions=("cell_type",), continuous=("time",)),
        key="time",
        start=("cell_type", "ring"),
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add data sets and sizes."""
    parser.add_argument("--sets", nargs="+", default=list(SCREENS), choices=list(SCREENS))
    parser.add_argument("--n-cells", type=int, default=20_000, help="control cells, drawn again where there are fewer")
    parser.add_argument("--n-labels", type=int, default=25, help="labels or numbers that they are predicted under")


def run(context: Context) -> Iterator[Record]:
    """Measure each data set."""
    names = ("n_cells", "n_labels", "threads")
    for data_set in context.options.sets:
        about = {"data_set": data_set} | {key: getattr(context.options, key) for key in names}
        yield from context.measure(about, partial(measure, context, SCREENS[data_set]))


def measure(context: Context, screen: Screen) -> Row:
    """Predict the cells under each label, and add up what it costs."""
    options, seed = context.options, context.seeds[0]
    model = model_of(screen.fit, context)
    given = screen.cells(read(screen.fit.data_set, context), options.n_cells, seed=seed)
    targets = screen.targets(model, options.n_labels)
    with Meter() as meter:
        model.predict(given, to={screen.key: targets}, seed=seed, progress=False)
    cost = meter.cost
    say(f"{len(targets)} of {screen.key}: {cost.cpu_seconds:.1f} CPU seconds")
    return {
        "genes": len(model.genes),
        "key": screen.key,
        "targets": len(targets),
        "seconds": cost.seconds,
        "cpu_seconds": cost.cpu_seconds,
        "peak_mib": cost.peak_mib,
        "fit_cpu_seconds": float((context.work / "models" / screen.fit.key / SECONDS_FILE).read_text("utf-8")),
    }


def lines(records: Sequence[Record]) -> list[str]:
    """Write what each screen took, by size."""
    found = [row | {"predictions": row["n_cells"] * row["targets"]} for row in rows_of(records)]
    about = (
        "Control cells are predicted under all perturbations by one call; where there are fewer, they are taken "
        "again. Minutes are of all predictions, counts included, without the fit, which is made once. Other work on "
        "the machine makes both longer, wall-clock time most."
    )
    header = ("data set", "genes", "condition", "cells", "perturbations", "threads", "minutes", "CPU minutes")
    rates = ("cells a second", "cells a CPU second", "peak MiB", "CPU minutes of the fit")
    rows = [
        [
            *(row[key] for key in ("data_set", "genes", "key", "n_cells", "targets", "threads")),
            *(row[key] / _MINUTE for key in ("seconds", "cpu_seconds")),
            *(row["predictions"] / row[key] for key in ("seconds", "cpu_seconds")),
            row["peak_mib"],
            row["fit_cpu_seconds"] / _MINUTE,
        ]
        for row in found
    ]
    return [about, grid((*header, *rates), rows)]
