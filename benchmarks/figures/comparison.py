"""Figures of the generators compared: a metric by generator and data set, and against costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.layout import axes_of, save

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

OURS = "ours"
_N_COLUMNS = 3


def draw_scores(table: pd.DataFrame, path: Path, *, metric: str, title: str, names: Sequence[str]) -> None:
    """Draw a metric of each generator, one mark a seed, in a panel for each data set."""
    scored, names = table[table["metric"] == metric], list(reversed(names))
    data_sets = list(scored["data_set"].unique())
    n_columns = min(_N_COLUMNS, len(data_sets))
    n_rows = -(-len(data_sets) // n_columns)
    figure, axes = axes_of(n_rows, n_columns, size=(3.4 * n_columns + 1.0, 2.6 * n_rows + 0.6))
    for axis, data_set in zip(axes, data_sets, strict=False):
        rows = scored[scored["data_set"] == data_set]
        for place, one in enumerate(names):
            values = rows.loc[rows["generator"] == one, "value"]
            axis.plot(values, [place] * len(values), **_mark(one))
        axis.axvline(float(rows["reference"].mean()), linestyle="--", color="grey", linewidth=1)
        axis.set(title=data_set, yticks=range(len(names)), yticklabels=names, ylim=(-0.6, len(names) - 0.4))
        axis.set_xlim(min(0.4, rows["value"].min() - 0.02), 1.02)
    for axis in axes[len(data_sets) :]:
        axis.set_axis_off()
    figure.supxlabel(title)
    save(figure, path)


def draw_costs(table: pd.DataFrame, path: Path, *, metric: str, title: str, unit: Sequence[str]) -> None:
    """Draw a metric against the CPU seconds of a run, mean over data sets and seeds."""
    scored = table[table["metric"] == metric]
    seconds = table[table["metric"].isin(["fit_cpu_seconds", "generate_cpu_seconds"])]
    spent = seconds.groupby(list(unit))["value"].sum().groupby("generator").mean()
    quality = scored[scored["generator"].isin(spent.index)].groupby("generator")["value"].mean()
    figure, (axis,) = axes_of(1, 1, size=(6.4, 4.2))
    for one in quality.index:
        position = (max(float(spent[one]), 1e-2), float(quality[one]))
        axis.plot(*position, **_mark(one))
        axis.annotate(one, position, xytext=(6, 4), textcoords="offset points", fontsize=8)
    axis.axhline(float(scored["reference"].mean()), linestyle="--", color="grey", linewidth=1)
    axis.set(xscale="log", xlabel="CPU seconds, fit and generate", ylabel=title)
    save(figure, path)


def _mark(generator: str) -> dict[str, Any]:
    ours = generator == OURS
    style = {"marker": "D" if ours else "o", "fillstyle": "full" if ours else "none"}
    return style | {"linestyle": "none", "color": "black"}
