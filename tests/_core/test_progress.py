from __future__ import annotations

import sys

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


def test_a_notebook_shows_one_element_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    display = pytest.importorskip("IPython.display", reason="IPython is not installed: pip install ipython")
    shown: list[tuple[str, dict[str, str]]] = []

    class Handle:
        def update(self, bundle: dict[str, str], *, raw: bool) -> None:
            assert raw
            shown.append(("update", bundle))

    def first(bundle: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        assert raw
        assert display_id
        shown.append(("display", bundle))
        return Handle()

    monkeypatch.setattr(display, "display", first)
    monkeypatch.setattr(progress, "_SHOW_AFTER_SECONDS", 0.0)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # as where it is not installed
    with Progress("generate", 10) as bar:
        bar.advance(4, note="loss <1>")
        bar.advance(3)
        bar.advance(3)
    assert [kind for kind, _ in shown] == ["display", "update"]  # the states between come too soon
    assert "generate 4/10" in shown[0][1]["text/plain"]
    assert "loss &lt;1&gt;" in shown[0][1]["text/html"]
    assert 'value="10" max="10"' in shown[1][1]["text/html"]


def test_work_of_unknown_length_has_a_bar_too(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    pytest.importorskip("IPython.display", reason="IPython is not installed: pip install ipython")
    monkeypatch.setattr("IPython.display.display", lambda bundle, **_: shown.append(bundle["text/html"]))
    monkeypatch.setattr(progress, "_SHOW_AFTER_SECONDS", 0.0)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    with Progress("read") as bar:
        bar.advance(4000)
    assert len(shown) == 1
    assert "<progress style" in shown[0]
    assert "read 4,000, " in shown[0]
