"""Figures of the results page, from the tidy table and the records of the main job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.headline import HEADLINE, MAIN
from benchmarks.protocol import GENERATORS

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURES: dict[str, str] = {
    "discriminator.png": (
        f"{HEADLINE[MAIN]}, held-out cells against generated ones: one mark a seed, dashed the floor (real against "
        "real). Left is better."
    ),
    "cost.png": f"{HEADLINE[MAIN]} against processor time of fitting and generating; mean over data sets and seeds. "
    "Baselines cost next to nothing and are left out.",
    "solvers.png": "Quality against the number of denoiser calls, by solver.",
    "steps.png": "Quality against solver steps, same noise and same streams of counts; grey: within 2 % of 100 steps.",
}
_OURS = "ours"
_MARKERS = "osD^vP"


def draw_all(table: pd.DataFrame, folder: Path) -> None:
    """Draw what the table has the numbers for."""
    scored = table[table["metric"] == MAIN]
    if not scored.empty:
        _save(_discriminator(scored), folder / "discriminator.png")
        _save(_cost(table, scored), folder / "cost.png")
    curve_file = folder / "solvers.json"
    if curve_file.exists():
        _save(_solvers(json.loads(curve_file.read_text(encoding="utf-8"))), folder / "solvers.png")


def _discriminator(scored: pd.DataFrame) -> Figure:
    data_sets, names = list(scored["data_set"].unique()), list(reversed(GENERATORS))
    n_columns = min(3, len(data_sets))
    n_rows = -(-len(data_sets) // n_columns)
    figure, axes = _grid(n_rows, n_columns, size=(3.4 * n_columns + 1.0, 2.6 * n_rows + 0.6))
    for axis, data_set in zip(axes, data_sets, strict=False):
        rows = scored[scored["data_set"] == data_set]
        for place, name in enumerate(names):
            values = rows.loc[rows["generator"] == name, "value"]
            kind = "D" if name == _OURS else "o"
            axis.plot(
                values, np.full(len(values), place), kind, color="black", fillstyle="full" if name == _OURS else "none"
            )
        axis.axvline(float(rows["floor"].mean()), linestyle="--", color="grey", linewidth=1)
        axis.set(
            title=data_set,
            yticks=range(len(names)),
            yticklabels=names,
            xlim=(min(0.4, rows["value"].min() - 0.02), 1.02),
            ylim=(-0.6, len(names) - 0.4),
        )
    for axis in axes[len(data_sets) :]:
        axis.set_axis_off()
    figure.supxlabel(HEADLINE[MAIN])
    return figure


def _cost(table: pd.DataFrame, scored: pd.DataFrame) -> Figure:
    seconds = table[table["metric"].isin(["fit_cpu_seconds", "generate_cpu_seconds"])]
    spent = seconds.groupby(["generator", "data_set", "seed"])["value"].sum().groupby("generator").mean()
    quality = scored[scored["generator"].isin(spent.index)].groupby("generator")["value"].mean()
    figure, (axis,) = _grid(1, 1, size=(6.4, 4.2))
    for name in quality.index:
        position = (max(float(spent[name]), 1e-2), float(quality[name]))
        axis.plot(
            *position, "D" if name == _OURS else "o", color="black", fillstyle="full" if name == _OURS else "none"
        )
        axis.annotate(name, position, xytext=(6, 4), textcoords="offset points", fontsize=8)
    axis.axhline(float(scored["floor"].mean()), linestyle="--", color="grey", linewidth=1)
    axis.set(xscale="log", xlabel="CPU seconds, fit and generate", ylabel=HEADLINE[MAIN])
    return figure


def _solvers(curve: list[dict[str, object]]) -> Figure:
    metrics = sorted({str(point["metric"]) for point in curve})
    figure, axes = _grid(1, len(metrics), size=(4.4 * len(metrics), 3.6))
    for axis, metric in zip(axes, metrics, strict=True):
        points = [point for point in curve if point["metric"] == metric]
        for marker, solver in zip(_MARKERS, sorted({str(point["solver"]) for point in points}), strict=False):
            of_solver = sorted((point["calls"], point["value"]) for point in points if point["solver"] == solver)
            axis.plot(*zip(*of_solver, strict=True), marker=marker, label=solver, linewidth=1)
        axis.axhline(float(str(points[0]["floor"])), linestyle="--", color="grey", linewidth=1)
        axis.set_xscale("log", base=2)
        axis.set(xlabel="denoiser calls per cell", ylabel=metric)
        axis.legend(frameon=False)
    return figure


def _grid(n_rows: int, n_columns: int, *, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    return figure, list(axes.ravel())


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
