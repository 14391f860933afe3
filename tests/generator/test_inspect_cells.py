"""Cells looked at before a fit: a sample of a file, renamed labels, and what inspection says of both."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from scdiffuse._core.errors import UnknownNameError
from scdiffuse.generator import inspect_cells, rename_labels, sample_cells


@pytest.fixture
def path(simulated: ad.AnnData, tmp_path: Path) -> Path:
    cells = simulated.copy()
    cells.layers["counts"] = cells.X.copy()
    cells.X = cells.X / 2.5
    cells.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


def test_a_sample_is_rows_of_the_file_in_its_order(simulated: ad.AnnData, path: Path) -> None:
    found = sample_cells(path, n_cells=40, seed=3)
    assert (found.n_cells, found.adata.n_obs, len(found.obs), found.layer) == (150, 40, 150, "counts")
    assert "layer 'counts'" in found.message
    rows = simulated.obs_names.get_indexer(found.adata.obs_names)
    assert (np.diff(rows) > 0).all()
    assert (simulated.X[rows] != found.adata.X).nnz == 0
    assert sample_cells(path, n_cells=150).adata.n_obs == 150


def test_renamed_labels_are_what_inspection_counts(path: Path) -> None:
    renamed = {"cell_type": {"NK": "T", "B": None}}
    before, after = inspect_cells(path), inspect_cells(path, renamed=renamed)
    assert sum(before["conditions"]["cell_type"].values()) == 144
    assert "cell_type" not in after["conditions"]  # one label is left
    assert after["counts"] == ["counts"]
    merged = inspect_cells(path, renamed={"cell_type": {"NK": "T"}})
    assert merged["conditions"]["cell_type"] == {"T": 96, "B": 48}
    assert sample_cells(path, n_cells=200, renamed=renamed).adata.obs["cell_type"].value_counts().to_dict() == {"T": 96}


def test_a_layer_and_rounding_are_heeded(path: Path) -> None:
    assert inspect_cells(path)["counts"] == ["counts"]
    assert inspect_cells(path, layer="nowhere")["problems"]
    rounded = sample_cells(path, n_cells=9, round_counts=True)
    assert (rounded.adata.X.data == np.round(rounded.adata.X.data)).all()


def test_an_unknown_column_is_named(simulated: ad.AnnData) -> None:
    with pytest.raises(UnknownNameError, match=r"'celltype' is not a column.*Did you mean 'cell_type'"):
        rename_labels(simulated.obs, {"celltype": {}})


def test_labels_that_may_be_one_or_missing_are_noted(simulated: ad.AnnData, tmp_path: Path) -> None:
    cells = simulated.copy()
    labels = cells.obs["cell_type"].astype(object).fillna("nan")
    cells.obs["dirty"] = np.where(np.arange(cells.n_obs) % 9 == 0, " " + labels, labels)
    cells.write_h5ad(tmp_path / "dirty.h5ad")
    notes = [note for note in inspect_cells(tmp_path / "dirty.h5ad")["notes"] if "'dirty'" in note]
    assert any("differ in spaces or capitals alone, such as" in note for note in notes)
    assert any("if it stands for missing, leave it empty" in note for note in notes)


def test_a_column_with_too_many_labels_to_list_is_named(simulated: ad.AnnData, tmp_path: Path) -> None:
    cells = ad.concat([simulated, simulated], index_unique="-")
    cells.obs["clone"] = [f"k{at % 130}" for at in range(cells.n_obs)]
    cells.obs["barcode"] = cells.obs_names
    cells.write_h5ad(tmp_path / "clones.h5ad")
    found = inspect_cells(tmp_path / "clones.h5ad")
    assert "clone" not in found["conditions"]
    assert [note for note in found["notes"] if "clone" in note or "barcode" in note] == [
        "Column 'clone' holds 130 labels and is not listed; --condition takes it nonetheless."
    ]
