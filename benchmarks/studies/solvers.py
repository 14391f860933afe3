"""Quality against solver steps and denoiser calls.

All numbers of steps begin with the same noise and draw counts from the same streams, so that what differs between them
is the solver alone.
"""

from __future__ import annotations

import time
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.data import DATA_SETS, load
from benchmarks.layout import axes_of, distinct, figure_of, grid, only, save
from benchmarks.models import LABEL, open_model, read_parts
from benchmarks.records import rows_of
from benchmarks.spaces import log_normalise
from benchmarks.study import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse import CellGenerator

name = "solvers"
title = "Quality against solver steps"
summary = "Quality against solver steps and denoiser calls, for solvers and distilled samplers."
unit = ("part", "data_set")

Row = dict[str, Any]
STEPS = (1, 2, 4, 8, 10, 16, 32, 100)
DISTILLED_STEPS = (1, 2, 4)
DEFAULT, MOST = 10, 100
TOLERANCE = 0.02
ERROR = "root mean square distance to 100 steps, latents"
MULTISTEP, DISTILLED = "multistep", "distilled sampler"
CALLED_METRICS = ("forest_pcs_auc", "energy")
CALLED_STEPS = (1, 2, 4, 8, 16, 32, 64)
STEPS_PART, SOLVERS_PART = "steps", "solvers"
FIGURES = {
    "solvers.png": "Quality against the number of denoiser calls, by solver.",
    "steps.png": "Quality against solver steps, same noise and same streams of counts; grey: within 2 % of 100 steps.",
}
_COMPONENTS = 30
_FORESTS = 5
_MARKERS = {"pbmc68k": "o", "pbmc3k": "s"}
_LINES = {MULTISTEP: "-", DISTILLED: ":"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to measure, and on which data sets."""
    parser.add_argument("--parts", nargs="+", choices=(STEPS_PART, SOLVERS_PART), default=[STEPS_PART, SOLVERS_PART])
    parser.add_argument("--sets", nargs="+", default=list(_MARKERS), choices=list(_MARKERS), help="of the steps")
    parser.add_argument("--distilled", type=int, nargs="*", default=list(DISTILLED_STEPS), help="steps of samplers")
    parser.set_defaults(seeds=[0, 1, 2, 3, 4])


def run(context: Context) -> Iterator[Record]:
    """Measure numbers of steps on each data set, and all solvers on pbmc3k."""
    options = context.options
    for data_set in options.sets if STEPS_PART in options.parts else ():
        asked = {"seeds": options.seeds, "distilled": options.distilled}
        about = {"part": STEPS_PART, "data_set": data_set, **asked}
        yield from context.measure(about, partial(measure_steps, context, data_set, **asked))
    if SOLVERS_PART in options.parts:
        about = {"part": SOLVERS_PART, "data_set": "pbmc3k"}
        yield from context.measure(about, partial(measure_solvers, context, "pbmc3k"))


class Measures:
    """Measures of generated cells against real ones."""

    def __init__(self, model: CellGenerator, real: AnnData) -> None:
        from sklearn.decomposition import PCA

        from benchmarks.inside import posterior_latents

        self._logs = log_normalise(real, model.genes)
        self._types = real.obs[LABEL].astype(str).to_numpy()
        self._components = PCA(_COMPONENTS, random_state=0).fit(self._logs)
        self._latents = posterior_latents(model, real)
        self.most: np.ndarray | None = None
        """Latents after the most steps."""

    def __call__(self, latents: np.ndarray, cells: AnnData) -> dict[str, float]:
        """Measure latents, shape ``(N, D + 1)``, and the counts drawn from them; `most` must be known."""
        from scdiffuse.metrics import energy_distance, two_sample_auc

        assert self.most is not None
        logs = log_normalise(cells)
        n = min(len(logs), len(self._logs))
        forests = [two_sample_auc(self._logs[:n], logs[:n], folds=3, seed=seed).auc for seed in range(_FORESTS)]
        drawn, real = (self._components.transform(one) for one in (logs, self._logs))
        types = cells.obs[LABEL].astype(str).to_numpy()
        apart = [logs[types == one].mean(axis=0) - self._logs[self._types == one].mean(axis=0) for one in set(types)]
        return {
            "energy distance, latents": float(energy_distance(latents, self._latents, unbiased=False)),
            "energy distance, genes": float(energy_distance(drawn, real, unbiased=False)),
            "root mean square error, means of types": float(np.sqrt(np.mean(np.square(apart)))),
            "forest AUC, genes": float(np.mean(forests)),
            ERROR: float(np.sqrt(np.mean((latents - self.most) ** 2))),
        }


def measure_steps(context: Context, data_set: str, *, seeds: list[int], distilled: list[int]) -> list[Row]:
    """Measure all numbers of steps on one data set: cells of the types of the real ones, held out where there are."""
    from benchmarks.inside import generated_latents

    model, bundled = open_model(data_set, context), DATA_SETS[data_set].bundled
    real = load(DATA_SETS[data_set], None) if bundled else read_parts(data_set, context)["held_out"]
    types, measures, found = real.obs[[LABEL]].reset_index(drop=True), Measures(model, real), []
    ways = [(steps, False) for steps in sorted(STEPS, reverse=True)] + [(steps, True) for steps in distilled]
    most: dict[int, np.ndarray] = {}
    for steps, is_distilled in ways:
        sampler = model.distill(solver_steps=steps, progress=False) if is_distilled else model
        for seed in seeds:
            latents, cells = generated_latents(sampler, types, solver_steps=steps, seed=seed)
            measures.most = most.setdefault(seed, latents)
            shared: Row = {"seed": seed, "steps": steps, "cells": len(types)}
            shared["solver"] = DISTILLED if is_distilled else MULTISTEP
            found += [
                {**shared, "metric": metric, "value": value} for metric, value in measures(latents, cells).items()
            ]
            say(f"{found[-1]}")
    return found


def measure_solvers(context: Context, data_set: str) -> list[Row]:
    """Measure quality against denoiser calls, for every solver."""
    import scdiffuse
    from scdiffuse.diffusion import SOLVERS

    model, parts = open_model(data_set, context), read_parts(data_set, context)
    where = parts["held_out"].obs[[LABEL]].reset_index(drop=True)
    found: list[Row] = []
    for solver, steps in product(SOLVERS, CALLED_STEPS):
        start = time.perf_counter()
        cells = model.generate(where=where, seed=1, solver=solver, solver_steps=steps, progress=False)
        seconds = time.perf_counter() - start
        report = scdiffuse.evaluate(
            parts["held_out"],
            cells,
            reference=parts["reference"],
            train=parts["fit"],
            by=LABEL,
            metrics=list(CALLED_METRICS),
            progress=False,
        )
        shared = {"solver": solver, "steps": steps, "calls": steps * SOLVERS[solver].n_calls, "seconds": seconds}
        for metric in CALLED_METRICS:
            score = report.to_json()["metrics"][metric]
            found.append(shared | {"metric": metric, "value": score["value"], "reference": score["reference"]})
    return found


def lines(records: Sequence[Record]) -> list[str]:
    """Write quality by number of steps, and how far the default is from the most."""
    found = rows_of(records)
    steps, called = only(found, part=STEPS_PART), only(found, part=SOLVERS_PART)
    parts = _lines_of_steps(pd.DataFrame(steps)) if steps else []
    if called:
        rows = [[*(one[key] for key in ("solver", "steps", "calls", "metric", "value", "reference"))] for one in called]
        parts.append(grid(["solver", "steps", "denoiser calls", "metric", "value", "real-vs-real reference"], rows))
    shown = (["solvers.png"] if called else []) + (["steps.png"] if steps else [])
    return parts + [figure_of(file, FIGURES[file]) for file in shown]


def _lines_of_steps(table: pd.DataFrame) -> list[str]:
    wide = table.pivot_table(index=["data_set", "metric", "solver"], columns="steps", values="value", sort=False)
    wide = wide[sorted(wide.columns)]
    rows = [[*tuple(keys), *map(float, values)] for keys, values in zip(wide.index, wide.to_numpy(), strict=True)]
    plain = table[(table["solver"] == MULTISTEP) & (table["metric"] != ERROR)]
    offs, beyond = [], []
    for (data_set, metric), of_metric in plain.groupby(["data_set", "metric"], sort=False):
        mean, error = _off(of_metric)
        known = "" if np.isnan(error) else f" (standard error {error:.1%})"
        offs.append(f"- {data_set}, {metric}: {mean:+.1%}{known}")
        if abs(mean) - 2 * np.nan_to_num(error) > TOLERANCE:
            beyond.append(f"{data_set}, {metric}")
    offs.append(f"- Beyond {TOLERANCE:.0%} by more than twice the standard error: {'; '.join(beyond) or 'none'}.")
    seeds = ", ".join(f"{key}: {n}" for key, n in table.groupby("data_set", sort=False)["seed"].nunique().items())
    header = ("data set", "metric", "solver", *(f"{steps:g} steps" for steps in wide.columns))
    about = f"Means over seeds ({seeds}). Same noise and same streams of counts for all numbers of steps."
    return [about, grid(header, rows), f"The default of {DEFAULT} steps against {MOST}:\n\n" + "\n".join(offs)]


def _off(of_metric: pd.DataFrame) -> tuple[float, float]:
    """Compare the default with the most steps, seed by seed: mean of the relative difference, and its error."""
    by_seed = of_metric.pivot_table(index="seed", columns="steps", values="value")
    off = by_seed[DEFAULT] / by_seed[MOST] - 1.0
    return float(off.mean()), float(off.std(ddof=1) / np.sqrt(len(off))) if len(off) > 1 else float("nan")


def draw(records: Sequence[Record], folder: Path) -> None:
    """Draw quality against steps, and against denoiser calls."""
    found = rows_of(records)
    steps, called = only(found, part=STEPS_PART), only(found, part=SOLVERS_PART)
    if steps:
        _draw_steps(pd.DataFrame(steps), folder / "steps.png")
    if called:
        _draw_calls(called, folder / "solvers.png")


def _draw_calls(called: list[Row], path: Path) -> None:
    metrics = sorted(distinct(called, "metric"))
    figure, axes = axes_of(1, len(metrics), size=(4.4 * len(metrics), 3.6))
    for axis, metric in zip(axes, metrics, strict=True):
        points = only(called, metric=metric)
        for marker, solver in zip("osD^vP", sorted(distinct(points, "solver")), strict=False):
            of_solver = sorted((point["calls"], point["value"]) for point in only(points, solver=solver))
            axis.plot(*zip(*of_solver, strict=True), marker=marker, label=solver, linewidth=1)
        axis.axhline(points[0]["reference"], linestyle="--", color="grey", linewidth=1)
        axis.set_xscale("log", base=2)
        axis.set(xlabel="denoiser calls a cell", ylabel=metric)
        axis.legend(frameon=False)
    save(figure, path)


def _draw_steps(table: pd.DataFrame, path: Path) -> None:
    """Draw one panel a metric; grey where a value lies within the tolerance of the most steps."""
    metrics = list(table["metric"].unique())
    figure, axes = axes_of(1, len(metrics), size=(3.6 * len(metrics), 3.4))
    for axis, metric in zip(axes, metrics, strict=True):
        for (data_set, solver), of_set in table[table["metric"] == metric].groupby(["data_set", "solver"], sort=False):
            means = of_set.groupby("steps")["value"].mean()
            means = means[means > 0] if metric == ERROR else means
            axis.plot(
                means.index,
                means,
                marker=_MARKERS[str(data_set)],
                linestyle=_LINES[str(solver)],
                color="black",
                fillstyle="none" if solver == MULTISTEP else "full",
                label=f"{data_set}, {solver}",
            )
            if metric != ERROR and solver == MULTISTEP:
                last = float(means[MOST])
                axis.axhspan((1 - TOLERANCE) * last, (1 + TOLERANCE) * last, color="0.85", zorder=0)
        axis.set_xscale("log", base=2)
        axis.set_xticks(STEPS, [str(steps) for steps in STEPS])
        axis.set(xlabel="solver steps, one call each", title=metric, yscale="log" if metric == ERROR else "linear")
        axis.title.set_fontsize(9)
    axes[0].legend(frameon=False)
    save(figure, path)
