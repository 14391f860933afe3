"""What each command hands to the model, with a recording model at the border."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from scdiffuse._core.errors import ModelFolderError
from scdiffuse.cells import Conditions
from scdiffuse.cli import run
from scdiffuse.cli._app import main

Calls = dict[str, Any]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Replace the model room by one that records how it is called."""
    held: Calls = {}
    obs = pd.DataFrame({"cell_type": ["B", "B", "T", "T"], "day": [0.0, 1.0, 2.0, 3.0]})
    conditions = Conditions.from_obs(obs, ["cell_type"], ["day"])

    class Recorder:
        n_cells, was_stopped = 4, False
        classifiers = {"organ": {"labels": {"Spleen": 3, "Lung": 4}}}  # noqa: RUF012 - read only

        def __init__(self, data: Path, **settings: Any) -> None:
            held["data"], held["settings"], self.conditions = data, settings, conditions

        def summary(self) -> str:
            return "summary"

        def fit(self, folder: Path, **how: Any) -> None:
            held["fit"] = {"folder": folder} | how
            self.was_stopped = bool(held.get("stop"))

        def add_classifier(self, name: str, data: Path, **how: Any) -> None:
            held["add_classifier"] = {"name": name, "data": data} | how

        def save(self, folder: Path, **how: Any) -> None:
            held["save"] = {"folder": folder} | how

        def generate(self, n: int | None, **how: Any) -> None:
            held["generate"] = {"n": n} | how

    def load(folder: Path, *, device: str = "cpu") -> Recorder:
        assert device in {"cpu", "cuda"}
        if not folder.exists():
            msg = f"{str(folder)!r} is not a saved model."
            raise ModelFolderError(msg)
        return Recorder(folder)

    room = ModuleType("scdiffuse.generator")
    vars(room).update(vars(SimpleNamespace(CellGenerator=Recorder, load=load)))
    monkeypatch.setattr("scdiffuse.cli._fit.read_settings", lambda pairs: "settings")
    monkeypatch.setitem(sys.modules, "scdiffuse.generator", room)
    return held


def test_fit_passes_every_option(calls: Calls, tmp_path: Path) -> None:
    options = [
        "--condition",
        "cell_type",
        "-c",
        "donor",
        "--continuous",
        "day",
        "--layer",
        "counts",
        "--min-cells",
        "3",
    ]
    more = ["--max-epochs", "7", "--seed", "5", "--resume", "--no-progress", "--device", "cuda"]
    assert run(["fit", "a.h5ad", "-o", str(tmp_path / "m"), *options, *more]) == 0
    assert calls["data"] == [Path("a.h5ad")]
    wanted = {
        "conditions": ["cell_type", "donor"],
        "continuous": ["day"],
        "layer": "counts",
        "min_cells": 3,
        "config": "settings",
    }
    assert calls["settings"] == wanted
    assert calls["fit"] == {
        "folder": tmp_path / "m", "resume": True, "max_epochs": 7, "seed": 5, "device": "cuda", "progress": False,
    }  # fmt: skip


