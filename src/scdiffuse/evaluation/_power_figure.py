"""The figure of the power curve: AUC against the cells that classifiers learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffuse.evaluation._cell_figures import BLUE, GREEN, GREY, INK, ORANGE, Picture, draw_figure, new_canvas
from scdiffuse.evaluation._report_curve import describe_curve, title_of
from scdiffuse.evaluation._report_types import CurveRow, PowerRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

__all__ = ["draw_power"]

_COLOURS = {"forest": GREEN, "boosting": ORANGE, "logistic": BLUE, "network": INK}
_STYLES = {"genes": "-", "depth": "--"}
_MARKERS = {"genes": "o", "depth": "s"}


def draw_power(power: PowerRecord) -> Picture:
    """Draw the AUC of every classifier against the cells a side that it learns from, and the reference in grey.

    Parameters
    ----------
    power
        The curve.

    Returns
    -------
    The picture.
    """
    return draw_figure("power", _power, power)


def _power(power: PowerRecord) -> tuple[str, str, Canvas]:
    canvas, (axes,) = new_canvas(1, width=10, height=4.8)
    for classifier, space in dict.fromkeys((one["classifier"], one["space"]) for one in power["points"]):
        style: dict[str, Any] = {"ls": _STYLES[space], "marker": _MARKERS[space], "ms": 4}
        test = [one for one in power["points"] if (one["classifier"], one["space"]) == (classifier, space)]
        reference = _means(test, "real")
        axes.plot(*reference, color=GREY, lw=0.9, alpha=0.7, **style)
        own = _means(test, "generated")
        axes.plot(*own, color=_COLOURS[classifier], lw=1.6, label=title_of(classifier, space), **style)
    axes.plot([], [], color=GREY, lw=0.9, label="other real cells (reference)")
    for height in (0.55, 0.6):
        axes.axhline(height, color="#D9DFE6", lw=1, zorder=0)
    axes.axhline(0.5, color=INK, lw=1, ls=":", zorder=0)
    sizes = sorted({one["n_cells"] for one in power["points"] if one["sample"] == "generated"})
    axes.set_xscale("log")
    apart = [size for size, after in zip(sizes, [*sizes[1:], 2 * sizes[-1]], strict=True) if 1.3 * size <= after]
    axes.set_xticks(apart, [f"{size:,}" for size in apart])
    axes.minorticks_off()
    axes.set(xlabel="cells a side that the classifier learns from", ylabel="AUC (.5: indistinguishable)")
    canvas.legend(loc="outside right upper", fontsize=9.5)
    caption = (
        f"Mean over draws; classifiers are scored on cells that they never learn from. {describe_curve(power)} The "
        "farther to the right a curve leaves the reference, the more cells it takes to tell the samples apart."
    )
    return "How many cells does it take to tell them apart?", caption, canvas


def _means(points: list[CurveRow], sample: str) -> tuple[list[int], list[float]]:
    """Average over seeds at every size."""
    own = [one for one in points if one["sample"] == sample]
    sizes = sorted({one["n_cells"] for one in own})
    return sizes, [float(np.mean([one["auc"] for one in own if one["n_cells"] == size])) for size in sizes]
