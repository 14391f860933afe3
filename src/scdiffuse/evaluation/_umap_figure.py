"""The figure of real and generated cells in one plane."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError
from scdiffuse._core.text import figure_label
from scdiffuse.evaluation._embedding import joint_embedding
from scdiffuse.evaluation._feature_space import fit_space
from scdiffuse.evaluation._opening import open_cells
from scdiffuse.evaluation._reading import ReadSettings, Sample, read_sample, shared_genes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_umap"]

_REAL, _GENERATED, _OTHER = "#8A8A8A", "#0072B2", "#BBBBBB"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#332288", "#999933")
_SHAPES = ("o", "^", "s", "D", "v", "P", "X", "<", ">", "p", "*", "h")


def plot_umap(
    real: ad.AnnData | str | Path,
    generated: ad.AnnData | str | Path,
    *,
    color: str | None = None,
    layer: str | None = None,
    n_cells: int = 2000,
    seed: int = 0,
) -> Figure:
    """Draw equal numbers of real and generated cells on one UMAP, which is fitted to the real ones.

    It is for orientation only: an embedding hides differences that `evaluate` measures.

    Parameters
    ----------
    real
        Real cells with raw counts.
    generated
        Cells of any generator.
    color
        Column of `obs` to colour by, such as ``"cell_type"``, in a panel for each kind of cells; not given, both kinds
        are drawn in one panel.
    layer
        Layer with the counts of the real cells; ``X``, or the one place that holds counts, if not given.
    n_cells
        Most cells of each kind; of more, as many are drawn at random.
    seed
        Seed of that choice and of the layout.

    Returns
    -------
    The figure; ``figure.savefig("umap.png")`` keeps it. Where UMAP is not installed, or there are fewer than 50 cells,
    the axes are principal components, and their labels say so.

    Raises
    ------
    UnknownNameError
        `color` is not a column of the real cells, or there is no such layer.
    GenesError
        Real and generated cells share too few genes.
    CountsError
        The real cells hold no raw counts, or there are fewer than ten.
    SettingError
        `n_cells` is below 10, or the generated cells have no column `color`.
    """
    from matplotlib.figure import Figure

    if n_cells < 10:
        msg = f"`n_cells` must be at least 10, got {n_cells}; 2000 suits most data."
        raise SettingError(msg)
    tables = {"real": open_cells(real, "real", layer=layer), "generated": open_cells(generated, "generated")}
    if color is not None and color in tables["real"].obs and color not in tables["generated"].obs:
        msg = f"`color` is {color!r}, a column that the generated cells do not have; expected one of both, one of"
        raise SettingError(msg + f" {[name for name in tables['real'].obs if name in tables['generated'].obs]}.")
    n_drawn = min(n_cells, *(table.n_obs for table in tables.values()))
    settings = ReadSettings(limits=dict.fromkeys(tables, n_drawn), layer=layer, by=color, donor=None, seed=seed)
    genes = shared_genes(tables)
    samples = {role: read_sample(table, role=role, genes=genes, settings=settings) for role, table in tables.items()}
    space = fit_space(samples["real"], genes, seed=seed)
    pcs = [space.features(sample).pcs for sample in samples.values()]
    method, *places = joint_embedding(pcs[0], pcs[1], seed=seed)
    figure = Figure(figsize=(5.0 if color is None else 9.0, 4.6), layout="constrained")
    panels = list(figure.subplots(1, 1 if color is None else 2, squeeze=False, sharex=True, sharey=True)[0])
    if color is None:
        _draw_both(panels[0], places, n_drawn)
    else:
        _draw_labels(panels, places, list(samples.values()), color=color)
    x, y = _axis_labels(method)
    for axes in panels:
        axes.set(xticks=[], yticks=[], xlabel=x)
    panels[0].set_ylabel(y)
    return figure


def _axis_labels(method: str) -> tuple[str, str]:
    """Say what the axes are, and why they are no UMAP where they are none."""
    if method.startswith("UMAP"):
        return "UMAP 1", "UMAP 2"
    reason = "there are few cells" if find_spec("umap") else "UMAP is not installed: pip install umap-learn"
    return f"principal component 1\n({reason})", "principal component 2"


def _draw_both(axes: Axes, places: list[NDArray[Any]], n_cells: int) -> None:
    real, made = places
    axes.scatter(real[:, 0], real[:, 1], s=9, c=_REAL, linewidths=0, label=f"real ({n_cells:,} cells)")
    axes.scatter(
        made[:, 0], made[:, 1], s=11, facecolors="none", edgecolors=_GENERATED, marker="^", linewidths=0.6,
        label=f"generated ({n_cells:,} cells)",
    )  # fmt: skip
    axes.legend(frameon=False, markerscale=1.8)


def _draw_labels(panels: list[Axes], places: list[NDArray[Any]], samples: list[Sample], *, color: str) -> None:
    """Colour the cells of each kind by label, the most frequent ones first."""
    columns = [np.full(sample.n_cells, "") if sample.labels is None else sample.labels for sample in samples]
    names, sizes = np.unique(columns[0][columns[0] != ""], return_counts=True)
    shown = [str(name) for name in names[np.argsort(-sizes, kind="stable")]][: len(_SHAPES)]
    for axes, title, place, labels in zip(panels, ("real", "generated"), places, columns, strict=True):
        rest = place[~np.isin(labels, shown)]
        if len(rest):
            axes.scatter(rest[:, 0], rest[:, 1], s=8, c=_OTHER, linewidths=0, label="other or none")
        for at, name in enumerate(shown):
            own = place[labels == name]
            axes.scatter(
                own[:, 0], own[:, 1], s=11, c=_COLOURS[at % len(_COLOURS)], marker=_SHAPES[at], linewidths=0, alpha=0.8,
                label=figure_label(name, most=120, width=30),
            )  # fmt: skip
        axes.set_title(f"{title} ({len(place):,} cells)")
    handles = {name: handle for axes in panels for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    panels[0].figure.legend(
        handles.values(), handles.keys(), title=figure_label(color, width=30), loc="outside right upper", frameon=False,
        markerscale=1.6, fontsize=8,
    )  # fmt: skip
