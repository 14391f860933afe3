"""``scdiffuse split``, and a fit that holds cells out and evaluates with them."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import pandas as pd
import pytest

from scdiffuse.cli import run

QUICK = ["--set", "autoencoder.n_hidden=8", "--set", "diffusion.width=8", "--set", "diffusion.depth=1"]
QUICK += ["--max-epochs", "1", "--no-progress"]


@pytest.fixture
def cells(simulated: ad.AnnData, tmp_path: Path) -> Path:
    simulated.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


def test_three_files_hold_all_cells(cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "parts"
    assert run(["split", str(cells), "-o", str(out), "--by", "cell_type", "--by", "treated"]) == 0
    parts = [ad.read_h5ad(out / f"{name}.h5ad") for name in ("fit", "reference", "held_out")]
    assert sorted(name for part in parts for name in part.obs_names) == sorted(ad.read_h5ad(cells).obs_names)
    assert "held_out.h5ad" in capsys.readouterr().err
    assert run(["split", str(cells), "-o", str(out)]) == 2
    assert "already exists" in capsys.readouterr().err


def test_donors_and_labels_come_from_a_table(cells: Path, tmp_path: Path) -> None:
    names = ad.read_h5ad(cells).obs_names
    pd.DataFrame({"donor": [f"d{at % 5}" for at in range(150)]}, index=names).to_csv(tmp_path / "labels.csv")
    words = ["split", str(cells), "-o", str(tmp_path / "parts"), "--obs", str(tmp_path / "labels.csv")]
    assert run([*words, "--donor", "donor", "--fractions", "0.8", "0", "0.2"]) == 0
    assert not (tmp_path / "parts" / "reference.h5ad").exists()
    assert ad.read_h5ad(tmp_path / "parts" / "held_out.h5ad").obs["donor"].nunique() == 1


def test_a_part_that_has_no_cells_any_more_leaves_no_file_of_an_earlier_split(cells: Path, tmp_path: Path) -> None:
    words = ["split", str(cells), "-o", str(tmp_path / "parts")]
    assert run(words) == 0
    assert run([*words, "--fractions", "0.8", "0", "0.2", "--overwrite"]) == 0
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["fit.h5ad", "held_out.h5ad"]


def test_a_split_that_fails_leaves_the_files_of_an_earlier_one(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["split", str(cells), "-o", str(tmp_path / "parts")]
    assert run(words) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "parts").iterdir()}
    write = ad.AnnData.write_h5ad

    def fail(self: ad.AnnData, path: Path) -> None:
        write(self, path)
        if path.name == "held_out.h5ad":
            raise PermissionError

    monkeypatch.setattr(ad.AnnData, "write_h5ad", fail)
    assert run([*words, "--seed", "1", "--overwrite"]) == 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "parts").iterdir()} == before


def test_one_command_fits_and_evaluates_on_cells_held_out(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, report = tmp_path / "model", tmp_path / "report.html"
    words = ["fit", str(cells), "-o", str(model), "-c", "cell_type", "--hold-out", "0.6", "--report", str(report)]
    assert run([*words, *QUICK]) == 0
    printed = capsys.readouterr()
    assert "How real are the generated cells?" in printed.out
    assert report.is_file()
    assert run(["inspect", str(model)]) == 0
    shown = capsys.readouterr().out
    assert "150 cells" not in shown
    assert "Score " in shown


def test_too_few_cells_to_evaluate_with_are_said_before_the_fit(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fit", str(cells), "-o", str(tmp_path / "model"), "--hold-out", "0.3", *QUICK]) == 2
    assert "`--hold-out` leaves 45 of 150 cells to evaluate with; expected at least 80" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--report", "r.csv"], "`--report` 'r.csv' does not end with `.html`"),
        (["--report", "r.html", "--hold-out", "0"], "is given with `--hold-out 0`"),
        (["--hold-out", "0.2", "--devices", "2"], "expected one process"),
        (["--layer", "x", "--use-raw"], "`--layer` is 'x' and `--use-raw` is given"),
    ],
)
def test_what_contradicts_is_refused_before_anything_is_read(
    more: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["fit", str(tmp_path / "absent.h5ad"), "-o", str(tmp_path / "model"), *more]) == 2
    assert words in capsys.readouterr().err
