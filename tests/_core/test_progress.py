from __future__ import annotations

import json
import sys
import time
from pathlib import Path

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


def test_work_whose_first_unit_is_slow_shows_what_it_waits_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_SHOW_WAITING_AFTER_SECONDS", 0.0)
    monkeypatch.setenv("COLUMNS", "200")
    with Progress("fit", 10, waiting="compiles loops") as bar:
        while bar._display is None:
            time.sleep(0.01)
    shown = capsys.readouterr().err
    assert "0/10" in shown
    assert "compiles loops" in shown
    monkeypatch.setattr(progress, "_SHOW_WAITING_AFTER_SECONDS", 0.1)
    with Progress("fit", 10):
        pass
    time.sleep(0.2)
    assert capsys.readouterr().err == ""


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


def test_a_listener_hears_of_a_bar_that_is_not_shown_and_ends_the_task_by_raising() -> None:
    heard: list[tuple[str, int, int | None, float]] = []

    def listen(event: progress.ProgressEvent) -> None:
        heard.append((event.task, event.done, event.total, event.values["loss"]))
        if event.done > 3:
            raise KeyboardInterrupt

    with progress.listening(listen), Progress("fit", 9, enabled=False) as bar:
        bar.advance(2, values={"loss": 1.5})
        with pytest.raises(KeyboardInterrupt):
            bar.advance(2, values={"loss": 1.5})
    assert heard == [("fit", 2, 9, 1.5), ("fit", 4, 9, 1.5)]
    with Progress("fit", 9, enabled=False) as bar:
        bar.advance(9)  # nobody listens any more
    assert len(heard) == 2


def test_a_log_has_a_line_for_each_new_validation_loss_and_no_more_than_two_a_second(tmp_path: Path) -> None:
    for _ in range(2):
        with progress.logging_progress(tmp_path / "log.jsonl"), Progress("fit", 100, enabled=False) as bar:
            bar.advance(values={"validation_loss": float("nan"), "training_loss": 3.0})
            for step in range(60):
                bar.advance(note=f"step {step}", values={"validation_loss": float(step // 20)})
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[0] == {"task": "fit", "done": 1, "total": 100, "note": "", "training_loss": 3.0}
    assert [line.get("validation_loss") for line in lines] == [None, 0.0, 1.0, 2.0] * 2


def test_of_several_processes_one_writes_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        with progress.logging_progress(tmp_path / f"{rank}.jsonl"), Progress("fit", 100, enabled=False) as bar:
            bar.advance()
    assert [path.name for path in tmp_path.iterdir()] == ["0.jsonl"]
