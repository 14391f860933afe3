from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr

from scdiffuse._core.errors import CountsError, DataFileError, GenesError, SettingError
from scdiffuse.cells import check_counts, open_source
from scdiffuse.cells._joined import join_obs


@pytest.fixture
def files(adata: ad.AnnData, tmp_path: Path) -> list[Path]:
    """The first 40 cells with all 30 genes, and the last 20 with 25 of them in another order."""
    places = [tmp_path / "one.h5ad", tmp_path / "two.h5ad"]
    adata[:40].copy().write_h5ad(places[0])
    adata[40:, [*range(29, 4, -1)]].copy().write_h5ad(places[1])
    return places


def test_a_list_of_files_is_one_source_of_the_shared_genes(files: list[Path], adata: ad.AnnData) -> None:
    with pytest.warns(UserWarning, match="2 files share 25 genes; genes that others lack are left out: 5 of 'one'"):
        source = open_source(files)
    assert source.genes.tolist() == [f"gene-{at}" for at in range(5, 30)]
    assert source.obs.index.tolist() == adata.obs_names.tolist()
    assert source.obs["cell_type"].astype(str).tolist() == adata.obs["cell_type"].astype(str).tolist()
    wanted = np.array([59, 0, 39, 40, 0, 41])
    assert np.array_equal(source.rows(wanted).toarray(), adata.X[wanted][:, 5:].toarray())
    blocks = list(source.blocks(30))
    assert [(where.start, where.stop) for where, _ in blocks] == [(0, 30), (30, 40), (40, 60)]
    assert np.array_equal(sp.vstack([block for _, block in blocks]).toarray(), adata.X[:, 5:].toarray())


def test_genes_of_a_list_can_be_named(files: list[Path], adata: ad.AnnData) -> None:
    source = open_source(files, genes=["gene-9", "gene-6"])
    assert np.array_equal(source.rows(np.arange(60)).toarray(), adata.X[:, [9, 6]].toarray())
    assert source.rows(np.array([], dtype=np.int64)).shape == (0, 2)
    with pytest.raises(GenesError, match="lack 1 of the 1 expected genes, such as 'gene-0'"):
        open_source(files, genes=["gene-0"])


def test_cells_of_one_name_get_that_of_their_file(adata: ad.AnnData) -> None:
    index = open_source([adata, adata]).obs.index
    assert index[3] == "cells 1:cell-3"
    assert index[63] == "cells 2:cell-3"
    assert index.is_unique


def test_files_of_one_name_are_numbered(adata: ad.AnnData, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        adata.write_h5ad(tmp_path / name / "cells.h5ad")
    index = open_source([tmp_path / "a" / "cells.h5ad", tmp_path / "b" / "cells.h5ad"]).obs.index
    assert index[0], index[60] == ("cells 1:cell-0", "cells 2:cell-0")


def test_counts_of_every_file_are_checked(adata: ad.AnnData, tmp_path: Path) -> None:
    assert check_counts([adata, adata]).n_cells == 120
    other = adata.copy()
    other.X = other.X * 0.5
    with pytest.raises(CountsError, match="looks"):
        check_counts([adata, other])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (["u", "v"], [np.nan, np.nan], ["u", "v", None, None]),
        ([np.nan, np.nan], pd.Categorical([2, 1]), [None, None, 2, 1]),
        (pd.Categorical(["u", "v"]), pd.Categorical([None, None]), ["u", "v", None, None]),
        (pd.Categorical([1, 2]), pd.Categorical(["u", "v"]), ["1", "2", "u", "v"]),
        (pd.Categorical([1, 2]), pd.Categorical([0.5, 1.0]), [1.0, 2.0, 0.5, 1.0]),
        ([1.0, np.nan], ["u", "1"], ["1", None, "u", "1"]),
        ([1, 2], ["u", "v"], ["1", "2", "u", "v"]),
        ([True, False], ["u", "v"], ["True", "False", "u", "v"]),
        ([True, False], [np.nan, np.nan], [True, False, None, None]),
        ([1, 2], [np.nan, np.nan], [1.0, 2.0, None, None]),
        ([True, False], [2, 0], [1, 0, 2, 0]),
        (pd.array([1, 2], dtype="Int64"), [0.5, 1.0], [1.0, 2.0, 0.5, 1.0]),
    ],
)
def test_columns_of_other_kinds_are_joined_so_that_a_file_can_hold_them(
    tmp_path: Path, *, one: Any, other: Any, expected: list[object]
) -> None:
    joined = join_obs([pd.DataFrame({"kind": values}, index=["a", "b"]) for values in (one, other)], ["one", "other"])
    values = [None if pd.isna(value) else value for value in joined["kind"]]
    assert values == expected
    assert [type(value) for value in values] == [type(value) for value in expected]
    ad.AnnData(obs=joined).write_h5ad(tmp_path / "joined.h5ad")
    pd.testing.assert_series_equal(ad.read_h5ad(tmp_path / "joined.h5ad").obs["kind"].isna(), joined["kind"].isna())


