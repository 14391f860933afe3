"""A student from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scdiffuse.cli._app import run


class Recorder:
    """Stands for a model and keeps how it is called."""

    def __init__(self) -> None:
        self.calls: dict[str, Any] = {}

    def distill(self, **how: Any) -> None:
        self.calls["distill"] = how

    def save(self, folder: Path, **how: Any) -> None:
        self.calls["save"] = {"folder": folder} | how

    def summary(self) -> str:
        return "the model\nStudent of 3 steps"


def test_every_option_is_passed_and_the_student_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held, room = Recorder(), ModuleType("scdiffuse.generator")
    room.load = lambda folder: held  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scdiffuse.generator", room)
    options = ["--n-steps", "3", "--n-paths", "500", "--max-epochs", "2", "--seed", "7", "--no-progress"]
    assert run(["distill", str(tmp_path), *options]) == 0
    assert held.calls == {
        "distill": {"n_steps": 3, "n_paths": 500, "max_epochs": 2, "seed": 7, "progress": False},
        "save": {"folder": tmp_path, "overwrite": True},
    }
    assert "Student of 3 steps" in capsys.readouterr().err
