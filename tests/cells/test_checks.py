from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from scdiffuse._core.errors import CountsError, GenesError
from scdiffuse.cells import check_counts, open_source


def logged(adata: ad.AnnData) -> ad.AnnData:
    """Return log-normalised cells that keep the counts in a layer and in `.raw`."""
    adata.layers["counts"] = adata.X.copy()
    adata.raw = adata.copy()
    adata.X = sp.csr_matrix(np.log1p(adata.X.toarray() * 0.37))
    return adata


def test_counts_of_any_dtype_pass(adata: ad.AnnData) -> None:
    assert check_counts(adata).n_cells == 60
    adata.X = adata.X.astype(np.int32)
    assert check_counts(adata).n_cells == 60


def test_an_open_source_is_checked_too(adata: ad.AnnData) -> None:
    source = open_source(adata)
    assert check_counts(source) is source
    with pytest.raises(CountsError, match=r"The matrix looks log-normalised"):
        check_counts(open_source(logged(adata)))


def test_log_normalised_data_are_refused_with_the_places_of_counts(adata: ad.AnnData) -> None:
    held = logged(adata)
    held.layers["spliced"] = held.layers["counts"] * 2
    with pytest.raises(
        CountsError, match=r"`X` looks log-normalised: .* pass `layer='counts'` or pass `layer='spliced'`"
    ):
        check_counts(held)
    held.layers.clear()
    with pytest.raises(CountsError, match=r"Counts are elsewhere: pass `layer='raw.X'`\."):
        check_counts(held)


def test_a_normalised_layer_is_refused_with_x(adata: ad.AnnData) -> None:
    adata.layers["cpm"] = adata.X * 33.3
    with pytest.raises(CountsError, match=r"Layer 'cpm' looks normalised: .* leave `layer` out"):
        check_counts(adata, layer="cpm")


def test_files_are_searched_for_counts_like_memory(adata: ad.AnnData, tmp_path: Path) -> None:
    logged(adata).write_h5ad(tmp_path / "cells.h5ad")
    for data in (tmp_path / "cells.h5ad", ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")):
        with pytest.raises(CountsError, match=r"Counts are elsewhere: pass `layer='counts'`\."):
            check_counts(data)
    with pytest.raises(CountsError, match=r"Counts are elsewhere: pass `layer='counts'`\."):
        check_counts([tmp_path / "cells.h5ad"])


def test_normalised_data_without_counts_are_refused(adata: ad.AnnData) -> None:
    adata.X = adata.X * 0.5
    with pytest.raises(CountsError, match=r"No other place in these data holds counts: load the matrix"):
        check_counts(adata)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.nan, r"holds NaN or infinite values \(1 among 60 cells\)"),
        (np.inf, "holds NaN or infinite values"),
        (-1.0, "holds negative values such as -1, as scaled data do"),
    ],
)
def test_values_that_are_no_counts_are_refused(adata: ad.AnnData, value: float, words: str) -> None:
    adata.X.data[100] = value
    with pytest.raises(CountsError, match=words):
        check_counts(adata)


def test_a_fault_in_the_last_cell_is_found(tmp_path: Path) -> None:
    matrix = sp.csr_matrix(np.ones((5000, 2), dtype=np.float32))
    matrix[4999, 1] = 0.5
    ad.AnnData(X=matrix).write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(CountsError, match=r"fractions such as 0.5"):
        check_counts(tmp_path / "cells.h5ad")


def test_no_cells_are_refused(adata: ad.AnnData) -> None:
    with pytest.raises(CountsError, match=r"hold 0 cells and 30 genes; expected at least one of each"):
        check_counts(adata[:0].copy())


@pytest.mark.filterwarnings("ignore:.*names are not unique")
def test_names_that_stand_twice_are_refused(adata: ad.AnnData) -> None:
    twice = adata.copy()
    twice.var_names = ["gene-1", *adata.var_names[1:]]
    with pytest.raises(GenesError, match=r"1 of `var_names` repeat .* 'gene-1'; .*`adata.var_names_make_unique\(\)`"):
        check_counts(twice)
    twice = adata.copy()
    twice.obs_names = ["cell-1", *adata.obs_names[1:]]
    with pytest.raises(CountsError, match=r"1 of `obs_names` repeat .* `adata.obs_names_make_unique\(\)`"):
        check_counts(twice)


@pytest.mark.parametrize("value", [2.0**24, 1e12])
def test_a_count_that_no_gene_has_is_refused(adata: ad.AnnData, value: float) -> None:
    adata.X.data[100] = value
    with pytest.raises(CountsError, match=r"holds a count of .*; expected at most 16,777,215 .* column of totals"):
        check_counts(adata)


def test_a_cell_that_is_too_deep_is_refused(adata: ad.AnnData) -> None:
    adata.X.data[:] = 2**23
    with pytest.raises(CountsError, match=r"holds a cell of [0-9.]+e\+08 counts; expected at most 100,000,000"):
        check_counts(adata)


def test_the_deepest_cells_pass(adata: ad.AnnData) -> None:
    adata.X.data[100] = 2**24 - 1
    assert check_counts(adata).n_cells == 60
