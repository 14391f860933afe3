from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from scdiffuse._core.errors import CountsError, MissingExtraError, UnknownNameError
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
