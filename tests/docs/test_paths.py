"""Every place in the code that a page names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import scdiffuse as scd

ROOT = Path(scd.__file__).parents[2]
FOLDERS = (ROOT / "docs", ROOT / "docs/record", ROOT / "docs/tutorials")
PAGES = sorted([*(page for folder in FOLDERS for page in folder.glob("*.md")), *ROOT.glob("*.md")])
PLACE = re.compile(r"`([\w./]+\.py):([\w.]+)`")


def _places(page: Path) -> list[tuple[str, str]]:
    return PLACE.findall(page.read_text())


def _names(tree: ast.Module) -> set[str]:
    """Names of functions, classes and assigned values, and of methods and fields with their class before them."""
    found = set()
    for node in tree.body:
        found |= _defined(node)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for part in node.body for name in _defined(part)}
    return found


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_places_in_the_code_exist(page: Path) -> None:
    wrong = []
    for path, name in _places(page):
        files = [file for file in (ROOT / "src/scdiffuse" / path, ROOT / path) if file.is_file()]
        if not files or name not in _names(ast.parse(files[0].read_text())):
            wrong.append(f"{path}:{name}")
    assert not wrong


def test_the_walks_through_the_code_name_places() -> None:
    assert len(_places(ROOT / "docs/life-of-a-cell.md")) >= 30
    assert len(_places(ROOT / "docs/architecture.md")) >= 9


def test_each_guarantee_names_a_test_that_holds_it() -> None:
    rows = [line for line in (ROOT / "docs/guarantees.md").read_text().splitlines() if line.startswith("| **")]
    assert len(rows) >= 10
    assert [row for row in rows if not re.search(r"`tests/[\w/]+\.py:test_\w+`", row)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_pages_link_to_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+\.(?:md|png))(?:#[\w-]+)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).is_file()] == []
