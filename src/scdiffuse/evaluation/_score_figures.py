"""Figures of the scores: the overview on the first screen, and the cell types side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from scdiffuse._core.text import figure_label
from scdiffuse.evaluation._cell_figures import BLUE, GREEN, GREY, INK, ORANGE, Picture, draw_figure, new_canvas
from scdiffuse.evaluation._formatting import GROUP_TITLES, format_number
from scdiffuse.evaluation._report_types import LabelSizes, MetricRecord, MetricRecords

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["draw_overview", "draw_types"]

_LEFT, _RIGHT = -0.25, 1.25
_SHAPES = {
    "worse": ("D", ORANGE, "none", "worse than the reference"),
    "unsure": ("s", GREY, "none", "too few cells to tell"),
    "good": ("o", GREEN, GREEN, "as good as the reference"),
}


def draw_overview(metrics: MetricRecords) -> Picture | None:
    """Draw the normalised score of every metric, between the best trivial baseline and the reference.

    Parameters
    ----------
    metrics
        Scores by name, as in the JSON of a report.

    Returns
    -------
    The picture, or ``None`` if no metric has a normalised score.
    """
    scored = {name: one for name, one in metrics.items() if one["normalised"] is not None}
    return draw_figure("overview", _overview, scored) if scored else None


def draw_types(by: Mapping[str, MetricRecords], sizes: Mapping[str, LabelSizes]) -> Picture | None:
    """Draw the classifier two-sample tests within every type, with their real-vs-real reference.

    Parameters
    ----------
    by
        Scores by label and metric.
    sizes
        Cells by label.

    Returns
    -------
    The picture, or ``None`` if no type has such a test.
    """
    tested = {label: scores for label, scores in by.items() if _two_sample_names(scores)}
    return draw_figure("types", _types, (tested, sizes)) if tested else None


def _overview(metrics: MetricRecords) -> tuple[str, str, Canvas]:
    rows = _in_groups(metrics)
    height = 1.2 + 0.27 * len(rows)
    canvas, (axes,) = new_canvas(1, width=10, height=height)
    canvas.set_layout_engine("none")
    axes.set_position((0.41, 0.6 / height, 0.43, 1 - 1.1 / height))
    axes.axvspan(0, 1, color="#F1F5F9", zorder=0)
    axes.axvline(0, color=ORANGE, lw=1.2, ls="--", zorder=1)
    axes.axvline(1, color=INK, lw=1.4, zorder=1)
    for place, row in enumerate(rows):
        if isinstance(row, str):
            axes.text(-0.02, place, row, transform=axes.get_yaxis_transform(), ha="right", va="center", weight="bold")
        else:
            _draw_normalised(axes, place, row)
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=(_LEFT, _RIGHT), yticks=[], xticks=[0, 1])
    axes.set_xticklabels(["best trivial\nbaseline", "real-vs-real\nreference"])
    axes.spines["left"].set_visible(False)
    for shape, colour, filled, meaning in _SHAPES.values():
        axes.scatter([], [], marker=shape, edgecolors=colour, facecolors=filled, s=30, label=meaning)
    canvas.legend(loc="upper right", ncols=3, fontsize=9.5, handletextpad=0.1)
    caption = (
        "Normalised score of every metric. The dashed line is the best trivial baseline (for privacy: memorised "
        "training cells), the full line is the real-vs-real reference. Arrows are beyond the scale. Numbers: value "
        "(reference). Metrics that do not separate the two lines are left out."
    )
    return "Normalised scores", caption, canvas


def _in_groups(metrics: MetricRecords) -> list[str | MetricRecord]:
    rows: list[str | MetricRecord] = []
    for group, title in GROUP_TITLES.items():
        own = [one for one in metrics.values() if one["group"] == group]
        rows += [title, *own] if own else []
    return rows


def _draw_normalised(axes: Axes, place: int, row: MetricRecord) -> None:
    shape, colour, filled, _ = _SHAPES["worse" if row["flagged"] else "unsure" if row["doubt"] else "good"]
    score = 0.0 if row["normalised"] is None else row["normalised"]
    shown = float(np.clip(score, _LEFT + 0.03, _RIGHT - 0.03))
    axes.plot([0, shown], [place, place], color="#B9C2CC", lw=1, zorder=2)
    if score != shown:
        shape = "<" if score < shown else ">"
    filled = "white" if filled == "none" else filled
    axes.scatter([shown], [place], marker=shape, edgecolors=colour, facecolors=filled, s=34, linewidths=1.5, zorder=3)
    transform = axes.get_yaxis_transform()
    axes.text(
        -0.02,
        place,
        textwrap.fill(row["title"], 58),
        transform=transform,
        ha="right",
        va="center",
        fontsize=9.5,
        color="#333333",
    )
    text = f"{format_number(row['value'])} ({format_number(row['reference'])})"
    axes.text(1.01, place, text, transform=transform, ha="left", va="center", fontsize=9.5, color="#333333")


def _two_sample_names(scores: MetricRecords) -> list[str]:
    return [name for name, one in scores.items() if one["group"] == "two_sample"]


def _types(content: tuple[Mapping[str, MetricRecords], Mapping[str, LabelSizes]]) -> tuple[str, str, Canvas]:
    tested, sizes = content
    names = sorted({name for scores in tested.values() for name in _two_sample_names(scores)})
    labels = sorted(tested, key=lambda label: -sizes[label]["real"])
    shown = [f"{figure_label(label, most=120, width=34)} ({sizes[label]['real']})" for label in labels]
    n_lines = len(shown) + 0.6 * sum(name.count("\n") for name in shown)
    canvas, panels = new_canvas(len(names), height=1.2 + 0.34 * n_lines, width=10.6 if len(names) > 1 else 8.5)
    for panel, name in zip(panels, names, strict=True):
        for place, label in enumerate(labels):
            if name in tested[label]:
                _draw_auc(panel, place, tested[label][name])
        panel.axvline(0.5, color=INK, lw=1, ls=":")
        panel.set(
            xlim=(0.4, 1.0),
            ylim=(len(labels) - 0.5, -0.5),
            yticks=range(len(labels)),
            xlabel="AUC (.5: indistinguishable)",
        )
        title = next(scores[name]["title"] for scores in tested.values() if name in scores)
        panel.set_title(textwrap.fill(title, max(24, 84 // len(names))))
        panel.set_yticklabels(shown if panel is panels[0] else [])
    panels[0].barh([-9], [0], color=BLUE, label="generated")
    panels[0].plot([], [], color=INK, marker="|", ms=11, mew=2.5, ls="", label="other real cells (reference)")
    canvas.legend(loc="outside upper right", ncols=2, fontsize=9.5)
    caption = "Bars start at chance; whiskers are 95 % intervals. In brackets, held-out real cells of the type."
    return "Classifier two-sample tests within cell types", caption, canvas


def _draw_auc(panel: Axes, place: int, score: MetricRecord) -> None:
    value = max(score["value"], 0.4)
    hatch = "////" if score["flagged"] else None
    panel.barh([place], [value - 0.5], left=0.5, height=0.62, color="#A9CCE3", edgecolor=BLUE, hatch=hatch, lw=0.8)
    if score["low"] is not None and score["high"] is not None:
        panel.plot([max(score["low"], 0.4), score["high"]], [place, place], color=GREY, lw=1.3)
    panel.plot([max(score["reference"], 0.4)] * 2, [place - 0.36, place + 0.36], color=INK, lw=2.5)
