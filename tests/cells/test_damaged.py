"""Files whose parts are missing, of another shape or contradict each other are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from scdiffuse._core.errors import CountsError, DataFileError, UserError
from scdiffuse.cells import check_counts, open_source


def _replaced(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        attributes = dict(file[name].attrs)
        del file[name]
        file[name] = value
        for key, one in attributes.items():
            file[name].attrs[key] = one

    return change


def _edited(name: str, at: object, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[name][at] = value

    return change


def _attribute(name: str, key: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[name].attrs[key] = value

    return change


def _without(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]

    return change


def _plain_array(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = np.arange(60)

    return change


def _external(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = h5py.ExternalLink("elsewhere.h5", "/X")

    return change


def _looped(file: h5py.File) -> None:
    del file["obs"]
    file["obs"] = h5py.SoftLink("/obs")


SPARSE = {
    "negative column": _edited("X/indices", 5, -1),
    "column out of range": _edited("X/indices", 5, 30),
    "huge column": _edited("X/indices", 5, 2**31 - 1),
    "start above 0": _edited("X/indptr", 0, 3),
    "starts that descend": _edited("X/indptr", 30, 0),
    "end before the values": _edited("X/indptr", 60, 500),
    "end beyond the values": _edited("X/indptr", 60, 10**9),
    "too few starts": _replaced("X/indptr", np.array([0, 5, 900])),
    "starts of another rank": _replaced("X/indptr", np.zeros((61, 2), dtype=np.int64)),
    "starts that are fractions": _replaced("X/indptr", np.linspace(0, 1, 61)),
    "fewer columns than values": _replaced("X/indices", np.zeros(7, dtype=np.int32)),
    "text for values": _replaced("X/data", np.array([b"a"] * 7)),
    "complex values": _replaced("X/data", np.ones(900, dtype=np.complex64)),
    "no columns": _without("X/indices"),
    "no shape": _attribute("X", "shape", np.array([], dtype=int)),
    "another shape": _attribute("X", "shape", np.array([30, 60])),
    "unknown encoding of X": _attribute("X", "encoding-type", "coo_matrix"),
    "unknown encoding of obs": _attribute("obs", "encoding-type", "lance"),
    "unknown version of var": _attribute("var", "encoding-version", "9.9.9"),
    "external link for X": _external("X"),
    "external link for obs": _external("obs"),
    "soft link to itself": _looped,
    "array for obs": _plain_array("obs"),
    "array for var": _plain_array("var"),
    "array for X of one dimension": _plain_array("X"),
    "short obs": _replaced("obs/_index", np.array([b"a", b"b"])),
    "codes of no category": _edited("obs/cell_type/codes", 3, 77),
    "no index": _without("obs/_index"),
}
DENSE = {
    "one dimension": _replaced("X", np.ones(60)),
    "three dimensions": _replaced("X", np.ones((60, 30, 1))),
    "fewer rows": _replaced("X", np.ones((59, 30))),
    "no dimension": _replaced("X", 3.0),
    "text": _replaced("X", np.full((60, 30), b"x")),
}


def _save(adata: ad.AnnData, path: Path, change: Callable[[h5py.File], None]) -> Path:
    adata.write_h5ad(path)
    with h5py.File(path, "a") as file:
        change(file)
    return path


@pytest.mark.filterwarnings("ignore:.*written with")
@pytest.mark.parametrize("kind", SPARSE)
def test_damaged_sparse_files_are_refused(adata: ad.AnnData, tmp_path: Path, kind: str) -> None:
    with pytest.raises((DataFileError, CountsError), match=r"expected"):
        check_counts(_save(adata, tmp_path / "cells.h5ad", SPARSE[kind]))


@pytest.mark.parametrize("column", [-1, 60])
def test_damaged_files_of_columns_are_refused(adata: ad.AnnData, tmp_path: Path, column: int) -> None:
    adata.X = adata.X.tocsc()
    with pytest.raises(DataFileError, match=rf"`X` has a value in column {column} of 60"):
        check_counts(_save(adata, tmp_path / "cells.h5ad", _edited("X/indices", 5, column)))


@pytest.mark.parametrize("kind", DENSE)
def test_damaged_dense_files_are_refused(adata: ad.AnnData, tmp_path: Path, kind: str) -> None:
    adata.X = adata.X.toarray()
    with pytest.raises((DataFileError, CountsError), match=r"expected"):
        check_counts(_save(adata, tmp_path / "cells.h5ad", DENSE[kind]))


def test_rows_on_request_are_checked_too(adata: ad.AnnData, tmp_path: Path) -> None:
    path = _save(adata, tmp_path / "cells.h5ad", SPARSE["negative column"])
    with pytest.raises(DataFileError, match=r"has a value in column -1 of 30"):
        open_source(path).rows(np.array([0, 1]))


@pytest.mark.parametrize("column", [-1, 30])
def test_columns_that_do_not_exist_are_refused_in_memory(adata: ad.AnnData, column: int) -> None:
    adata.X.indices[7] = column
    with pytest.raises(DataFileError, match=rf"has a value in column {column} of 30"):
        open_source(adata)


def test_a_damaged_chunk_is_reported(adata: ad.AnnData, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "cells.h5ad", compression="gzip")
    with h5py.File(tmp_path / "cells.h5ad") as file:
        where = file["X/data"].id.get_chunk_info(0)
    with (tmp_path / "cells.h5ad").open("r+b") as raw:
        raw.seek(where.byte_offset)
        raw.write(b"\0" * where.size)
    with pytest.raises(DataFileError, match=r"cannot be read"):
        check_counts(tmp_path / "cells.h5ad")


@pytest.mark.parametrize("dtype", ["f2", ">f4", "f8", "g", "?", "u8", ">i2"])
@pytest.mark.parametrize("dense", [True, False])
def test_numbers_of_any_type_are_read(adata: ad.AnnData, tmp_path: Path, dtype: str, *, dense: bool) -> None:
    expected = (adata.X.toarray() > 0).astype(np.float32) if dtype == "?" else adata.X.toarray()
    _save(adata, tmp_path / "cells.h5ad", lambda file: file.pop("X"))
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        if dense:
            file["X"] = expected.astype(dtype)
            file["X"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        else:
            ad.io.write_elem(file, "X", sp.csr_matrix(expected))
            _replaced("X/data", sp.csr_matrix(expected).data.astype(dtype))(file)
    source = check_counts(tmp_path / "cells.h5ad")
    assert np.array_equal(source.rows(np.arange(60)).toarray(), expected)
    assert np.array_equal(next(iter(source.blocks()))[1].toarray(), expected)


def test_names_of_genes_that_are_numbers_become_text(adata: ad.AnnData, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        _replaced("var/_index", np.arange(30))(file)
        file["var/_index"].attrs["encoding-type"] = "array"
    source = open_source(tmp_path / "cells.h5ad")
    assert source.genes[:2].tolist() == ["0", "1"]
    assert source.var.index[0] == "0"


@pytest.mark.parametrize("name", ["layers", "raw"])
def test_damage_beside_the_counts_is_no_fault(adata: ad.AnnData, tmp_path: Path, name: str) -> None:
    path = _save(adata, tmp_path / "cells.h5ad", lambda file: file.pop(name, None))
    with h5py.File(path, "a") as file:
        file[name] = np.ones(3)
    assert check_counts(path).n_cells == 60
    with pytest.raises(UserError, match=r"`layer` 'x' is not a layer"):
        open_source(path, layer="x")
