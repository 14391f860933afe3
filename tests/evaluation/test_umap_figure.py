"""Real and generated cells on one plane, equally many, with axes that say what they are."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from matplotlib.axes import Axes
from numpy.typing import NDArray

from scdiffuse._core.errors import GenesError, SettingError, UnknownNameError
from scdiffuse.evaluation import plot_umap


def _cells(n: int, *, seed: int, labels: int = 3) -> ad.AnnData:
    draw = np.random.default_rng(seed)
    types = np.arange(n) % labels
    means = np.random.default_rng(0).gamma(1.0, 2.0, (labels, 40)) + 0.1
    obs = pd.DataFrame({"cell_type": [f"$type_{at}" for at in types]}, index=[f"cell-{at}" for at in range(n)])
    var = pd.DataFrame(index=[f"gene-{at}" for at in range(40)])
    return ad.AnnData(sp.csr_matrix(draw.poisson(means[types]).astype(np.float32)), obs=obs, var=var)


def sizes_of(axes: Axes) -> list[int]:
    """Count the cells of each kind of mark."""
    return [np.shape(one.get_offsets())[0] for one in axes.collections]


class FirstComponents:
    """Takes the place of UMAP, which takes half a minute to compile."""

    def __init__(self, **_: object) -> None:
        self.embedding_: NDArray[np.float32] = np.empty((0, 2), dtype=np.float32)

    def fit(self, cells: NDArray[np.float32]) -> FirstComponents:
        self.embedding_ = cells[:, :2]
        return self

    def transform(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        return cells[:, :2]


def test_both_kinds_of_cells_are_drawn_in_equal_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=FirstComponents))
    (axes,) = plot_umap(_cells(70, seed=1), _cells(55, seed=2)).axes
    assert sizes_of(axes) == [55, 55]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("UMAP 1", "UMAP 2")
    legend = axes.get_legend()
    assert legend is not None
    assert [one.get_text() for one in legend.get_texts()] == ["real (55 cells)", "generated (55 cells)"]


def test_few_cells_are_drawn_by_components_and_the_axes_say_so() -> None:
    (axes,) = plot_umap(_cells(70, seed=1), _cells(55, seed=2), n_cells=20).axes
    assert sizes_of(axes) == [20, 20]
    assert axes.get_xlabel() == "principal component 1\n(there are few cells)"


def test_without_umap_the_axes_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    monkeypatch.setattr("scdiffuse.evaluation._umap_figure.find_spec", lambda _: None)
    (axes,) = plot_umap(_cells(60, seed=1), _cells(60, seed=2)).axes
    assert axes.get_xlabel() == "principal component 1\n(UMAP is not installed: pip install umap-learn)"


def test_labels_have_a_panel_for_each_kind_of_cells() -> None:
    figure = plot_umap(_cells(42, seed=1, labels=14), _cells(42, seed=2, labels=14), color="cell_type")
    assert [axes.get_title() for axes in figure.axes] == ["real (42 cells)", "generated (42 cells)"]
    names = [one.get_text() for one in figure.legends[0].get_texts()]
    assert len(names) == 13  # twelve, and the others
    assert "other or none" in names
    assert all(r"\$type" in name for name in names if name != "other or none")
    for axes in figure.axes:
        assert sum(sizes_of(axes)) == 42


def test_what_cannot_be_drawn_is_refused() -> None:
    real, made = _cells(30, seed=1), _cells(30, seed=2)
    with pytest.raises(UnknownNameError, match="'cell_typ' is not a column of the real cells"):
        plot_umap(real, made, color="cell_typ")
    with pytest.raises(SettingError, match="`n_cells` must be at least 10, got 3"):
        plot_umap(real, made, n_cells=3)
    del made.obs["cell_type"]
    with pytest.raises(SettingError, match="a column that the generated cells do not have"):
        plot_umap(real, made, color="cell_type")
    made.var_names = [f"other-{at}" for at in range(40)]
    with pytest.raises(GenesError, match="share 0 genes"):
        plot_umap(real, made)
