"""Arguments that each command passes to the Python API, with a recorder in place of the model."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import scdiffuse as scd
from scdiffuse._core.errors import ModelFolderError
from scdiffuse.cells import Conditions
from scdiffuse.cli import run
from scdiffuse.cli._app import main

Calls = dict[str, Any]
GUIDANCE = ["--toward", "organ=Spleen:2.0", "--away", "cell_type=T", "--guidance-interval", "0.2", "0.8"]
GUIDANCE += ["--composition", "additive"]
WITH_ALL = scd.Guidance(
    1.5, toward={"organ": ("Spleen", 2.0)}, away={"cell_type": ("T", 1.0)}, interval=(0.2, 0.8), composition="additive"
)


class Output:
    """Stands for cells that can be written."""

    obs, n_obs = pd.DataFrame({"source": ["real", "generated"]}), 2

    def write_h5ad(self, path: Path) -> None:
        path.touch()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Replace the package `generator` by a model that records its calls."""
    calls: Calls = {}
    obs = pd.DataFrame({"cell_type": ["B", "B", "T", "T"], "day": [0.0, 1.0, 2.0, 3.0]})
    conditions = Conditions.from_obs(obs, ["cell_type"], ["day"])

    class Recorder:
        n_cells, was_stopped = 4, False
        classifiers = {"organ": {"labels": {"Spleen": 3, "Lung": 4}}}  # noqa: RUF012 - read only

        def __init__(self, data: Path, **settings: Any) -> None:
            calls["data"], calls["settings"], self.conditions = data, settings, conditions

        def set_origin(self, **origin: Any) -> Recorder:
            calls["origin"] = origin
            return self

        def summary(self) -> str:
            return "summary" if "fit" in calls else "Not fitted. 2 of 3 genes kept."

        def fit(self, folder: Path, **how: Any) -> None:
            calls["fit"] = {"folder": folder} | how
            self.was_stopped = bool(calls.get("stop"))

        def add_classifier(self, name: str, data: Path, **how: Any) -> None:
            calls["add_classifier"] = {"name": name, "data": data} | how

        def save(self, folder: Path, **how: Any) -> None:
            calls["save"] = {"folder": folder} | how

        def generate(self, n_cells: int | None, **how: Any) -> Path:
            calls["generate"] = {"n_cells": n_cells} | how
            return Path(how["path"])

        def predict(self, adata: Path, to: Any, **how: Any) -> Output:
            calls["predict"] = {"adata": adata, "to": to} | how
            return Output()

        def trajectory(self, start: Any, to: Any, **how: Any) -> Output:
            calls["trajectory"] = {"start": start, "to": to} | how
            return Output()

        def augment(self, adata: Path, **how: Any) -> Output:
            calls["augment"] = {"adata": adata} | how
            return Output()

    def load(folder: Path, *, device: str = "cpu") -> Recorder:
        assert device in {"cpu", "cuda"}
        if not folder.exists():
            msg = f"{str(folder)!r} is not a saved model."
            raise ModelFolderError(msg)
        return Recorder(folder)

    package = ModuleType("scdiffuse.generator")
    vars(package).update(vars(SimpleNamespace(CellGenerator=Recorder, load=load)))
    monkeypatch.setattr("scdiffuse.cli._fit.read_settings", lambda pairs: "settings")
    monkeypatch.setitem(sys.modules, "scdiffuse.generator", package)
    return calls


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
        "--round",
        "--min-cells",
        "3",
    ]
    more = ["--max-epochs", "7", "--seed", "5", "--resume", "--no-progress", "--device", "cuda"]
    more += ["--organism", "human", "--source", "A study", "--licence", "CC0"]
    assert run(["fit", "a.h5ad", "-o", str(tmp_path / "m"), *options, *more]) == 0
    assert calls["data"] == [Path("a.h5ad")]
    assert calls["origin"] == {"organism": "human", "source": "A study", "licence": "CC0"}
    wanted = {
        "conditions": ["cell_type", "donor"],
        "continuous": ["day"],
        "layer": "counts",
        "round_counts": True,
        "min_cells": 3,
        "condition_features": {},
        "config": "settings",
    }
    assert calls["settings"] == wanted
    assert calls["fit"] == {
        "folder": tmp_path / "m", "resume": True, "overwrite": False, "max_epochs": 7, "seed": 5, "device": "cuda",
        "progress": False,
    }  # fmt: skip


