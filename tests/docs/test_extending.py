"""The page on extending is applied to a copy of the package, and its examples run there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import scdiffuse as scd

ROOT = Path(scd.__file__).parents[2]
PAGE = (ROOT / "docs/extending.md").read_text()
SECTION = re.compile(r"^## An? (\w+)\n(.*?)(?=^## |\Z)", flags=re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(python|diff)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
ADDITIONS = ["likelihood", "solver", "guide", "metric", "command"]


class Section(NamedTuple):
    """What one section of the page does."""

    files: dict[str, str]
    """New files by their path, with their text."""
    changes: dict[str, list[tuple[str, str]]]
    """Texts to replace in files that are there, by path, with their new text."""
    examples: list[str]


def _read(text: str) -> Section:
    found = Section({}, {}, [])
    for language, block in BLOCK.findall(text):
        first, _, rest = block.partition("\n")
        if language == "diff":
            found.changes[first.removeprefix("--- ")] = list(_hunks(rest))
        elif first.startswith("# src/"):
            found.files[first.removeprefix("# ")] = rest
        else:
            found.examples.append(block)
    return found


def _hunks(diff: str) -> Iterator[tuple[str, str]]:
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines()
        assert all(line[0] in " -+" for line in lines)
        yield (
            "".join(f"{line[1:]}\n" for line in lines if line[0] != "+"),
            "".join(f"{line[1:]}\n" for line in lines if line[0] != "-"),
        )


SECTIONS = {name: _read(text) for name, text in SECTION.findall(PAGE)}


def test_the_page_adds_one_of_each() -> None:
    assert list(SECTIONS) == ADDITIONS


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_touches_as_many_files_as_the_table_says(name: str) -> None:
    section = SECTIONS[name]
    row = next(line.split("|")[1:-1] for line in PAGE.splitlines() if line.startswith(f"| {name} |"))
    new, registry, n_files = (cell.strip(" `") for cell in row[1:])
    assert list(section.files) == [f"src/scdiffuse/{new}"]
    assert list(section.changes) == [f"src/scdiffuse/{registry}"]
    assert len(section.files) + len(section.changes) == int(n_files) <= 2


@pytest.mark.parametrize("name", ADDITIONS)
def test_the_registry_is_as_the_page_has_it(name: str) -> None:
    for path, hunks in SECTIONS[name].changes.items():
        text = (ROOT / path).read_text()
        assert [text.count(before) for before, _ in hunks] == [1] * len(hunks)


def test_the_examples_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src")
    for section in SECTIONS.values():
        for path, text in section.files.items():
            assert not (tmp_path / path).exists()
            (tmp_path / path).write_text(text)
        for path, hunks in section.changes.items():
            changed = (tmp_path / path).read_text()
            for before, after in hunks:
                changed = changed.replace(before, after)
            (tmp_path / path).write_text(changed)
    there = f"import scdiffuse\nassert scdiffuse.__file__.startswith({str(tmp_path)!r})\n"
    examples = [example for section in SECTIONS.values() for example in section.examples]
    assert len(examples) == len(ADDITIONS)
    (tmp_path / "examples.py").write_text("\n".join([there, *examples]))
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src"), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:scdiffuse", "examples.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "CD74" in done.stdout.split()
