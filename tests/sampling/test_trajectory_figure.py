"""The figure shows each branch from start to target, and each gene along the weights."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

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


def test_other_cells_and_genes_are_refused(path: ad.AnnData, simulated: ad.AnnData) -> None:
    with pytest.raises(SettingError, match="expected those of a trajectory"):
        plot_trajectory(simulated)
    with pytest.raises(UnknownNameError, match="'gene-x' is not a gene of these cells"):
        plot_trajectory(path, genes=["gene-x"])
