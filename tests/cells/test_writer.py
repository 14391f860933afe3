from __future__ import annotations

import errno
import tracemalloc
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scdiffuse._core.errors import OutputExistsError, SettingError, StorageError
from scdiffuse.cells import Conditions, H5adWriter, build_anndata

VAR = pd.DataFrame({"length": np.arange(30)}, index=[f"gene-{i}" for i in range(30)])
UNS = {"scdiffuse": {"seed": 3, "version": "0.1", "settings": {"steps": 20}}}


@pytest.fixture
def labels(obs: pd.DataFrame) -> pd.DataFrame:
    conditions = Conditions.from_obs(obs, ["cell_type", "donor", "treated"], ["day"])
    return conditions.decode(conditions.encode(obs)).set_axis([f"generated-{at}" for at in range(len(obs))])


def write(path: Path, counts: sp.csr_matrix, labels: pd.DataFrame, *, n_rows: int) -> ad.AnnData:
    with H5adWriter(path, VAR, overwrite=True) as writer:
        for begin in range(0, len(labels), n_rows):
            where = slice(begin, begin + n_rows)
            writer.append(counts[where], labels.iloc[where])
        writer.close({"scdiffuse": UNS["scdiffuse"]})
    return ad.read_h5ad(path)


def test_generated_cells_are_whole_numbers_with_labels(counts: sp.csr_matrix, labels: pd.DataFrame) -> None:
    cells = build_anndata(counts, labels, VAR, UNS)
    assert isinstance(cells.X, sp.csr_matrix)
    assert cells.X.dtype == np.int32
    assert np.array_equal(cells.X.toarray(), counts.toarray())
    assert cells.obs_names[[0, 59]].tolist() == ["generated-0", "generated-59"]
    assert (cells.obs["source"] == "generated").all()
    assert cells.obs["cell_type"].cat.categories.tolist() == ["T", "NK", "B"]
    assert cells.var.equals(VAR)
    assert cells.uns["scdiffuse"]["seed"] == 3


@pytest.mark.parametrize("n_rows", [1, 7, 60])
def test_a_file_holds_what_memory_would(
    counts: sp.csr_matrix, labels: pd.DataFrame, tmp_path: Path, n_rows: int
) -> None:
    cells, expected = write(tmp_path / "x.h5ad", counts, labels, n_rows=n_rows), build_anndata(counts, labels, VAR, UNS)
    assert cells.X.dtype == np.int32
    assert (cells.X != expected.X).nnz == 0
    pd.testing.assert_frame_equal(cells.obs, expected.obs)
    pd.testing.assert_frame_equal(cells.var, expected.var)
    assert cells.uns["scdiffuse"] == UNS["scdiffuse"]


def test_a_file_takes_latents_and_those_of_other_files(
    counts: sp.csr_matrix, labels: pd.DataFrame, tmp_path: Path
) -> None:
    latents = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    for name, rows in (("b.h5ad", slice(40, 60)), ("a.h5ad", slice(0, 40))):
        with H5adWriter(tmp_path / name, VAR) as writer:
            for begin in range(rows.start, rows.stop, 15):
                some = slice(begin, min(begin + 15, rows.stop))
                writer.append(counts[some], labels.iloc[some], latents=latents[some])
            if name == "a.h5ad":
                writer.take(tmp_path / "b.h5ad")
    held = ad.read_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(held.obsm["X_scdiffuse"], latents)
    assert (counts != held.X).nnz == 0


def test_a_file_takes_columns_whose_name_has_a_slash_from_other_files(
    counts: sp.csr_matrix, labels: pd.DataFrame, tmp_path: Path
) -> None:
    named = labels.rename(columns={"cell_type": "tissue/type", "day": "time/day"})
    with H5adWriter(tmp_path / "b.h5ad", VAR) as writer:
        writer.append(counts[40:], named.iloc[40:])
    with H5adWriter(tmp_path / "a.h5ad", VAR) as writer:
        writer.append(counts[:40], named.iloc[:40])
        writer.take(tmp_path / "b.h5ad")
    found = ad.read_h5ad(tmp_path / "a.h5ad").obs
    pd.testing.assert_frame_equal(found[list(named)], named)


def test_scipy_changes_what_a_file_held_in_place(counts: sp.csr_matrix, labels: pd.DataFrame, tmp_path: Path) -> None:
    held = write(tmp_path / "x.h5ad", counts, labels, n_rows=25).X
    assert held.indices.dtype == held.indptr.dtype == np.int32
    held.data[:5] = 0
    held.eliminate_zeros()
    assert held.nnz == counts.nnz - 5


def test_a_file_opens_backed_too(counts: sp.csr_matrix, labels: pd.DataFrame, tmp_path: Path) -> None:
    write(tmp_path / "x.h5ad", counts, labels, n_rows=25)
    backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    assert np.array_equal(backed.X[3:5].toarray(), counts[3:5].toarray())
    backed.file.close()


def test_an_empty_file_opens(tmp_path: Path) -> None:
    with H5adWriter(tmp_path / "x.h5ad", VAR):
        pass
    assert ad.read_h5ad(tmp_path / "x.h5ad").shape == (0, 30)


def test_a_failed_block_leaves_nothing(counts: sp.csr_matrix, labels: pd.DataFrame, tmp_path: Path) -> None:
    def interrupted() -> None:
        with H5adWriter(tmp_path / "x.h5ad", VAR) as writer:
            writer.append(counts, labels)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_an_error_after_closing_keeps_the_file(counts: sp.csr_matrix, labels: pd.DataFrame, tmp_path: Path) -> None:
    def failing_late() -> None:
        with H5adWriter(tmp_path / "x.h5ad", VAR) as writer:
            writer.append(counts, labels)
            writer.close({})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing_late()
    assert ad.read_h5ad(tmp_path / "x.h5ad").n_obs == 60


def test_a_full_disk_is_reported_and_leaves_nothing(
    counts: sp.csr_matrix, labels: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, "Can't write data (No space left on device)")

    def write_more() -> None:
        with H5adWriter(tmp_path / "x.h5ad", VAR) as writer:
            monkeypatch.setattr(h5py.Dataset, "__setitem__", fill)
            writer.append(counts, labels)

    with pytest.raises(StorageError, match=r"the disk is full"):
        write_more()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(h5py.File, "__init__", refuse)
    with pytest.raises(StorageError, match=r"no permission to write there"):
        H5adWriter(tmp_path / "x.h5ad", VAR).__enter__()


def test_an_existing_file_is_kept_unless_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x.h5ad").write_text("precious")
    with pytest.raises(OutputExistsError, match=r"already exists"):
        H5adWriter(tmp_path / "x.h5ad", VAR).__enter__()
    assert (tmp_path / "x.h5ad").read_text() == "precious"


def test_memory_does_not_grow_with_the_number_of_cells(tmp_path: Path) -> None:
    chunk = sp.random(500, 30, 0.5, "csr", random_state=0)
    chunk.data[:] = 1
    labels = pd.DataFrame({"cell_type": pd.Categorical(["T"] * 500)})
    peaks = []
    for n_chunks in (4, 40):
        tracemalloc.start()
        with H5adWriter(tmp_path / f"{n_chunks}.h5ad", VAR) as writer:
            for _ in range(n_chunks):
                writer.append(chunk, labels)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


@pytest.mark.parametrize("name", ["x.csv", "x", "x.h5", "x.h5ad.gz"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match=r"`path` .* does not end with `.h5ad`, which is written. Pass "):
        H5adWriter(tmp_path / name, VAR)
