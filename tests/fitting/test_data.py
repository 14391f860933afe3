"""What is read before a fit: once, whatever is asked of the counts; twice only where labels vanish."""

from __future__ import annotations

from collections.abc import Iterator

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse._core.errors import CountsError, ScdiffuseWarning, UnknownNameError
from scdiffuse.cells import CellData, Source, open_source
from scdiffuse.cells._rows import WrappedSource
from scdiffuse.fitting import TrainingData, _data, _fit
from scdiffuse.fitting import read_data as read
from scdiffuse.generator import CellGenerator
from scdiffuse.model import CalibrationConfig, ModelConfig

DROPPED = "ignore:.* cells have no count:UserWarning"


class CountingSource(WrappedSource):
    """A source that counts how often it is read from its first cell to its last."""

    n_passes = 0

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        """Return the counts of some cells."""
        return self._source.rows(indices)

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Visit all cells in order."""
        CountingSource.n_passes += 1
        return self._source.blocks(n_rows)


@pytest.fixture
def _counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count how often sources are read while data are opened."""

    def opened(*given: object, **named: object) -> Source:
        return CountingSource(open_source(*given, **named))  # type: ignore[arg-type]

    monkeypatch.setattr(CountingSource, "n_passes", 0)
    monkeypatch.setattr(_data, "open_source", opened)


def _emptied(adata: ad.AnnData, n: int) -> ad.AnnData:
    """Take all counts of the first cells away."""
    cells = adata.copy()
    cells.X = sp.diags((np.arange(cells.n_obs) >= n).astype(np.float32)) @ cells.X
    cells.X.eliminate_zeros()
    return cells


def _read(adata: CellData, **changed: object) -> TrainingData:
    asked = {"conditions": ["cell_type", "treated"], "continuous": ["day"], "layer": None, "min_cells": 10}
    return read(adata, calibration=CalibrationConfig(), progress=False, **{**asked, **changed})  # type: ignore[arg-type]


@pytest.mark.usefixtures("_counted")
def test_counts_are_read_once_before_the_training(
    simulated: ad.AnnData, small: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BegunError(Exception):
        pass

    def begin(*_: object) -> bool:
        raise BegunError

    monkeypatch.setattr(_fit, "fit_autoencoder", begin)
    model = CellGenerator(simulated, conditions=["cell_type"], continuous=["day"], config=small, progress=False)
    with pytest.raises(BegunError):
        model.fit(progress=False)
    assert CountingSource.n_passes == 1


@pytest.mark.filterwarnings(DROPPED)
@pytest.mark.usefixtures("_counted")
def test_cells_left_out_cost_no_second_pass_where_others_have_their_labels(simulated: ad.AnnData) -> None:
    found = _read(_emptied(simulated, 4))
    assert CountingSource.n_passes == 1
    alone = _read(simulated[4:].copy())
    for one, other in zip(found.pseudobulk, alone.pseudobulk, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found.library_sizes, alone.library_sizes)
    assert found.conditions == alone.conditions


@pytest.mark.filterwarnings(DROPPED)
@pytest.mark.usefixtures("_counted")
def test_cells_left_out_cost_a_second_pass_where_their_labels_vanish(simulated: ad.AnnData) -> None:
    cells = _emptied(simulated, 5)
    cells.obs["cell_type"] = ["gone"] * 5 + ["here", "there"] * 72 + ["here"]
    found = _read(cells, conditions=["cell_type"], continuous=[])
    assert CountingSource.n_passes == 2
    assert found.conditions.categorical == {"cell_type": ("here", "there")}
    alone = _read(cells[5:].copy(), conditions=["cell_type"], continuous=[])
    for one, other in zip(found.pseudobulk, alone.pseudobulk, strict=True):
        np.testing.assert_array_equal(one, other)


def test_labels_that_vanish_with_cells_left_out_are_named(simulated: ad.AnnData) -> None:
    cells = _emptied(simulated, 1)
    cells.obs["cell_type"] = ["rare", "rare"] + ["here", "there"] * 74
    with pytest.warns(ScdiffuseWarning) as told:
        found = _read(cells, conditions=["cell_type"], continuous=[])
    assert found.conditions.categorical == {"cell_type": ("here", "there")}
    assert [str(warning.message) for warning in told] == [
        "1 of 150 cells have no count in a kept gene and are left out.",
        "1 cell has a label of 'cell_type' of its own ('rare'); its label counts as missing.",
    ]


@pytest.mark.filterwarnings(DROPPED)
def test_counts_stay_whole_where_the_only_complete_cells_are_left_out(simulated: ad.AnnData) -> None:
    cells = _emptied(simulated, 5)
    cells.obs["day"] = np.where(np.arange(150) < 5, 1.0, np.nan)
    cells.obs["hour"] = np.where(np.arange(150) < 5, np.nan, np.arange(150) % 3)
    cells.obs.loc[cells.obs_names[:5], "hour"] = 0.0
    cells.obs.loc[cells.obs_names[5:20], "day"] = 2.0
    cells.obs.loc[cells.obs_names[5:20], "hour"] = np.nan
    found = _read(cells, conditions=[], continuous=["day", "hour"])
    assert found.pseudobulk.counts.shape == (0, 25)
    np.testing.assert_array_equal(found.pseudobulk.others, np.asarray(cells.X.sum(axis=0)).ravel())


@pytest.mark.parametrize("names", [["cell_type", "treated"], []], ids=str)
def test_counts_are_those_of_dense_arrays(simulated: ad.AnnData, names: list[str]) -> None:
    found, dense = _read(simulated, conditions=names, continuous=[]), simulated.X.toarray()
    np.testing.assert_array_equal(found.library_sizes, dense.sum(axis=1))
    pseudobulk = found.pseudobulk
    np.testing.assert_array_equal(pseudobulk.counts.sum(axis=0) + pseudobulk.others, dense.sum(axis=0))
    np.testing.assert_allclose(pseudobulk.detected, (dense > 0).mean(axis=0))
    assert found.summary()["n_counts"] == dense.sum()
    assert pseudobulk.counts.shape[0] == (6 if names else 0)


def test_files_that_lack_a_condition_are_named(simulated: ad.AnnData) -> None:
    without = simulated.copy()
    del without.obs["day"]
    with pytest.raises(UnknownNameError, match=r"'day' is not a column of `obs` in 2 of 3 files .'cells 2', "):
        _read([simulated, without, without], conditions=["cell_type"], continuous=["day"])
    with pytest.raises(UnknownNameError, match=r"'hour' is not a column of `adata.obs`; expected one of"):
        _read([simulated, without], conditions=["cell_type"], continuous=["hour"])


def test_a_filter_that_left_no_cell_is_said_before_labels_are(simulated: ad.AnnData) -> None:
    with pytest.raises(CountsError, match="There are 0 cells with counts; expected at least 30"):
        CellGenerator(simulated[:0].copy(), conditions=["cell_type"])
