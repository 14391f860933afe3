"""Safety: text of a user's files stays text, and what is kept for one file never serves another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import pytest

from scdiffuse.app._lines import Code, call
from scdiffuse.app._routes import open_path
from scdiffuse.app._works import App


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    held = App(tmp_path / "work", [tmp_path])
    yield held
    held.close()


def test_text_that_looks_like_code_is_written_as_text() -> None:
    assert call("", "f", "=exit()", Code("c1"), name="=1") == "f('=exit()', c1, name='=1')"


def test_names_of_files_and_layers_never_become_code(app: App, simulated: ad.AnnData, tmp_path: Path) -> None:
    path = tmp_path / '=exit("by a name").h5ad'
    simulated[:5].write_h5ad(path)
    for layer in (None, '=exit("by a layer")'):
        lines = open_path(app, path, file=None, layer=layer).lines
        names = {one.func.id for one in ast.walk(ast.parse(lines.python)) if isinstance(one, ast.Call)
                 and isinstance(one.func, ast.Name)}  # fmt: skip
        assert names <= {"read_cells"}
