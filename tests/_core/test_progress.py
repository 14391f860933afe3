from __future__ import annotations

import pytest

from scdiffuse._core import progress
from scdiffuse._core.progress import Progress


def test_quick_work_stays_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("generate", 10) as bar:
        bar.advance(10)
    assert capsys.readouterr().err == ""


def test_slow_work_shows_rate_and_note(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SHOW_AFTER_SECONDS", 0.0)
    monkeypatch.setenv("COLUMNS", "200")
    with Progress("generate", 10) as bar:
        bar.advance(4, note="loss 1.23")
    shown = capsys.readouterr().err
    assert "generate" in shown
    assert "4/10" in shown
    assert "cells/s" in shown
    assert "loss 1.23" in shown


def test_a_silenced_bar_shows_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SHOW_AFTER_SECONDS", 0.0)
    with Progress("generate", 10, enabled=False) as bar:
        bar.advance(10)
    assert capsys.readouterr().err == ""
