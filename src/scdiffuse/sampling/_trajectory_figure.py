"""The figure of a trajectory: where cells go, and what their genes do on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError
from scdiffuse._core.slots import OBS_SOURCE, OBS_UNSEEN, OBSM_LATENT
from scdiffuse._core.text import figure_label
from scdiffuse.cells import find_gene

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_trajectory"]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#332288", "#999933")
_LINES = ("-", "--", ":", "-.")
_MOST_PATHS = 40
_MOST_REAL = 5000
_OWN = {"state", "weight", "branch", "start_cell", "pseudotime", OBS_SOURCE, OBS_UNSEEN}
"""Columns of a trajectory that are no conditions."""


def plot_trajectory(adata: ad.AnnData, *, genes: str | Sequence[str] = (), real: ad.AnnData | None = None) -> Figure:
    """Draw a trajectory: paths in the plane where latents vary most, and genes along the states.

    Parameters
    ----------
    adata
        What `CellGenerator.trajectory` returned.
    genes
        A gene or several to follow, by name or by a symbol or identifier in a column of `var`, in the mean of log
        counts per 10,000 at each state, with a band of one standard deviation of the cells to either side.
    real
        Real cells to draw beneath, with their latents, as ``model.encode(real, key_added="X_scdiffuse")`` keeps them.
        The plane is then that where the latents of these cells vary most.

    Returns
    -------
    The figure; ``figure.savefig("path.png")`` keeps it.

    Raises
    ------
    SettingError
        These cells are not a trajectory, or the real cells have no latents of this model.
    UnknownNameError
        A gene is not among them.
    """
    from matplotlib.figure import Figure

    if OBSM_LATENT not in adata.obsm or not {"state", "branch", "start_cell"} <= set(_named(adata.obs)):
        msg = f"These cells have the columns {list(adata.obs)}; expected those of a trajectory, with latents."
        raise SettingError(msg + " Pass what `model.trajectory()` returned.")
    genes = list(dict.fromkeys([genes] if isinstance(genes, str) else genes))
    rows = [find_gene(adata.var, gene) for gene in genes]
    latents = np.asarray(adata.obsm[OBSM_LATENT])
    beneath = None if real is None else _latents_of(real, width=latents.shape[1])
    obs = _named(adata.obs)
    figure = Figure(figsize=(5.6 + 5.0 * bool(genes), 4.4), layout="constrained")
    axes = figure.subplots(1, 1 + bool(genes), squeeze=False)[0]
    _draw_paths(axes[0], latents, obs, beneath=beneath)
    if genes:
        _draw_genes(axes[1], adata[:, rows].X, np.asarray(adata.X.sum(axis=1)).ravel(), obs=obs, genes=genes)
    return figure


def _latents_of(real: ad.AnnData, *, width: int) -> NDArray[np.float32]:
    """Read the latents of real cells, of many some at even steps."""
    found = real.obsm.get(OBSM_LATENT)
    if found is None or found.shape[1] != width:
        held = "none" if found is None else f"latents of width {found.shape[1]}"
        msg = f"`real` has {held} in `obsm[{OBSM_LATENT!r}]`; expected latents of width {width}."
        raise SettingError(msg + f" Call `model.encode(real, key_added={OBSM_LATENT!r})` first.")
    step = max(1, len(found) // _MOST_REAL)
    latents: NDArray[np.float32] = np.asarray(found)[::step]
    return latents


def _named(obs: pd.DataFrame) -> pd.DataFrame:
    """Give the columns of a trajectory their plain names, also where a condition has them."""
    own = {name: name.removeprefix("trajectory_") for name in map(str, obs) if name.startswith("trajectory_")}
    return obs.drop(columns=[name for name in own.values() if name in obs]).rename(columns=own)


def _describe_branch(obs: pd.DataFrame, branch: object) -> str:
    """Say what changes along a branch: its name, and the conditions that differ between start and target."""
    mine = obs[obs["branch"] == branch]
    start, end = (mine[mine["state"] == state] for state in (mine["state"].min(), mine["state"].max()))
    changes = []
    for name in obs.columns.drop(list(_OWN), errors="ignore"):
        before, after = start[name].unique(), end[name].unique()
        if len(after) != 1 or pd.isna(after[0]) or (len(before) == 1 and before[0] == after[0]):
            continue
        is_one = len(before) == 1 and not pd.isna(before[0])
        changes.append(
            f"{name} {_word(before[0])} \N{RIGHTWARDS ARROW} {_word(after[0])}"
            if is_one
            else f"{name} to {_word(after[0])}"
        )
    is_only = obs["branch"].nunique() == 1
    return (
        ", ".join(changes)
        if changes and is_only
        else ": ".join([str(branch), *([", ".join(changes)] if changes else [])])
    )


def _word(value: Any) -> str:  # noqa: ANN401 - a label or number
    return f"{value:g}" if isinstance(value, float) else str(value)


def _draw_paths(
    axes: Axes, latents: NDArray[np.float32], obs: pd.DataFrame, *, beneath: NDArray[np.float32] | None
) -> None:
    base = latents if beneath is None else beneath
    centre = base.mean(axis=0)
    _, lengths, directions = np.linalg.svd(base - centre, full_matrices=False)
    plane, fractions = _project(latents - centre, directions), lengths**2 / max(float((lengths**2).sum()), 1e-12)
    if beneath is not None:
        dots = _project(beneath - centre, directions)
        axes.scatter(dots[:, 0], dots[:, 1], s=5, color="#BBBBBB", linewidths=0, label="real cells", zorder=0)
    shown = list(obs["start_cell"].unique()[:_MOST_PATHS])
    for at, branch in enumerate(obs["branch"].unique()):
        mine, colour = (obs["branch"] == branch).to_numpy(), _COLOURS[at % len(_COLOURS)]
        for cell in shown:
            path = plane[mine & (obs["start_cell"] == cell).to_numpy()]
            axes.plot(path[:, 0], path[:, 1], color=colour, alpha=0.25, linewidth=0.8)
        states = obs["state"].to_numpy()
        means = np.array([plane[mine & (states == state)].mean(axis=0) for state in np.unique(states)])
        label = figure_label(_describe_branch(obs, branch))
        axes.plot(means[:, 0], means[:, 1], color=colour, linewidth=2.2, marker=".", label=label)
        axes.plot(*means[-1], color=colour, marker="^", markersize=9, markeredgecolor="black")
        axes.plot(*means[0], color="white", marker="o", markersize=8, markeredgecolor="black", zorder=5)
    of = "trajectory" if beneath is None else "real cells"
    names = [
        f"latent direction {at + 1} ({fraction:.0%} of the variance of the {of})"
        for at, fraction in enumerate(fractions)
    ]
    axes.set(xlabel=names[0], ylabel=names[1] if len(names) > 1 else "", title="circle: start, triangle: target")
    axes.legend(frameon=False, fontsize=9)


def _project(centred: NDArray[np.float32], directions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put latents into a plane; of one direction alone, onto a line in it."""
    plane: NDArray[np.float32] = centred @ directions[:2].T
    return plane if plane.shape[1] == 2 else np.column_stack([plane[:, 0], 0 * plane[:, 0]])


