"""The figure shows each branch from start to target, and each gene along the weights."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from matplotlib.axes import Axes

from scdiffuse._core.errors import SettingError, UnknownNameError
from scdiffuse.generator import CellGenerator
from scdiffuse.sampling._trajectory_figure import plot_trajectory


@pytest.fixture(scope="module")
def path(fitted: CellGenerator) -> ad.AnnData:
    """Two branches of three states."""
    to = {"b": {"cell_type": "B"}, "nk": {"cell_type": "NK"}}
    return fitted.trajectory({"cell_type": "T"}, to, n_cells=5, n_states=3, progress=False)


def test_every_cell_has_a_line_in_every_branch(path: ad.AnnData) -> None:
    (axes,) = plot_trajectory(path).axes
    lines = [line for line in axes.lines if line.get_alpha() == 0.25]
    assert len(lines) == 10
    assert all(np.size(line.get_xdata()) == 3 for line in lines)
    assert axes.get_legend() is not None


def test_genes_are_followed_along_the_weights(path: ad.AnnData) -> None:
    _, axes = plot_trajectory(path, genes=list(path.var_names[:2])).axes
    assert len(axes.lines) == 4
    assert np.asarray(axes.lines[0].get_xdata()).tolist() == [0.0, 0.5, 1.0]


def test_genes_are_followed_by_their_symbols(path: ad.AnnData) -> None:
    named = path.copy()
    named.var["symbol"] = [f"SYMBOL{at}" for at in range(named.n_vars)]
    by_symbol, by_name = (
        plot_trajectory(named, genes=[gene]).axes[1].lines[0] for gene in ("SYMBOL3", str(path.var_names[3]))
    )
    assert np.array_equal(by_symbol.get_ydata(), by_name.get_ydata())
    with pytest.raises(UnknownNameError, match="Did you mean 'SYMBOL3'"):
        plot_trajectory(named, genes=["SYMBOL03"])


def test_other_cells_and_genes_are_refused(path: ad.AnnData, simulated: ad.AnnData) -> None:
    with pytest.raises(SettingError, match="expected those of a trajectory"):
        plot_trajectory(simulated)
    with pytest.raises(UnknownNameError, match="'gene-x' is not a gene of these cells"):
        plot_trajectory(path, genes=["gene-x"])


def legend_of(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [one.get_text() for one in legend.get_texts()]


def test_branches_are_named_by_the_conditions_that_change(fitted: CellGenerator, path: ad.AnnData) -> None:
    (axes,) = plot_trajectory(path).axes
    assert legend_of(axes) == ["b: cell_type T → B", "nk: cell_type T → NK"]
    alone = fitted.trajectory({"treated": True}, {"cell_type": "B"}, n_cells=9, n_states=2, progress=False)
    (axes,) = plot_trajectory(alone).axes
    assert legend_of(axes) == ["cell_type to B"]


def test_axes_say_what_they_are(path: ad.AnnData) -> None:
    plane, curves = plot_trajectory(path, genes=[path.var_names[0]]).axes
    share = np.linalg.svd(path.obsm["X_scdiffuse"] - path.obsm["X_scdiffuse"].mean(axis=0), compute_uv=False) ** 2
    assert plane.get_xlabel() == f"latent direction 1 ({share[0] / share.sum():.0%} of the variance of the trajectory)"
    assert curves.get_xlabel() == "weight of the target (0: start, 1: target)"


def test_genes_have_a_band_of_one_standard_deviation(path: ad.AnnData) -> None:
    gene = path.var_names[3]
    _, axes = plot_trajectory(path, genes=[gene]).axes
    assert len(axes.collections) == 2  # one a branch
    values = np.log1p(1e4 * path[:, gene].X.toarray().ravel() / np.asarray(path.X.sum(axis=1)).ravel())
    at_end = values[((path.obs["branch"] == "b") & (path.obs["state"] == 2)).to_numpy()]
    edges = axes.collections[0].get_paths()[0].vertices
    found = sorted({round(float(y), 4) for x, y in np.asarray(edges) if x == 1.0})
    low, high = max(at_end.mean() - at_end.std(), 0.0), at_end.mean() + at_end.std()
    assert found == pytest.approx([low, high], abs=1e-3)


def test_real_cells_lie_beneath(fitted: CellGenerator, path: ad.AnnData, simulated: ad.AnnData) -> None:
    real = simulated.copy()
    with pytest.raises(SettingError, match=r"`real` has none in `obsm\['X_scdiffuse'\]`.* Call `model.encode\(real"):
        plot_trajectory(path, real=real)
    fitted.encode(real, key_added="X_scdiffuse")
    (axes,) = plot_trajectory(path, real=real).axes
    assert np.shape(axes.collections[0].get_offsets()) == (real.n_obs, 2)
    assert "variance of the real cells" in axes.get_xlabel()


def test_one_gene_may_be_text_and_a_repeated_one_is_drawn_once(path: ad.AnnData) -> None:
    name = str(path.var_names[0])
    drawn = [len(plot_trajectory(path, genes=genes).axes[1].lines) for genes in (name, [name, name])]
    assert drawn == [2, 2]
