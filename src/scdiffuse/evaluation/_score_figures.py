"""Figures of the scores: the overview on the first screen, and the types side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffuse.evaluation._figures import BLUE, GREEN, GREY, INK, ORANGE, Picture, draw_figure, new_canvas
from scdiffuse.evaluation._words import GROUP_TITLES, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["draw_overview", "draw_types"]

_LEFT, _RIGHT = -0.25, 1.25
_SHAPES = {True: ("D", ORANGE, "worse than other real cells"), False: ("o", GREEN, "as close as other real cells")}


def draw_overview(metrics: Mapping[str, Mapping[str, Any]]) -> Picture | None:
    """Draw where every metric stands between the best trivial baseline and real cells.

    Parameters
    ----------
    metrics
        Scores by name, as in the JSON of a report.

    Returns
    -------
    The picture, or ``None`` where no metric has a skill.
    """
    known = {name: one for name, one in metrics.items() if one["skill"] is not None}
    return draw_figure("overview", _overview, known) if known else None


def draw_types(
    by: Mapping[str, Mapping[str, Mapping[str, Any]]], sizes: Mapping[str, Mapping[str, int]]
) -> Picture | None:
    """Draw how well judges tell generated from real within every type, beside the floor.

    Parameters
    ----------
    by
        Scores by label and metric.
    sizes
        Cells by label, under ``"real"`` and ``"generated"``.

    Returns
    -------
    The picture, or ``None`` where no type was judged.
    """
    judged = {label: scores for label, scores in by.items() if _judges(scores)}
    return draw_figure("types", _types, (judged, sizes)) if judged else None


def _overview(metrics: Mapping[str, Mapping[str, Any]]) -> tuple[str, str, Canvas]:
    rows = _in_groups(metrics)
    height = 1.15 + 0.235 * len(rows)
    canvas, (axes,) = new_canvas(1, width=7.4, height=height)
    canvas.set_layout_engine("none")
    axes.set_position((0.46, 0.6 / height, 0.38, 1 - 1.1 / height))
    axes.axvspan(0, 1, color="#F1F5F9", zorder=0)
    axes.axvline(0, color=ORANGE, lw=1.2, ls="--", zorder=1)
    axes.axvline(1, color=INK, lw=1.4, zorder=1)
    for place, row in enumerate(rows):
        if isinstance(row, str):
            axes.text(-0.02, place, row, transform=axes.get_yaxis_transform(), ha="right", va="center", weight="bold")
        else:
            _draw_skill(axes, place, row)
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=(_LEFT, _RIGHT), yticks=[], xticks=[0, 1])
    axes.set_xticklabels(["best trivial\nbaseline", "other\nreal cells"])
    axes.spines["left"].set_visible(False)
    for flagged, (shape, colour, meaning) in _SHAPES.items():
        filled = "none" if flagged else colour
        axes.scatter([], [], marker=shape, edgecolors=colour, facecolors=filled, s=30, label=meaning)
    canvas.legend(loc="upper right", ncols=2, fontsize=8.5, handletextpad=0.1)
    caption = (
        "Every metric on one scale. The dashed line is the best generator that learns nothing, the full line is other "
        "real cells. For privacy the dashed line is copied training cells. Arrows leave the scale. Numbers: value "
        "(floor). Metrics that cannot tell the two lines apart are left out."
    )
    return "Between trivial and real", caption, canvas


def _in_groups(metrics: Mapping[str, Mapping[str, Any]]) -> list[str | Mapping[str, Any]]:
    rows: list[str | Mapping[str, Any]] = []
    for group, title in GROUP_TITLES.items():
        own = [one for one in metrics.values() if one["group"] == group]
        rows += [title, *own] if own else []
    return rows


def _draw_skill(axes: Axes, place: int, row: Mapping[str, Any]) -> None:
    shape, colour, _ = _SHAPES[bool(row["flagged"])]
    skill = float(np.clip(row["skill"], _LEFT + 0.03, _RIGHT - 0.03))
    axes.plot([0, skill], [place, place], color="#B9C2CC", lw=1, zorder=2)
    if row["skill"] != skill:
        shape = "<" if row["skill"] < skill else ">"
    filled = "white" if row["flagged"] else colour
    axes.scatter([skill], [place], marker=shape, edgecolors=colour, facecolors=filled, s=34, linewidths=1.5, zorder=3)
    transform = axes.get_yaxis_transform()
    axes.text(
        -0.02,
        place,
        textwrap.shorten(row["title"], 48, placeholder=" ..."),
        transform=transform,
        ha="right",
        va="center",
        fontsize=8.5,
        color="#333333",
    )
    text = f"{number(row['value'])} ({number(row['floor'])})"
    axes.text(1.01, place, text, transform=transform, ha="left", va="center", fontsize=8.5, color="#333333")


def _judges(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [name for name, one in scores.items() if one["group"] == "discriminators"]


def _types(material: tuple[Mapping[str, Any], Mapping[str, Mapping[str, int]]]) -> tuple[str, str, Canvas]:
    judged, sizes = material
    names = sorted({name for scores in judged.values() for name in _judges(scores)})
    canvas, panels = new_canvas(len(names), height=1.1 + 0.3 * len(judged), width=9.2 if len(names) > 1 else 6.5)
    labels = sorted(judged, key=lambda label: -sizes[label]["real"])
    for panel, name in zip(panels, names, strict=True):
        for place, label in enumerate(labels):
            if name in judged[label]:
                _draw_judged(panel, place, judged[label][name])
        panel.axvline(0.5, color=INK, lw=1, ls=":")
        panel.set(
            xlim=(0.4, 1.0), ylim=(len(labels) - 0.5, -0.5), yticks=range(len(labels)), xlabel="AUC (.5: cannot tell)"
        )
        panel.set_title(next(scores[name]["title"] for scores in judged.values() if name in scores))
        panel.set_yticklabels([f"{label} ({sizes[label]['real']})" for label in labels] if panel is panels[0] else [])
    panels[0].barh([-9], [0], color=BLUE, label="generated")
    panels[0].plot([], [], color=INK, marker="|", ms=11, mew=2.5, ls="", label="other real cells (floor)")
    canvas.legend(loc="outside upper right", ncols=2, fontsize=8.5)
    caption = "Bars start at chance; whiskers are 95 % intervals. In brackets, held-out real cells of the type."
    return "Can a judge tell them apart, type by type?", caption, canvas


def _draw_judged(panel: Axes, place: int, score: Mapping[str, Any]) -> None:
    value = max(score["value"], 0.4)
    hatch = "////" if score["flagged"] else None
    panel.barh([place], [value - 0.5], left=0.5, height=0.62, color="#A9CCE3", edgecolor=BLUE, hatch=hatch, lw=0.8)
    if score["low"] is not None:
        panel.plot([max(score["low"], 0.4), score["high"]], [place, place], color=GREY, lw=1.3)
    panel.plot([max(score["floor"], 0.4)] * 2, [place - 0.36, place + 0.36], color=INK, lw=2.5)
