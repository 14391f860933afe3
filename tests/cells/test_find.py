"""Counts are found where they are."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from scdiffuse._core.errors import CountsError
from scdiffuse.cells import RAW, find_counts, list_counts, open_source, read_cells


def _held(adata: ad.AnnData, *places: str) -> ad.AnnData:
    """Return log-normalised cells with the counts in other places."""
    held = adata.copy()
    for place in places:
        if place == "raw":
            held.raw = adata.copy()
        else:
            held.layers[place] = adata.X.copy()
    held.X = sp.csr_matrix(np.log1p(adata.X.toarray() * 0.37))
    return held


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("on_disk", ["no", "h5ad", "zarr", "backed"])
@pytest.mark.parametrize(("place", "layer"), [("counts", "counts"), ("raw", RAW)])
def test_the_one_place_with_counts_is_found(
    adata: ad.AnnData, tmp_path: Path, place: str, layer: str, on_disk: str
) -> None:
    held = _held(adata, place)
    data: ad.AnnData | Path = held
    if on_disk in {"h5ad", "backed"}:
        held.write_h5ad(tmp_path / "cells.h5ad")
        data = tmp_path / "cells.h5ad" if on_disk == "h5ad" else ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    if on_disk == "zarr":
        held.write_zarr(tmp_path / "cells.zarr")
        data = tmp_path / "cells.zarr"
    found = find_counts(data)
    assert found.layer == layer
    assert "the one place that holds them: `X` looks log-normalised" in found.message
    assert np.array_equal(open_source(data, layer=found.layer).rows(np.arange(60)).toarray(), adata.X.toarray())


def test_counts_in_x_need_no_search(adata: ad.AnnData) -> None:
    adata.layers["other"] = adata.X * 2
    assert find_counts(adata) == (adata, None, "")


def test_a_named_layer_is_taken(adata: ad.AnnData) -> None:
    assert find_counts(_held(adata, "a", "b"), layer="b").layer == "b"


def test_the_same_counts_in_two_places_are_one(adata: ad.AnnData) -> None:
    assert find_counts(_held(adata, "counts", "raw")).layer == "counts"


def test_of_several_counts_none_is_chosen(adata: ad.AnnData) -> None:
    held = _held(adata, "spliced")
    held.layers["unspliced"] = held.layers["spliced"] * 2
    assert find_counts(held).layer is None
    assert list_counts(held) == ["spliced", "unspliced"]


def test_empty_cells_are_not_what_is_looked_for(adata: ad.AnnData) -> None:
    held = _held(adata)
    held.layers["empty"] = sp.csr_matrix(adata.shape, dtype=np.float32)
    assert find_counts(held).layer is None


def test_cells_without_x_are_found_too(adata: ad.AnnData) -> None:
    bare = ad.AnnData(obs=adata.obs, var=adata.var, layers={"counts": adata.X})
    assert find_counts(bare).layer == "counts"


def test_raw_has_its_own_genes(adata: ad.AnnData, tmp_path: Path) -> None:
    held = _held(adata, "raw")[:, :7].copy()
    assert find_counts(held).layer == RAW
    assert open_source(held, layer=RAW).n_genes == 30
    held.write_h5ad(tmp_path / "cells.h5ad")
    assert open_source(tmp_path / "cells.h5ad", layer=RAW).n_genes == 30


def test_files_that_hold_counts_in_one_place_are_found_together(adata: ad.AnnData, tmp_path: Path) -> None:
    _held(adata, "counts").write_h5ad(tmp_path / "a.h5ad")
    _held(adata, "counts").write_h5ad(tmp_path / "b.h5ad")
    assert find_counts([tmp_path / "a.h5ad", tmp_path / "b.h5ad"]).layer == "counts"


def test_decimals_are_rounded(adata: ad.AnnData) -> None:
    noisy = adata.copy()
    noisy.X = sp.csr_matrix(np.maximum(adata.X.toarray() - 0.3, 0).astype(np.float32))
    source = open_source(noisy, round_counts=True)
    expected = np.rint(noisy.X.toarray())
    assert np.array_equal(source.rows(np.arange(60)).toarray(), expected)
    assert np.array_equal(next(iter(source.blocks()))[1].toarray(), expected)


def test_decimals_in_x_are_what_is_rounded_even_where_a_layer_holds_counts(adata: ad.AnnData, tmp_path: Path) -> None:
    soup = adata.copy()
    soup.layers["counts"] = adata.X.copy()
    soup.X = adata.X * np.float32(0.7) + adata.X.power(2)
    soup.write_h5ad(tmp_path / "cells.h5ad")
    expected = np.rint(soup.X.toarray())
    assert find_counts(soup).layer == "counts"
    for data in (soup, tmp_path / "cells.h5ad", [soup]):
        found = find_counts(data, round_counts=True)
        assert found[1:] == (None, "")
        assert np.array_equal(read_cells(data, round_counts=True).X.toarray(), expected)


@pytest.mark.parametrize("wrong", ["logs", "normalised", "negative"])
def test_what_cannot_be_rounded_is_not_taken_for_decimals(adata: ad.AnnData, wrong: str) -> None:
    held = _held(adata, "counts")
    if wrong == "normalised":
        held.X = sp.csr_matrix(adata.X.toarray() / adata.X.toarray().sum(axis=1, keepdims=True) * 1e4)
    if wrong == "negative":
        held.X = adata.X * np.float32(-9.5)
    assert find_counts(held, round_counts=True).layer == "counts"


@pytest.mark.parametrize("log", [True, False])
def test_normalised_cells_are_not_rounded(adata: ad.AnnData, *, log: bool) -> None:
    shares = adata.X.toarray() / adata.X.toarray().sum(axis=1, keepdims=True) * 1e4
    adata.X = sp.csr_matrix(np.log1p(shares) if log else shares)
    with pytest.raises(CountsError, match=r"The cells are normalised, as all have the same sum; .* does not bring"):
        open_source(adata, round_counts=True)
