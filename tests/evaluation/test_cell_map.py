"""One plane for real and generated cells."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from scdiffuse._core.errors import GenesError, SettingError
from scdiffuse.evaluation import CellMap


@pytest.fixture(scope="module")
def cell_map(simulated: ad.AnnData) -> CellMap:
    return CellMap(simulated)


def test_cells_that_join_later_move_nobody(cell_map: CellMap, simulated: ad.AnnData) -> None:
    all_of_them = cell_map.place(simulated)
    np.testing.assert_allclose(cell_map.place(simulated[30:40]), all_of_them[30:40], atol=1e-4)
    assert all_of_them.shape == (150, 2)
    assert cell_map.n_fitted == 150


def test_types_are_apart(cell_map: CellMap, simulated: ad.AnnData) -> None:
    labels = simulated.obs["cell_type"].astype(object).to_numpy()
    placed = cell_map.place(simulated)
    centres = [placed[labels == label].mean(axis=0) for label in ("T", "NK")]
    assert np.linalg.norm(centres[0] - centres[1]) > placed[labels == "T"].std()


def test_missing_genes_count_as_zeros_and_others_are_ignored(cell_map: CellMap, simulated: ad.AnnData) -> None:
    without, zero = simulated[:, 1:].copy(), simulated.copy()
    zero.X[:, 0] = 0
    np.testing.assert_allclose(cell_map.place(without), cell_map.place(zero), atol=1e-4)
    with pytest.raises(GenesError, match="9 of the 25 genes of the map"):
        cell_map.place(simulated[:, :9])


def test_fitted_cells_lie_on_the_umap_and_others_among_them(simulated: ad.AnnData) -> None:
    cell_map = CellMap(simulated[:40])  # too few for UMAP: the plane is that of the components
    with pytest.raises(SettingError, match="`fit_umap` is not done"):
        cell_map.place(simulated, "umap")
    cell_map.fit_umap()
    assert cell_map.has_umap
    layout = cell_map.place(simulated[:40], "umap")
    np.testing.assert_allclose(layout, cell_map.place(simulated[:40]), atol=1e-3)
    others = cell_map.place(simulated[40:], "umap")
    assert (others.min(axis=0) >= layout.min(axis=0)).all()
    assert (others.max(axis=0) <= layout.max(axis=0)).all()
