"""One plane for real and generated cells."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from scdiffuse._core.errors import GenesError, SettingError
from scdiffuse.evaluation import CellMap
from scdiffuse.evaluation._feature_space import fit_space, likely_variable
from scdiffuse.evaluation._layout import lay_out_apart
from scdiffuse.evaluation._reading import Sample
from scdiffuse.metrics import log_normalise


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


def test_cells_are_placed_by_their_log_normalised_counts(simulated: ad.AnnData) -> None:
    cell_map = CellMap(simulated)
    space = cell_map._space
    at = simulated.var_names.get_indexer(space.genes)
    values = log_normalise(sp.csr_matrix(simulated.X)[:, at])[:, space.chosen].toarray()
    expected = (values - values.mean(axis=0)) @ space.components.T
    np.testing.assert_allclose(cell_map.components(simulated), expected, atol=1e-4)


def test_genes_that_are_looked_at_closely_hold_those_that_vary_most() -> None:
    random = np.random.default_rng(0)
    counts = random.poisson(np.exp(random.normal(-1, 1, 400)) * random.lognormal(0, 0.3, (300, 1))).astype(np.float32)
    counts[:150, 7::40] += random.poisson(6, (150, 10))
    matrix, genes = sp.csr_matrix(counts), np.array([f"g{at}" for at in range(400)])
    few = likely_variable(matrix, 40)
    assert set(range(7, 400, 40)) <= set(few.tolist())
    assert few.tolist() == sorted(set(few.tolist()))
    whole = fit_space(Sample(counts=matrix), genes, n_genes=10)
    chosen = fit_space(Sample(counts=matrix), genes, n_genes=10, candidates=few)
    assert chosen.chosen.tolist() == whole.chosen.tolist() == list(range(7, 400, 40))
    np.testing.assert_array_equal(chosen.components, whole.components)


FAKE_UMAP = """
import os
class UMAP:
    def __init__(self, **settings):
        self.seed = settings["random_state"]
    def fit_transform(self, scores):
        print("words that are no numbers")
        if os.environ.get("SLEEP"):
            __import__("time").sleep(60)
        if os.environ.get("FAIL"):
            raise ValueError("no layout")
        return [[os.getpid(), one[0] + self.seed] for one in scores]
"""


@pytest.fixture
def other_umap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a package of that name that other processes find first, and that says which process it runs in."""
    (tmp_path / "umap.py").write_text(FAKE_UMAP)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("other_umap")
def test_a_layout_apart_is_made_in_another_process(simulated: ad.AnnData) -> None:
    cell_map = CellMap(simulated, seed=3)
    cell_map.fit_umap(apart=True)
    layout = cell_map.place(simulated, "umap")
    assert len(set(layout[:, 0])) == 1
    assert layout[0, 0] != os.getpid()
    np.testing.assert_allclose(layout[:, 1], cell_map.components(simulated)[:, 0] + 3, atol=1e-3)


@pytest.mark.usefixtures("other_umap")
def test_many_cells_reach_a_process_that_starts_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scdiffuse.evaluation._layout._SECONDS_BETWEEN_LOOKS", 0.005)
    scores = np.arange(5_000 * 30, dtype=np.float32).reshape(5_000, 30)  # more than a pipe holds
    layout = lay_out_apart(scores, seed=1)
    assert layout is not None
    np.testing.assert_array_equal(layout[:, 1], scores[:, 0] + 1)


@pytest.mark.usefixtures("other_umap")
def test_a_layout_that_fails_says_why(simulated: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL", "1")
    cell_map = CellMap(simulated)
    with pytest.raises(RuntimeError, match="no layout"):
        cell_map.fit_umap(apart=True)
    assert not cell_map.has_umap


@pytest.mark.usefixtures("other_umap")
def test_a_layout_that_is_cancelled_ends_at_once(simulated: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEP", "1")
    cell_map, cancel = CellMap(simulated), threading.Event()
    threading.Timer(0.3, cancel.set).start()
    start = time.monotonic()
    cell_map.fit_umap(apart=True, cancel=cancel)
    assert time.monotonic() - start < 50
    assert not cell_map.has_umap


def test_of_a_gene_that_is_there_twice_the_first_is_taken(simulated: ad.AnnData) -> None:
    twice = simulated.copy()
    names = twice.var_names.to_list()
    names[5] = names[2]
    twice.var_names = names
    cell_map = CellMap(twice)
    np.testing.assert_allclose(cell_map.components(twice), cell_map._fitted, atol=1e-4)
