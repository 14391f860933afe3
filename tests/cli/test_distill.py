"""A distilled model from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scdiffuse.cli import run


class Recorder:
    """Stands for a model and records how it is called."""

    def __init__(self) -> None:
        self.calls: dict[str, Any] = {}

    def distill(self, **how: Any) -> Recorder:
        self.calls["distill"] = how
        return self

    def save(self, folder: Path, **how: Any) -> None:
        self.calls["save"] = {"folder": folder} | how

    def summary(self) -> str:
        return "Distilled to 3 steps"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder, package = Recorder(), ModuleType("scdiffuse.generator")
    package.load = lambda folder: recorder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scdiffuse.generator", package)
    return recorder


def test_distill_passes_every_option_and_saves_another_model(
    model: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--solver-steps", "3", "--n-paths", "500", "--max-epochs", "2", "--seed", "7", "--no-progress"]
    assert run(["distill", str(tmp_path), "-o", str(tmp_path / "fast"), *options]) == 0
    assert model.calls == {
        "distill": {"solver_steps": 3, "n_paths": 500, "max_epochs": 2, "seed": 7, "progress": False},
        "save": {"folder": tmp_path / "fast", "overwrite": False},
    }
    assert "Distilled to 3 steps" in capsys.readouterr().err


def test_the_model_itself_is_never_overwritten(
    model: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["distill", str(tmp_path), "-o", str(tmp_path), "--overwrite"]) == 2
    assert "is read by this command" in capsys.readouterr().err
    assert not model.calls


def test_a_folder_that_exists_is_kept(model: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fast").mkdir()
    (tmp_path / "fast" / "config.json").write_text('{"finished": true, "files": {}}')
    assert run(["distill", str(tmp_path), "-o", str(tmp_path / "fast")]) == 2
    assert "already exists" in capsys.readouterr().err
    assert not model.calls
