"""Safety: text of a user's files stays text, and what is kept for one file never serves another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import pytest

from scdiffuse._core.errors import UserError
from scdiffuse.app._fit_work import Follow, finish_fit, fit
from scdiffuse.app._job import Job
from scdiffuse.app._lines import Code, call
from scdiffuse.app._routes import open_path
from scdiffuse.app._session import Session
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


@pytest.fixture
def two(simulated: ad.AnnData, tmp_path: Path) -> list[Path]:
    """Two files of cells."""
    paths = [tmp_path / "a.h5ad", tmp_path / "b.h5ad"]
    for path in paths:
        simulated[:5].write_h5ad(path)
    return paths


def test_an_id_is_never_given_twice_even_where_the_session_is_lost(two: list[Path], tmp_path: Path) -> None:
    first = App(tmp_path / "work", two[:1])
    assert open_path(first, two[0], file=None).id == "c1"
    first.session.new_id("d")
    first.session.save()
    first.close()
    second = App(tmp_path / "work", two[1:])
    assert not second.session.cells
    assert open_path(second, two[1], file=None).id == "c3"
    folder = tmp_path / "work" / "jobs" / "j1"
    Job(id="j1", kind="fit", title="Fit", folder=folder, body={"cells": "c8"}, state="done").save()
    second.close()
    (tmp_path / "work" / "session.json").unlink()
    third = Session(tmp_path / "work", two)
    assert third.new_id("c") == "c9"
    third.close()


def test_a_fit_goes_on_with_the_cells_that_it_was_started_on_and_no_others(
    app: App, two: list[Path], tmp_path: Path
) -> None:
    a = open_path(app, two[0], file=None)
    folder = tmp_path / "work" / "jobs" / "j1"
    job = Job(id="j1", kind="fit", title="Fit a", folder=folder, body={"cells": a.id, "source": a.source})
    job.save()
    app.session.cells.clear()
    app.session.cells[a.id] = open_path(app, two[1], file=None)  # another file under the id of the first
    with pytest.raises(UserError, match=r"was started on '.*a\.h5ad', which is not open"):
        fit(app.session, job, Follow(lambda _: None, lambda: False))
    model = finish_fit(app.session, job)["model"]
    assert (app.session.models[model].name, app.session.models[model].cells) == ("a", None)
    again, job.result = open_path(app, two[0], file=None), None
    model = finish_fit(app.session, job)["model"]
    assert app.session.models[model].cells == again.id
