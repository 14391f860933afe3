"""Reports on the screen: names that can be typed again, numbers that are whole."""

from __future__ import annotations

import pytest

from scdiffuse.cli._report import _print_table
from scdiffuse.metrics import METRICS


def test_no_name_and_no_number_is_cut(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    numbers = ["-10.262", "-10.263", "-1.234", "-10.264", "100,000"]
    _print_table(["value", "reference", "normalised", "first told", "cells"], [[one.name, *numbers] for one in METRICS])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.split()[0] in {one.name for one in METRICS}] == [
        [one.name, *numbers] for one in METRICS
    ]