def _draw_genes(
    axes: Axes, counts: sp.csr_matrix, totals: NDArray[np.int64], *, obs: pd.DataFrame, genes: Sequence[str]
) -> None:
    logs = np.log1p(1e4 * counts.toarray() / totals[:, None])
    table = pd.DataFrame(logs, columns=list(genes), index=obs.index)
    for line, branch in enumerate(obs["branch"].unique()):
        mine = (obs["branch"] == branch).to_numpy()
        states = table[mine].groupby(obs["weight"][mine].to_numpy())
        means, spreads = states.mean(), states.std(ddof=0)
        for at, gene in enumerate(genes):
            label = gene if obs["branch"].nunique() == 1 else f"{gene}, {branch}"
            colour, style = _COLOURS[at % len(_COLOURS)], _LINES[line % len(_LINES)]
            axes.plot(means.index, means[gene], label=figure_label(label), marker=".", color=colour, linestyle=style)
            low, high = (means[gene] - spreads[gene]).clip(lower=0.0), means[gene] + spreads[gene]
            axes.fill_between(means.index, low, high, color=colour, alpha=0.13, linewidth=0)
    axes.set(
        xlabel="weight of the target (0: start, 1: target)",
        ylabel="log(1 + counts per 10,000)",
        title="mean of the cells, band: one standard deviation",
    )
    axes.legend(frameon=False)
