"""Figures of cells and genes, drawn without a display; markers and lines differ in shape as well as in colour."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.text import figure_label
from scdiffuse.evaluation._embedding import joint_embedding
from scdiffuse.metrics import SamplePair, gene_profile, log_normalise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["Drawing", "Picture", "draw_cells", "draw_figure", "new_canvas"]

INK, BLUE, ORANGE, GREEN, PURPLE, GREY = "#222222", "#0072B2", "#D55E00", "#009E73", "#AA4499", "#8A8A8A"
_TYPE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#332288", "#999933")
_TYPE_SHAPES = ("o", "^", "s", "D", "v", "P", "X", "<", ">", "p", "*", "h")
_MOST_POINTS = 1200
_NAME_SIZE = np.array([0.4, 0.07])
"""Width and height of the name of a type, in parts of a panel: nearer to another name it is left to the legend."""
_TOP_GENES = 150


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A drawn figure, ready for a page."""

    name: str
    title: str
    caption: str
    data: str
    """Data URL of the whole image (``data:image/svg+xml;base64,...``)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawing:
    """The cells that figures are drawn from."""

    model: SamplePair
    reference: SamplePair
    baseline: SamplePair | None
    """Independent negative binomials."""
    seed: int = 0
    umap: bool = True


def draw_cells(drawing: Drawing) -> list[Picture]:
    """Draw every figure that shows cells or genes.

    Parameters
    ----------
    drawing
        What to draw.

    Returns
    -------
    Pictures in reading order.
    """
    painters: Mapping[str, Callable[[Drawing], tuple[str, str, Canvas]]] = {
        "embedding": _embedding,
        "components": _components,
        "mean_variance": _mean_variance,
        "zero_fraction": _zero_fraction,
        "library_size": _library_size,
        "correlation": _correlation,
    }
    return [draw_figure(name, painter, drawing) for name, painter in painters.items()]


def draw_figure(name: str, painter: Callable[[Any], tuple[str, str, Canvas]], content: object) -> Picture:
    """Draw one figure as SVG.

    Parameters
    ----------
    name
        Anchor of the figure in the page.
    painter
        Returns title, caption and canvas.
    content
        Data of the figure.

    Returns
    -------
    The picture.
    """
    with _style():
        title, caption, canvas = painter(content)
        file = io.BytesIO()
        canvas.savefig(file, format="svg", dpi=160, transparent=True, metadata={"Date": None})
    data = "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()
    return Picture(name=name, title=title, caption=caption, data=data)


def new_canvas(n_panels: int, *, height: float = 4.2, width: float = 10.6) -> tuple[Canvas, list[Axes]]:
    """Create a canvas with panels side by side, without global state."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(width, height), layout="constrained")
    return canvas, [canvas.add_subplot(1, n_panels, place + 1) for place in range(n_panels)]


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib as mpl

    settings: dict[Any, Any] = {
        "font.size": 9.5,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#666666",
        "axes.labelcolor": INK,
        "xtick.color": "#444444",
        "ytick.color": "#444444",
        "legend.frameon": False,
        "svg.fonttype": "path",
        "svg.hashsalt": "scdiffuse",
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _overlay(axes: Axes, real: NDArray[Any], made: NDArray[Any]) -> None:
    """Draw real cells as grey discs, and generated ones as hollow blue triangles over them."""
    axes.scatter(
        real[:, 0], real[:, 1], s=11, c="#9A9A9A", marker="o", linewidths=0, rasterized=True, label="real, held out"
    )
    axes.scatter(
        made[:, 0], made[:, 1], s=13, facecolors="none", edgecolors=BLUE, marker="^", linewidths=0.55, rasterized=True,
        label="generated",
    )  # fmt: skip


def _bare(axes: Axes, x: str, y: str) -> None:
    axes.set(xticks=[], yticks=[], xlabel=x, ylabel=y)
    axes.margins(0.05)


def _embedding(drawing: Drawing) -> tuple[str, str, Canvas]:
    rows = slice(0, _MOST_POINTS)
    real, made = drawing.model.real, drawing.model.generated
    method, real_xy, made_xy = joint_embedding(real.pcs[rows], made.pcs[rows], seed=drawing.seed, try_umap=drawing.umap)
    has_labels = real.labels is not None and made.labels is not None
    canvas, panels = new_canvas(
        3 if has_labels else 2, height=4.6 if has_labels else 4.8, width=11 if has_labels else 9
    )
    axis = method.split()[0]
    _overlay(panels[0], real_xy, made_xy)
    panels[0].set_title("both")
    panels[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, markerscale=1.5, handletextpad=0.2)
    if has_labels and real.labels is not None and made.labels is not None:
        kinds = _by_size(real.labels)
        _typed(panels[1], real_xy, labels=real.labels[rows], kinds=kinds)
        _typed(panels[2], made_xy, labels=made.labels[rows], kinds=kinds)
        panels[1].set_title("real, held out, by type")
        panels[2].set_title("generated, by requested type")
        handles, names = panels[1].get_legend_handles_labels()
        canvas.legend(
            handles, names, loc="outside lower right", ncols=_n_columns(names), markerscale=1.6, handletextpad=0.2
        )
    else:
        _overlay(panels[1], made_xy[:0], made_xy)
        panels[1].set_title("generated only")
    for panel in panels:
        _bare(panel, f"{axis} 1", f"{axis} 2")
        panel.set(xlim=panels[0].get_xlim(), ylim=panels[0].get_ylim())
    caption = (
        f"{method}. Fitted to {len(real_xy):,} real cells, with {len(made_xy):,} generated ones projected onto them. "
        "For orientation only: embeddings hide differences that the scores show."
    )
    return "Embedding of the cells", caption, canvas


def _n_columns(names: list[str]) -> int:
    """Place as many columns of a legend as fit beside its other half."""
    longest = max((len(line) for name in names for line in name.splitlines()), default=1)
    return min(4, max(1, 88 // (longest + 6)))


def _by_size(labels: NDArray[np.str_]) -> list[str]:
    names, sizes = np.unique(labels[labels != ""], return_counts=True)
    return [str(name) for name in names[np.argsort(-sizes, kind="stable")]]


def _typed(axes: Axes, places: NDArray[Any], *, labels: NDArray[np.str_], kinds: list[str]) -> None:
    named: list[NDArray[Any]] = []
    for number, kind in enumerate(kinds[: len(_TYPE_SHAPES)]):
        own = places[labels == kind]
        axes.scatter(
            own[:, 0], own[:, 1], s=12, c=_TYPE_COLOURS[number % len(_TYPE_COLOURS)], marker=_TYPE_SHAPES[number],
            linewidths=0, alpha=0.8, rasterized=True, label=figure_label(kind, most=120, width=30),
        )  # fmt: skip
        if len(own) >= 15 and number < len(_TYPE_COLOURS):
            middle = np.median(own, axis=0)
            if not any((np.abs(middle - other) < _NAME_SIZE * np.ptp(places, axis=0)).all() for other in named):
                named.append(middle)
                axes.annotate(
                    figure_label(kind, most=120, width=18), middle, fontsize=7.5, ha="center",
                    bbox={"boxstyle": "round,pad=.15", "fc": "white", "ec": "none", "alpha": 0.75},
                )  # fmt: skip


def _components(drawing: Drawing) -> tuple[str, str, Canvas]:
    rows = slice(0, _MOST_POINTS)
    real, made = drawing.model.real.pcs[rows], drawing.model.generated.pcs[rows]
    width = real.shape[1]
    pairs = [(0, 1), (2, 3), (4, 5)][: max(1, min(3, width // 2))]
    canvas, panels = new_canvas(len(pairs), height=4.0)
    for panel, (first, second) in zip(panels, pairs, strict=True):
        columns = [first, min(second, width - 1)]
        _overlay(panel, real[:, columns], made[:, columns])
        _bare(panel, f"component {first + 1}", f"component {second + 1}")
    panels[0].legend(loc="best", markerscale=1.5, handletextpad=0.2)
    return "Principal components", "Fitted to real cells that are in neither sample.", canvas


def _mean_variance(drawing: Drawing) -> tuple[str, str, Canvas]:
    canvas, panels = new_canvas(2, height=4.6)
    real = gene_profile(drawing.model.real.counts)
    others = [("other real cells (reference)", drawing.reference.generated), ("generated", drawing.model.generated)]
    for panel, (title, view) in zip(panels, others, strict=True):
        made = gene_profile(view.counts)
        _gene_clouds(panel, (real.mean, real.variance), (made.mean, made.variance), name=title)
        limits = np.array([max(1e-4, real.mean[real.mean > 0].min()), real.mean.max()])
        panel.plot(limits, limits, color=INK, lw=1, ls=":", label="Poisson")
        panel.set(xscale="log", yscale="log", xlabel="mean count of a gene", ylabel="variance")
        panel.set_title(title)
        panel.legend(loc="upper left", markerscale=2)
    panels[1].set(xlim=panels[0].get_xlim(), ylim=panels[0].get_ylim())
    return (
        "Mean and variance of every gene",
        "Each mark is a gene; above the dotted line it varies more than Poisson.",
        canvas,
    )


def _zero_fraction(drawing: Drawing) -> tuple[str, str, Canvas]:
    canvas, panels = new_canvas(2, height=4.6)
    real = gene_profile(drawing.model.real.counts)
    others = [("other real cells (reference)", drawing.reference.generated), ("generated", drawing.model.generated)]
    for panel, (title, view) in zip(panels, others, strict=True):
        made = gene_profile(view.counts)
        panel.plot([0, 1], [0, 1], color=INK, lw=1, ls=":")
        panel.scatter(real.zero_fraction, made.zero_fraction, s=6, c=BLUE, alpha=0.35, linewidths=0, rasterized=True)
        panel.set(xlabel="zero fraction, held-out real cells", ylabel="zero fraction", xlim=(0, 1.02), ylim=(0, 1.02))
        gap = float(np.abs(real.zero_fraction - made.zero_fraction).mean())
        panel.set_title(f"{title}: mean gap {gap:.3f}")
    return (
        "Zero fraction of every gene",
        "Each mark is a gene; on the dotted line both samples have the same zero fraction.",
        canvas,
    )


def _gene_clouds(axes: Axes, real: tuple[Any, Any], made: tuple[Any, Any], *, name: str) -> None:
    axes.scatter(*real, s=8, c="#9A9A9A", marker="o", linewidths=0, rasterized=True, label="real, held out")
    axes.scatter(
        *made, s=9, facecolors="none", edgecolors=BLUE, marker="^", linewidths=0.5, rasterized=True, label=name
    )


def _library_size(drawing: Drawing) -> tuple[str, str, Canvas]:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    canvas, panels = new_canvas(2, height=4.0)
    samples: list[tuple[str, Any, dict[str, Any]]] = [
        ("real, held out", drawing.model.real, {"color": INK, "lw": 1.8, "ls": "-"}),
        ("other real cells (reference)", drawing.reference.generated, {"color": GREY, "lw": 1.4, "ls": "--"}),
        ("generated", drawing.model.generated, {"color": BLUE, "lw": 2.0, "ls": "-."}),
    ]
    if drawing.baseline is not None:
        samples.append(("independent genes", drawing.baseline.generated, {"color": ORANGE, "lw": 1.2, "ls": ":"}))
    readings: list[tuple[str, Callable[[Any], NDArray[Any]]]] = [
        ("library size (UMIs or reads a cell)", lambda view: np.asarray(view.counts.sum(axis=1)).ravel()),
        ("genes detected a cell", lambda view: np.diff(view.counts.indptr)),
    ]
    for panel, (title, read) in zip(panels, readings, strict=True):
        values = [np.maximum(read(view), 1) for _, view, _ in samples]
        edges = np.geomspace(min(one.min() for one in values), max(one.max() for one in values) * 1.001, 40)
        for (name, _, line), one in zip(samples, values, strict=True):
            height = np.histogram(one, bins=edges)[0] / len(one)
            panel.stairs(height, edges, label=name, **line)
        panel.set(xscale="log", xlabel=title, ylabel="fraction of cells", yticks=[])
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=9))
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
    panels[0].legend(loc="best", fontsize=8)
    return (
        "Library size and genes detected",
        "Library size and number of genes detected in each cell, on a log scale.",
        canvas,
    )


def _correlation(drawing: Drawing) -> tuple[str, str, Canvas]:
    canvas, panels = new_canvas(3 if drawing.baseline is not None else 2, height=4.2)
    real = log_normalise(drawing.model.real.counts)
    detected = np.asarray((real > 0).mean(axis=0)).ravel()
    genes = np.argsort(-detected, kind="stable")[:_TOP_GENES]
    upper = np.triu_indices(genes.size, 1)
    truth = _correlations(real, genes)[upper]
    others = [("other real cells (reference)", drawing.reference.generated), ("generated", drawing.model.generated)]
    if drawing.baseline is not None:
        others.append(("independent genes", drawing.baseline.generated))
    for panel, (title, view) in zip(panels, others, strict=True):
        made = _correlations(log_normalise(view.counts), genes)[upper]
        panel.plot([-1, 1], [-1, 1], color=INK, lw=1, ls=":")
        panel.hexbin(truth, made, gridsize=45, bins="log", cmap="cividis_r", mincnt=1, linewidths=0.1, rasterized=True)
        panel.set(xlabel="correlation, held-out real cells", ylabel="correlation")
        panel.set_title(f"{title}: r {np.corrcoef(truth, made)[0, 1]:.2f}", fontsize=9)
        panel.set(xlim=(truth.min() - 0.05, truth.max() + 0.05), ylim=(truth.min() - 0.05, truth.max() + 0.05))
    caption = f"Pairs of the {genes.size} genes detected in most cells; bins that stand out more hold more pairs."
    return "Gene-gene correlations", caption, canvas


def _correlations(values: Any, genes: NDArray[np.int64]) -> NDArray[np.float64]:  # noqa: ANN401
    with np.errstate(all="ignore"):
        found: NDArray[np.float64] = np.nan_to_num(np.corrcoef(values[:, genes].toarray(), rowvar=False))
    return found