def test_a_stopped_fit_says_so_and_ends_with_130(
    calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls["stop"] = True
    assert run(["fit", "a.h5ad", "-o", str(tmp_path / "m")]) == 130
    assert "stopped early" in capsys.readouterr().err


def test_fit_refuses_a_folder_that_is_there(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", "a.h5ad", "-o", str(tmp_path)]) == 2
    assert "already exists" in capsys.readouterr().err
    assert "fit" not in calls


def test_fit_replaces_a_model_when_told(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    assert run(["fit", "a.h5ad", "-o", str(tmp_path), "--overwrite"]) == 0
    assert calls["fit"]["folder"] == tmp_path
    assert not tmp_path.exists()


def test_fit_never_replaces_what_is_no_model(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").touch()
    assert run(["fit", "a.h5ad", "-o", str(tmp_path), "--overwrite"]) == 2
    assert "holds other things than a saved model" in capsys.readouterr().err
    assert "fit" not in calls


def test_generate_passes_every_option(calls: Calls, tmp_path: Path) -> None:
    options = ["-n", "9", "--where", "cell_type=B", "--where", "day=2", "--guidance", "1.5", "--library-size", "900"]
    more = ["--steps", "8", "--solver", "heun", "--chunk", "3", "--seed", "4", "--no-progress"]
    more += ["--guide", "organ=Spleen:2.0", "--avoid", "cell_type=T", "--interval", "0.2,0.8"]
    more += ["--composition", "additive", "--device", "cuda"]
    assert run(["generate", str(tmp_path), "-o", str(tmp_path / "c.h5ad"), *options, *more]) == 0
    assert calls["generate"] == {
        "n": 9, "where": {"cell_type": "B", "day": 2.0}, "guidance": 1.5, "guide": {"organ": ("Spleen", 2.0)},
        "avoid": {"cell_type": ("T", 1.0)}, "interval": (0.2, 0.8), "composition": "additive", "library_size": 900,
        "steps": 8, "solver": "heun", "chunk": 3, "seed": 4, "to": tmp_path / "c.h5ad", "overwrite": False,
        "progress": False,
    }  # fmt: skip


def test_a_classifier_is_added_in_place_with_every_option(calls: Calls, tmp_path: Path) -> None:
    options = ["--name", "organ", "--obs-key", "tissue", "--kind", "categorical", "--layer", "counts"]
    more = ["--max-epochs", "7", "--seed", "5", "--library-size", "--overwrite", "--no-progress"]
    assert run(["add-classifier", str(tmp_path), "a.h5ad", *options, *more]) == 0
    assert calls["add_classifier"] == {
        "name": "organ", "data": Path("a.h5ad"), "obs_key": "tissue", "kind": "categorical", "layer": "counts",
        "max_epochs": 7, "seed": 5, "library_size": True, "overwrite": True, "progress": False,
    }  # fmt: skip
    assert calls["save"] == {"folder": tmp_path, "overwrite": True}


def test_generate_reads_a_table_of_conditions(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "wanted.csv").write_text("cell_type,n\nB,2\nT,3\n")
    words = ["--where-table", str(tmp_path / "wanted.csv")]
    assert run(["generate", str(tmp_path), "-o", str(tmp_path / "c.h5ad"), *words]) == 0
    assert calls["generate"]["where"]["n"].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--where", "cell_type=B", "--where-table", "a.csv"], "are both given; expected one of them"),
        (["--where", "organ=lung"], "'organ' is not a condition of this model"),
        (["--library-size", "deep"], "is not a depth"),
        (["--guide", "orgn=Lung"], "Did you mean 'organ'?"),
        (["--avoid", "day"], "has no name and value"),
    ],
)
def test_a_wrong_request_ends_with_2(
    words: list[str], message: str, calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["generate", str(tmp_path), "-o", str(tmp_path / "c.h5ad"), *words]) == 2
    assert message in capsys.readouterr().err
    assert "generate" not in calls


def test_generate_refuses_a_file_that_is_there_before_loading(
    calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.h5ad").touch()
    assert run(["generate", str(tmp_path / "absent"), "-o", str(tmp_path / "c.h5ad")]) == 2
    assert "already exists" in capsys.readouterr().err
    assert not calls


def test_a_model_that_is_none_ends_with_2(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", str(tmp_path / "absent"), "-o", str(tmp_path / "c.h5ad")]) == 2
    assert "is not a saved model" in capsys.readouterr().err
    assert not calls


@pytest.mark.parametrize(
    ("given", "spins"), [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, None)]
)
def test_waiting_threads_spin_for_a_moment_unless_the_user_says_how(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], spins: str | None
) -> None:
    monkeypatch.setattr("os.environ", dict(given))
    monkeypatch.setattr("scdiffuse.cli._app.run", lambda: 0)
    with pytest.raises(SystemExit):
        main()
    assert os.environ.get("GOMP_SPINCOUNT") == spins
