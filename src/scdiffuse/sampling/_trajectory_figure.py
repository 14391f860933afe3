"""The figure of a trajectory: where cells go, and what their genes do on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError, UnknownNameError, did_you_mean
from scdiffuse._core.slots import OBSM_LATENT
from scdiffuse._core.text import figure_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_trajectory"]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#332288", "#999933")
_LINES = ("-", "--", ":", "-.")
_MOST_PATHS = 40


def plot_trajectory(adata: ad.AnnData, *, genes: Sequence[str] = ()) -> Figure:
    """Draw a trajectory: paths in the plane where latents vary most, and genes along the states.

    Parameters
    ----------
    adata
        What `CellGenerator.trajectory` returned.
    genes
        Genes to follow, in the mean of log counts per 10,000 at each state.

    Returns
    -------
    The figure; ``figure.savefig("path.png")`` keeps it.

    Raises
    ------
    SettingError
        These cells are not a trajectory.
    UnknownNameError
        A gene is not among them.
    """
    from matplotlib.figure import Figure

    if OBSM_LATENT not in adata.obsm or not {"state", "branch", "start_cell"} <= set(_named(adata.obs)):
        msg = f"These cells have the columns {list(adata.obs)}; expected those of a trajectory, with latents."
        raise SettingError(msg + " Pass what `model.trajectory()` returned.")
    for gene in genes:
        if gene not in adata.var_names:
            msg = f"{gene!r} is not a gene of these cells; expected one of {adata.n_vars}."
            raise UnknownNameError(msg + did_you_mean(gene, adata.var_names))
    obs = _named(adata.obs)
    figure = Figure(figsize=(5.2 + 5.0 * bool(genes), 4.2), layout="constrained")
    axes = figure.subplots(1, 1 + bool(genes), squeeze=False)[0]
    _draw_paths(axes[0], adata.obsm[OBSM_LATENT], obs)
    if genes:
        _draw_genes(axes[1], adata[:, list(genes)].X, np.asarray(adata.X.sum(axis=1)).ravel(), obs=obs, genes=genes)
    return figure


def _named(obs: pd.DataFrame) -> pd.DataFrame:
    """Give the columns of a trajectory their plain names, also where a condition has them."""
    own = {name: name.removeprefix("trajectory_") for name in map(str, obs) if name.startswith("trajectory_")}
    return obs.drop(columns=[name for name in own.values() if name in obs]).rename(columns=own)


def _draw_paths(axes: Axes, latents: NDArray[np.float32], obs: pd.DataFrame) -> None:
    centred = latents - latents.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    plane = centred @ directions[:2].T if len(directions) > 1 else np.column_stack([centred[:, 0], 0 * centred[:, 0]])
    shown = list(obs["start_cell"].unique()[:_MOST_PATHS])
    for at, branch in enumerate(obs["branch"].unique()):
        mine, colour = (obs["branch"] == branch).to_numpy(), _COLOURS[at % len(_COLOURS)]
        for cell in shown:
            path = plane[mine & (obs["start_cell"] == cell).to_numpy()]
            axes.plot(path[:, 0], path[:, 1], color=colour, alpha=0.25, linewidth=0.8)
        states = obs["state"].to_numpy()
        means = np.array([plane[mine & (states == state)].mean(axis=0) for state in np.unique(states)])
        axes.plot(means[:, 0], means[:, 1], color=colour, linewidth=2.2, marker=".", label=figure_label(branch))
        axes.plot(*means[-1], color=colour, marker="^", markersize=9, markeredgecolor="black")
        axes.plot(*means[0], color="white", marker="o", markersize=8, markeredgecolor="black", zorder=5)
    axes.set(
        xlabel="first direction of the latents", ylabel="second direction", title="circle: start, triangle: target"
    )
    if obs["branch"].nunique() > 1:
        axes.legend(frameon=False)


def _draw_genes(
    axes: Axes, counts: sp.csr_matrix, totals: NDArray[np.int64], *, obs: pd.DataFrame, genes: Sequence[str]
) -> None:
    logs = np.log1p(1e4 * counts.toarray() / totals[:, None])
    table = pd.DataFrame(logs, columns=list(genes), index=obs.index)
    for line, branch in enumerate(obs["branch"].unique()):
        mine = (obs["branch"] == branch).to_numpy()
        means = table[mine].groupby(obs["weight"][mine].to_numpy()).mean()
        for at, gene in enumerate(genes):
            label = gene if obs["branch"].nunique() == 1 else f"{gene}, {branch}"
            colour, style = _COLOURS[at % len(_COLOURS)], _LINES[line % len(_LINES)]
            axes.plot(means.index, means[gene], label=figure_label(label), marker=".", color=colour, linestyle=style)
    axes.set(xlabel="weight of the target", ylabel="mean of log(1 + counts per 10,000)")
    axes.legend(frameon=False)
