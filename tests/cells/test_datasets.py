from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from scdiffuse._core.errors import CountsError, DataFileError, MissingExtraError, UnknownNameError
from scdiffuse.cells import check_counts, datasets


def test_example_data_are_raw_counts_with_labels() -> None:
    cells = datasets.pbmc68k()
    assert cells.shape == (700, 765)
    check_counts(cells)
    assert (cells.X.min(axis=1).toarray() >= 0).all()
    assert cells.obs["cell_type"].nunique() == 10
    assert "Zheng" in cells.uns["source"]
    assert "scanpy" in cells.uns["source"]


def test_counts_are_recovered_from_scaled_logarithms() -> None:
    truth = np.array([[0, 1, 7], [3, 1, 0]], dtype=np.float64)
    logged = sp.csr_matrix(np.log1p(truth * np.array([[2.5], [0.3]])))
    assert datasets._recover_counts(logged).toarray() == pytest.approx(truth)


def test_other_contents_are_refused() -> None:
    with pytest.raises(CountsError, match=r"differ from whole counts by up to 0.40; expected the file of scanpy"):
        datasets._recover_counts(sp.csr_matrix(np.log1p([[1.0, 2.4]])))


def test_missing_scanpy_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"are part of the package `scanpy`, .* `pip install scanpy`"):
        datasets.pbmc68k()


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"'pbmc3' is not a known data set; .* Did you mean 'pbmc3k'"):
        datasets.fetch("pbmc3")


def test_a_missing_downloader_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingExtraError, match=r"needs the package `pooch`. Run `pip install scdiffuse\[datasets\]`"):
        datasets.fetch("pbmc3k")


def test_a_download_is_verified_and_says_where_it_is_from(
    adata: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, object] = {}

    def retrieve(url: str, **settings: object) -> str:
        asked.update(settings, url=url)
        adata.write_h5ad(tmp_path / str(settings["fname"]))
        return str(tmp_path / str(settings["fname"]))

    monkeypatch.setitem(sys.modules, "pooch", SimpleNamespace(retrieve=retrieve))
    cells = datasets.fetch("pbmc3k", folder=tmp_path)
    assert cells.shape == adata.shape
    assert "10x Genomics" in cells.uns["source"]
    assert str(asked["known_hash"]).startswith("sha256:")
    assert asked["path"] == tmp_path


@pytest.mark.parametrize("error", [ConnectionError("no route"), ValueError("SHA256 hash of downloaded file differs")])
def test_a_download_that_fails_says_what_to_do(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def retrieve(_url: str, **_settings: object) -> str:
        raise error

    monkeypatch.setitem(sys.modules, "pooch", SimpleNamespace(retrieve=retrieve))
    with pytest.raises(
        DataFileError, match=rf"h5ad cannot be downloaded \({error}\). Try again, or save the file .*h5ad"
    ):
        datasets.fetch("pbmc3k", folder=tmp_path)


def _log2_ratio(cells: ad.AnnData, marks: np.ndarray, genes: np.ndarray) -> np.ndarray:
    means = [np.asarray(cells[rows].X[:, genes].mean(axis=0)).ravel() for rows in (marks, ~marks)]
    return np.asarray(np.log2(means[0] / means[1]))


@pytest.mark.parametrize(
    ("column", "label", "others"), [("condition", "stimulated", {}), ("batch", "b2", {}), ("day", 3.0, {1.0, 2.0})]
)
def test_planted_effects_have_the_size_that_is_stated(column: str, label: object, others: set[float]) -> None:
    cells = datasets.pbmc68k_planted()
    check_counts(cells)
    cells = cells[~cells.obs[column].isin(others)]
    truth = cells.var[f"log2_fold_{column}"].to_numpy()
    measured = _log2_ratio(cells, (cells.obs[column] == label).to_numpy(), np.flatnonzero(truth))
    planted = truth[truth != 0]
    assert len(planted) == 60
    assert np.corrcoef(measured, planted)[0, 1] > 0.95
    assert np.polyfit(planted, measured, 1)[0] == pytest.approx(1.0, abs=0.08)


def test_each_column_changes_genes_of_its_own_and_no_other_counts() -> None:
    before, after = datasets.pbmc68k(), datasets.pbmc68k_planted()
    changed = (after.var != 0).sum(axis=1).to_numpy()
    assert changed.max() == 1
    assert (before.X[:, changed == 0] != after.X[:, changed == 0]).nnz == 0
    plain = ((after.obs["condition"] == "control") & (after.obs["day"] == 0) & (after.obs["batch"] == "b1")).to_numpy()
    assert plain.sum() > 30
    assert (before.X[plain] != after.X[plain]).nnz == 0


def test_planted_effects_follow_from_the_seed() -> None:
    first, again, other = (datasets.pbmc68k_planted(seed=seed) for seed in (0, 0, 1))
    assert (first.X != again.X).nnz == 0
    assert not (first.obs["batch"] == other.obs["batch"]).all()


def test_assignments_are_even_within_types() -> None:
    obs = datasets.pbmc68k_planted().obs
    sizes = obs[obs["cell_type"] == "Dendritic"].value_counts(["condition", "day", "batch"])
    assert len(sizes) == 16
    assert sizes.max() - sizes.min() <= 1
