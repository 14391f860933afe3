"""Damaged files of cells are named by `evaluate` too, which reads them with anndata."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.attack.place import cells

from scdiffuse._core.errors import CountsError, DataFileError
from scdiffuse.cli import run
from scdiffuse.evaluation import evaluate


def _replace(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return change


def _group(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_group(name)


def _as_columns(file: h5py.File, shift: int) -> None:
    """Store `X` column by column, with rows that are not there."""
    matrix = cells().X.tocsc()
    del file["X"]
    file.create_group("X").attrs.update({"encoding-type": "csc_matrix", "encoding-version": "0.1.0"})
    file["X"].attrs["shape"] = matrix.shape
    parts = {"data": matrix.data, "indices": matrix.indices + shift, "indptr": matrix.indptr}
    for name, part in parts.items():
        file["X"][name] = part


CHANGES: dict[str, Callable[[h5py.File], None]] = {
    "obsm is no group": _replace("obsm", np.zeros(3)),
    "obs is a matrix": _replace("obs", np.ones((60, 16))),
    "X has no encoding": lambda file: file["X"].attrs.clear(),
    "X is flat": _replace("X", np.arange(60.0)),
    "X has other genes": _replace("X", np.ones((60, 17))),
    "an index is negative": _replace("X/indices", np.full(1000, -1)),
    "columns are negative, column by column": lambda file: _as_columns(file, -1),
    "columns are too many, column by column": lambda file: _as_columns(file, 10**6),
    "X has a group for its values": lambda file: _group(file, "X/data"),
    "X is complex": _replace("X", np.ones((60, 16), np.complex64)),
    "X is a link to itself": _replace("X", h5py.SoftLink("/X")),
    "X is nothing": _replace("X", h5py.Empty("f4")),
    "a link to itself": _replace("obsp", h5py.SoftLink("/obsp")),
}


def test_cells_that_are_all_the_same_are_refused() -> None:
    same = cells()
    same.X = np.ones(same.shape, np.float32)
    with pytest.raises(CountsError, match="No gene of `real` varies"):
        evaluate(same, cells(), metrics=["energy"], progress=False)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(CHANGES))
def test_a_damaged_file_is_named_with_its_role(name: str, tmp_path: Path) -> None:
    for file in ("real.h5ad", "odd.h5ad"):
        cells().write_h5ad(tmp_path / file)
    with h5py.File(tmp_path / "odd.h5ad", "r+") as odd:
        CHANGES[name](odd)
    with pytest.raises((DataFileError, CountsError), match=r"`generated` '.*odd\.h5ad'"):
        evaluate(tmp_path / "real.h5ad", tmp_path / "odd.h5ad", metrics=["energy"], progress=False)


@pytest.mark.parametrize("command", ["evaluate", "audit"])
@pytest.mark.parametrize("name", ["report.h5ad", "report", "notes.txt"])
def test_a_report_under_another_ending_is_refused_before_anything_is_read(
    command: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--real", "r.h5ad"] if command == "evaluate" else ["--train", "t.h5ad", "--held-out", "h.h5ad"]
    assert run([command, *more, "--generated", "g.h5ad", "-o", str(tmp_path / name), "--overwrite"]) == 2
    assert "does not end with `.html`" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
