from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from scdiffuse._core.errors import DataFileError, ScdiffuseWarning
from scdiffuse.cells import add_labels, read_cells


def test_a_whole_file_keeps_all_slots(adata: ad.AnnData, tmp_path: Path) -> None:
    adata.obsm["X_pca"] = np.ones((60, 2))
    adata.write_h5ad(tmp_path / "cells.h5ad")
    assert read_cells(tmp_path / "cells.h5ad").obsm["X_pca"].shape == (60, 2)
    assert read_cells([tmp_path / "cells.h5ad"]).obsm["X_pca"].shape == (60, 2)


def test_counts_of_another_place_become_x(adata: ad.AnnData) -> None:
    held = adata.copy()
    held.layers["counts"] = adata.X.copy()
    held.X = adata.X * 0.37
    with pytest.warns(ScdiffuseWarning, match=r"Counts are read from layer 'counts'"):
        read = read_cells(held)
    assert (read.X != adata.X).nnz == 0
    assert read.obs.equals(adata.obs)


def test_labels_are_added_by_name(adata: ad.AnnData) -> None:
    labels = pd.DataFrame({"kind": ["x", "y"] * 30, "donor": 1}, index=adata.obs_names[::-1])
    labelled = add_labels(adata, labels)
    assert labelled.obs["kind"].tolist() == ["y", "x"] * 30
    assert set(labelled.obs["donor"]) == {1}
    assert "kind" not in adata.obs


def test_cells_without_a_row_are_counted(adata: ad.AnnData) -> None:
    with pytest.warns(ScdiffuseWarning, match=r"57 of 60 cells have no row in the table; their labels are missing"):
        labelled = add_labels(adata, pd.DataFrame({"kind": "x"}, index=adata.obs_names[:3]))
    assert labelled.obs["kind"].notna().sum() == 3


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a", "b"], r"cells are named 'cell-0', 'cell-1', its rows 'a', 'b'"),
        (["cell-1"] * 2, r"'cell-1' more than once"),
    ],
)
def test_tables_of_other_cells_are_refused(adata: ad.AnnData, names: list[str], words: str) -> None:
    with pytest.raises(DataFileError, match=words):
        add_labels(adata, pd.DataFrame({"kind": ["x", "y"]}, index=names))
