"""The whole way through the command line, on 300 of the bundled real cells."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import scdiffuse as scd
from scdiffuse._core.errors import UserError
from scdiffuse._core.slots import TRAINING_FILE
from scdiffuse.cli import run

N_CELLS = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write cells to fit, held-out cells, a model and generated cells."""
    folder = tmp_path_factory.mktemp("end_to_end")
    adata = scd.datasets.pbmc68k()
    rare = adata.obs["cell_type"].value_counts()
    common = adata[adata.obs["cell_type"].map(rare).astype(int) > 50].to_memory()
    fit, _, held_out = scd.split(common[:N_CELLS], by="cell_type", fractions=(0.5, 0.0, 0.5))
    fit.write_h5ad(folder / "fit.h5ad")
    held_out.write_h5ad(folder / "held_out.h5ad")
    words = ["--condition", "cell_type", "--max-epochs", "5", "--no-progress"]
    assert run(["fit", str(folder / "fit.h5ad"), "-o", str(folder / "model"), *words]) == 0
    words = ["-n", "150", "--no-progress"]
    assert run(["generate", str(folder / "model"), "-o", str(folder / "cells.h5ad"), *words]) == 0
    return folder


def test_generated_cells_are_counts_of_the_trained_genes(folder: Path) -> None:
    cells = ad.read_h5ad(folder / "cells.h5ad")
    assert cells.n_obs == 150
    assert np.array_equal(cells.X.data, np.rint(cells.X.data))
    assert cells.X.min() >= 0
    assert set(cells.var_names) <= set(ad.read_h5ad(folder / "fit.h5ad", backed="r").var_names)


def test_a_label_can_be_asked_for(folder: Path, tmp_path: Path) -> None:
    words = ["-n", "20", "--where", "cell_type=Dendritic", "-o", str(tmp_path / "cells.h5ad")]
    assert run(["generate", str(folder / "model"), *words]) == 0
    assert set(ad.read_h5ad(tmp_path / "cells.h5ad").obs["cell_type"]) == {"Dendritic"}


def test_cells_are_guided_towards_a_label_of_an_added_classifier(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "model", tmp_path / "model")
    words = ["--name", "kind", "--obs-key", "cell_type", "--max-epochs", "5", "--no-progress"]
    assert run(["add-classifier", str(tmp_path / "model"), str(folder / "held_out.h5ad"), *words]) == 0
    assert "Classifier kind: " in capsys.readouterr().err
    words = [
        "-n",
        "20",
        "--toward",
        "kind=Dendritic:2",
        "--guidance-interval",
        "0",
        "0.9",
        "-o",
        str(tmp_path / "cells.h5ad"),
    ]
    assert run(["generate", str(tmp_path / "model"), *words]) == 0
    saved = ad.read_h5ad(tmp_path / "cells.h5ad").uns["scdiffuse"]["settings"]["guidance"]
    assert saved["toward"]["kind"] == {"target": "Dendritic", "scale": 2.0}


def test_a_mistyped_label_ends_with_2_and_a_guess(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-n", "20", "--where", "cell_type=dendritc", "-o", str(tmp_path / "cells.h5ad")]
    assert run(["generate", str(folder / "model"), *words]) == 2
    assert "Did you mean 'Dendritic'?" in capsys.readouterr().err
    assert not (tmp_path / "cells.h5ad").exists()


def test_the_same_seed_gives_the_same_cells(folder: Path, tmp_path: Path) -> None:
    words = ["-n", "150", "--batch-size", "64", "-o", str(tmp_path / "cells.h5ad")]
    assert run(["generate", str(folder / "model"), *words]) == 0
    first, second = (ad.read_h5ad(path / "cells.h5ad").X for path in (folder, tmp_path))
    assert (first != second).nnz == 0


def test_evaluate_writes_a_page_and_the_same_numbers_as_json(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = ["--real", str(folder / "held_out.h5ad"), "--generated", str(folder / "cells.h5ad")]
    words = [
        "--metric",
        "mmd",
        "--metric",
        "mean_error",
        "--metric",
        "memorised_cells",
        "-o",
        str(tmp_path / "report.html"),
        "--json",
        "--no-progress",
    ]
    assert run(["evaluate", *pair, *words]) == 0
    printed = capsys.readouterr()
    assert "cells equal to a training cell: not scored, it needs train." in printed.err
    found = json.loads(printed.out)
    assert set(found["metrics"]) == {"mmd", "mean_error"}
    assert {"value", "reference", "baselines", "normalised", "better"} <= set(found["metrics"]["mmd"])
    assert (tmp_path / "report.html").read_text().lstrip().lower().startswith("<!doctype html>")


def test_a_mistyped_model_is_told_before_the_evaluation(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scdiffuse.evaluation.evaluate", None)
    pair = ["--real", str(folder / "held_out.h5ad"), "--generated", str(folder / "cells.h5ad")]
    assert run(["evaluate", *pair, "--model", str(tmp_path / "modle")]) == 2
    assert "modle" in capsys.readouterr().err


def test_a_report_is_written_even_if_the_model_cannot_be(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr("scdiffuse.generator.CellGenerator.save", fail)
    pair = ["--real", str(folder / "held_out.h5ad"), "--generated", str(folder / "cells.h5ad")]
    words = ["--metric", "mean_error", "-o", str(tmp_path / "report.html"), "--no-progress"]
    assert run(["evaluate", *pair, *words, "--model", str(folder / "model")]) == 2
    assert (tmp_path / "report.html").is_file()


def test_the_demo_can_replace_its_model(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin() -> None:
        msg = "The demo has begun."
        raise UserError(msg)

    monkeypatch.setattr(scd.datasets, "pbmc68k", begin)
    shutil.copytree(folder / "model", tmp_path / "pbmc68k.scd")
    assert run(["demo", "-o", str(tmp_path)]) == 2
    assert "already exists" in capsys.readouterr().err
    assert run(["demo", "-o", str(tmp_path), "--overwrite"]) == 2
    assert "The demo has begun." in capsys.readouterr().err


def test_inspect_shows_the_conditions_of_a_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(folder / "model")]) == 0
    printed = capsys.readouterr().out
    assert "cell_type" in printed
    assert "Dendritic" in printed


def test_a_finished_model_is_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", str(folder / "fit.h5ad"), "-o", str(folder / "model")]) == 2
    assert "already exists" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_leaves_a_model_that_records_the_stop(folder: Path, tmp_path: Path) -> None:
    words = ["fit", str(folder / "fit.h5ad"), "-o", str(tmp_path / "model"), "-c", "cell_type"]
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    with subprocess.Popen([sys.executable, "-m", "scdiffuse", *words], stderr=subprocess.PIPE, env=environment) as fit:
        while fit.poll() is None and not (tmp_path / "model" / TRAINING_FILE).exists():
            time.sleep(0.05)
        time.sleep(1)  # the loop has begun
        fit.send_signal(signal.SIGINT)
        printed = fit.communicate()[1].decode()
    assert fit.returncode == 130, printed
    assert "stopped early" in printed
    assert "stopped early" in scd.load(tmp_path / "model").summary()
