"""A new donor in a fitted model, from the command line."""

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

    def map_query(self, cells: Path, condition: str, **how: Any) -> Recorder:
        self.calls["map_query"] = {"cells": cells, "condition": condition} | how
        return self

    def save(self, folder: Path, **how: Any) -> None:
        self.calls["save"] = {"folder": folder} | how

    def summary(self) -> str:
        return "donor: d1 (40); 1 mapped"


def test_map_query_passes_every_option_and_saves_another_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder, package = Recorder(), ModuleType("scdiffuse.generator")
    package.load = lambda folder: recorder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scdiffuse.generator", package)
    cells = tmp_path / "cells.h5ad"
    words = ["map-query", str(tmp_path), str(cells), "--condition", "donor", "-o", str(tmp_path / "new")]
    assert run([*words, "--layer", "counts", "--no-progress"]) == 0
    assert recorder.calls == {
        "map_query": {"cells": cells, "condition": "donor", "layer": "counts", "progress": False},
        "save": {"folder": tmp_path / "new", "overwrite": False},
    }
    assert "1 mapped" in capsys.readouterr().err