def test_no_file_is_refused() -> None:
    with pytest.raises(SettingError, match="list of cells is empty; expected at least one"):
        open_source([])


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_a_zarr_store_is_read_as_a_file_is(adata: ad.AnnData, tmp_path: Path, *, kind: str) -> None:
    held = {"csr": adata.X, "csc": adata.X.tocsc(), "dense": adata.X.toarray()}[kind]
    adata.X, adata.layers["more"] = held, adata.X * 2
    adata.obs["note"] = adata.obs["note"].astype(object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which layout of zarr is the newest
        adata.write_zarr(tmp_path / "cells.zarr")
    wanted = np.array([41, 3, 59, 0])
    for layer, factor in ((None, 1), ("more", 2)):
        source = open_source(tmp_path / "cells.zarr", layer=layer)
        expected = factor * sp.csr_matrix(held)[wanted].toarray()
        assert np.array_equal(source.rows(wanted).toarray(), expected)
    assert check_counts(tmp_path / "cells.zarr").obs["donor"].iloc[5] == 11


@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_a_zarr_store_that_was_replaced_after_it_was_opened_is_refused(
    adata: ad.AnnData, tmp_path: Path, *, kind: str
) -> None:
    adata.X = adata.X if kind == "csr" else adata.X.toarray()
    other = adata[::-1].copy()
    path = tmp_path / "cells.zarr"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which layout of zarr is the newest
        adata.write_zarr(path)
        source, again = open_source(path), open_source(path)
        assert again.rows(np.arange(60)).shape == (60, 30)
        other.write_zarr(path)
    with pytest.raises(DataFileError, match=r"changed since they were opened; .* Make the CellGenerator again"):
        source.rows(np.arange(3))
    with pytest.raises(DataFileError, match="changed since they were opened"):
        next(iter(source.blocks()))


def test_a_damaged_zarr_store_is_reported(tmp_path: Path) -> None:
    zarr.open_group(str(tmp_path / "cells.zarr"), mode="w", zarr_format=3)
    (tmp_path / "cells.zarr" / "zarr.json").write_text("{")
    with pytest.raises(DataFileError, match=r"cells.zarr' cannot be read .*; expected a whole file of cells"):
        open_source(tmp_path / "cells.zarr")


def test_a_folder_of_something_else_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="is a folder of something else; expected cells"):
        open_source(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataFileError, match="is a saved model; expected cells"):
        open_source(tmp_path)


def test_a_collection_of_annbatch_is_read_without_it(adata: ad.AnnData, tmp_path: Path) -> None:
    group = zarr.open_group(str(tmp_path / "cells.zarr"), mode="w", zarr_format=2)
    group.attrs.update({"encoding-type": "annbatch-preshuffled", "encoding-version": "0.1.0"})
    for at, part in enumerate([adata[:20], adata[20:25], *[adata[at] for at in range(25, 34)], adata[34:]]):
        ad.io.write_elem(group, f"dataset_{at}", part.copy())
    source = check_counts(tmp_path / "cells.zarr")
    assert source.obs.index.tolist() == adata.obs_names.tolist()
    wanted = np.array([59, 33, 3, 21])
    assert np.array_equal(source.rows(wanted).toarray(), adata.X[wanted].toarray())
    some = open_source(tmp_path / "cells.zarr", genes=["gene-3"])
    assert np.array_equal(some.rows(wanted).toarray(), adata.X[wanted][:, [3]].toarray())