def test_fit_reads_tables_of_features(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "pathways.csv"
    table.write_text("gene,ifn,jak\n1,1,0\nSTAT1,1,1\n")
    words = ["fit", "a.h5ad", "-o", str(tmp_path / "m"), "-c", "target", "--condition-features"]
    assert run([*words, f"target={table}"]) == 0
    (found,) = calls["settings"]["condition_features"].items()
    assert (found[0], found[1].T.to_dict()) == ("target", {"1": {"ifn": 1, "jak": 0}, "STAT1": {"ifn": 1, "jak": 1}})
    assert run([*words, str(table)]) == 2
    assert "such as perturbation=pathways.csv" in capsys.readouterr().err


def test_a_fit_begins_with_its_genes(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", "a.h5ad", "-o", str(tmp_path / "m")]) == 0
    assert capsys.readouterr().err.startswith("2 of 3 genes kept.")


def test_a_stopped_fit_ends_with_130(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls["stop"] = True
    assert run(["fit", "a.h5ad", "-o", str(tmp_path / "m")]) == 130
    assert "stopped early" in capsys.readouterr().err


def test_fit_refuses_a_folder_that_is_there(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text('{"finished": true, "files": {}}')
    assert run(["fit", "a.h5ad", "-o", str(tmp_path)]) == 2
    assert "already exists" in capsys.readouterr().err
    assert "fit" not in calls


def test_fit_leaves_the_model_that_it_overwrites_alone_until_the_new_one_is_done(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"finished": true, "files": {}}')
    assert run(["fit", "a.h5ad", "-o", str(tmp_path), "--overwrite"]) == 0
    assert calls["fit"]["folder"] == tmp_path
    assert calls["fit"]["overwrite"]
    assert (tmp_path / "config.json").exists()


def test_fit_never_overwrites_anything_but_a_model(
    calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").touch()
    assert run(["fit", "a.h5ad", "-o", str(tmp_path), "--overwrite"]) == 2
    assert "holds something other than a saved model" in capsys.readouterr().err
    assert "fit" not in calls


@pytest.mark.parametrize("name", ["a.h5ad", "notes.txt", "m/config.json"])
def test_fit_adds_no_log_to_what_is_none(
    name: str, calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text('{"finished": true, "files": {}}')
    assert run(["fit", str(tmp_path / "a.h5ad"), "-o", str(tmp_path / "n"), "--log", str(file)]) == 2
    assert "Choose another path." in capsys.readouterr().err
    assert file.read_text() == '{"finished": true, "files": {}}'
    assert "fit" not in calls


def test_fit_adds_to_its_own_log(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"task": "autoencoder", "done": 1, "total": 2, "note": ""}\n')
    assert run(["fit", "a.h5ad", "-o", str(tmp_path / "m"), "--log", str(tmp_path / "log"), "--resume"]) == 0
    assert calls["fit"]["resume"]


def test_generate_passes_every_option(calls: Calls, tmp_path: Path) -> None:
    options = ["-n", "9", "--where", "cell_type=B", "--where", "day=2", "--guidance", "1.5", "--library-size", "900"]
    more = ["--solver-steps", "8", "--solver", "heun", "--batch-size", "3", "--seed", "4", "--no-progress"]
    more += [*GUIDANCE, "--device", "cuda"]
    assert run(["generate", str(tmp_path), "-o", str(tmp_path / "c.h5ad"), *options, *more]) == 0
    assert calls["generate"] == {
        "n_cells": 9, "where": {"cell_type": "B", "day": 2.0}, "guidance": WITH_ALL, "library_size": 900,
        "solver_steps": 8, "solver": "heun", "batch_size": 3, "seed": 4, "path": tmp_path / "c.h5ad",
        "overwrite": False, "progress": False,
    }  # fmt: skip


def test_predict_passes_every_option(calls: Calls, tmp_path: Path) -> None:
    options = [
        "--to",
        "cell_type=B",
        "--guidance",
        "1.5",
        *GUIDANCE,
        "--library-size",
        "generated",
        "--layer",
        "counts",
    ]
    more = ["--solver-steps", "8", "--batch-size", "3", "--seed", "4", "--no-progress"]
    assert run(["predict", str(tmp_path), "a.h5ad", "--path", str(tmp_path / "c.h5ad"), *options, *more]) == 0
    assert calls["predict"] == {
        "adata": Path("a.h5ad"), "to": {"cell_type": "B"}, "guidance": WITH_ALL, "library_size": None,
        "layer": "counts", "solver_steps": 8, "batch_size": 3, "seed": 4, "progress": False,
    }  # fmt: skip
    assert (tmp_path / "c.h5ad").exists()


def test_trajectory_passes_every_option(calls: Calls, tmp_path: Path) -> None:
    options = ["--from", "cell_type=B", "--to", "day=3", "--guidance", "1.5", *GUIDANCE, "--layer", "counts"]
    more = ["--n-states", "5", "--keep", "0.3", "--n-cells", "7", "--method", "partial_noising", "--solver-steps", "8"]
    more += ["--along", "day"]
    more += ["--batch-size", "3", "--seed", "4", "--no-progress"]
    assert run(["trajectory", str(tmp_path), "-o", str(tmp_path / "c.h5ad"), *options, *more]) == 0
    assert calls["trajectory"] == {
        "start": {"cell_type": "B"}, "to": {"day": 3.0}, "along": "day", "n_states": 5, "keep": 0.3, "n_cells": 7,
        "method": "partial_noising", "guidance": WITH_ALL, "layer": "counts", "solver_steps": 8, "batch_size": 3,
        "seed": 4, "progress": False,
    }  # fmt: skip


def test_augment_passes_every_option(calls: Calls, tmp_path: Path) -> None:
    options = ["--by", "cell_type", "--n-per-label", "B=9", "--guidance", "day=2", "--layer", "counts", "--seed", "4"]
    assert run(["augment", str(tmp_path), "a.h5ad", "-o", str(tmp_path / "c.h5ad"), *options, "--no-progress"]) == 0
    assert calls["augment"] == {
        "adata": Path("a.h5ad"), "by": "cell_type", "n_per_label": {"B": 9}, "guidance": {"day": 2.0},
        "layer": "counts", "seed": 4, "progress": False,
    }  # fmt: skip


def test_add_classifier_passes_every_option_and_saves_the_model(calls: Calls, tmp_path: Path) -> None:
    options = ["--name", "organ", "--obs-key", "tissue", "--kind", "categorical", "--layer", "counts"]
    more = ["--max-epochs", "7", "--seed", "5", "--library-size", "--overwrite", "--no-progress"]
    assert run(["add-classifier", str(tmp_path), "a.h5ad", *options, *more]) == 0
    assert calls["add_classifier"] == {
        "name": "organ", "data": Path("a.h5ad"), "obs_key": "tissue", "kind": "categorical", "layer": "counts",
        "max_epochs": 7, "seed": 5, "library_size": True, "overwrite": True, "progress": False,
    }  # fmt: skip
    assert calls["save"] == {"folder": tmp_path, "overwrite": True}


def test_generate_reads_a_table_of_conditions(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "wanted.csv").write_text("cell_type,n_cells\nB,2\nT,3\n")
    words = ["--where-table", str(tmp_path / "wanted.csv")]
    assert run(["generate", str(tmp_path), "-o", str(tmp_path / "c.h5ad"), *words]) == 0
    assert calls["generate"]["where"]["n_cells"].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--where", "cell_type=B", "--where-table", "a.csv"], "are both given; expected one of them"),
        (["--where", "organ=lung"], "'organ' is not a condition of this model"),
        (["--library-size", "large"], "is not a library size"),
        (["--toward", "orgn=Lung"], "Did you mean 'organ'?"),
        (["--away", "day"], "has no name and value"),
        (["--guidance-interval", "0.8", "0.2"], "from a lower to a higher time"),
        (["--guidance-interval", "0.8"], "requires 2 arguments"),
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


def test_a_folder_without_a_model_ends_with_2(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", str(tmp_path / "absent"), "-o", str(tmp_path / "c.h5ad")]) == 2
    assert "is not a saved model" in capsys.readouterr().err
    assert not calls


@pytest.mark.parametrize(
    ("given", "spins"), [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, None)]
)
def test_waiting_threads_spin_for_a_moment_unless_the_environment_sets_it(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], spins: str | None
) -> None:
    monkeypatch.setattr("os.environ", dict(given))
    monkeypatch.setattr("scdiffuse.cli._app.run", lambda: 0)
    with pytest.raises(SystemExit):
        main()
    assert os.environ.get("GOMP_SPINCOUNT") == spins
