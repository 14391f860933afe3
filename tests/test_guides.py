"""The code of the README and the guides runs as it stands, with a short fit and few measures."""

from __future__ import annotations

import functools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import scdiffuse as scd
import scdiffuse.evaluation
from scdiffuse.cli import run

ROOT = Path(scd.__file__).parents[2]


def _blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fit for three epochs, measure one thing, and write into an empty folder."""
    fit, learn, evaluate = scd.CellGenerator.fit, scd.CellGenerator.add_classifier, scd.evaluate
    distill = scd.CellGenerator.distill

    @functools.wraps(fit)
    def short(self: scd.CellGenerator, *place: Any, **how: Any) -> scd.CellGenerator:
        return fit(self, *place, **how | {"max_epochs": 3})

    @functools.wraps(learn)
    def glance(self: scd.CellGenerator, *what: Any, **how: Any) -> scd.CellGenerator:
        return learn(self, *what, **how | {"max_epochs": 3})

    @functools.wraps(evaluate)
    def brief(*cells: Any, **how: Any) -> scd.Report:
        return evaluate(*cells, **how | {"metrics": ["mean_error"]})

    @functools.wraps(distill)
    def hasty(self: scd.CellGenerator, **how: Any) -> scd.CellGenerator:
        return distill(self, **how | {"n_paths": 512, "max_epochs": 1})

    monkeypatch.setattr(scd.CellGenerator, "fit", short)
    monkeypatch.setattr(scd.CellGenerator, "distill", hasty)
    monkeypatch.setattr(scd.CellGenerator, "add_classifier", glance)
    monkeypatch.setattr(scd, "evaluate", brief)
    monkeypatch.setattr(scdiffuse.evaluation, "evaluate", brief)
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("ignore:The paths of branch")  # a fit of three epochs
@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_the_python_of_a_page_runs(page: str) -> None:
    blocks = _blocks(page, "python")
    assert blocks
    exec(compile("\n".join(blocks), page, "exec"), {"__name__": "__guide__"})
    assert Path("report.html").is_file()


@pytest.mark.filterwarnings("ignore:The paths of branch")  # a fit of three epochs
def test_the_python_of_the_page_on_control_runs() -> None:
    blocks = _blocks("docs/control.md", "python")
    exec(compile("\n".join(blocks), "control.md", "exec"), {"__name__": "__guide__"})
    assert Path("blood.scd").is_dir()


def test_the_shell_of_the_readme_runs() -> None:
    lines = [line for block in _blocks("README.md", "bash") for line in block.splitlines()]
    commands = [shlex.split(line.partition(" >")[0], comments=True) for line in lines if line.startswith("scdiffuse ")]
    assert len(commands) == 10
    codes = {shlex.join(words): run(words[1:]) for words in commands}
    assert set(codes.values()) == {0}, codes
    assert Path("demo/report.html").is_file()
