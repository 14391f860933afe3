"""Safety: text of a user's files stays text, and what is kept for one file never serves another."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import h5py
import pytest
from tests.app.conftest import Client

from scdiffuse._core.errors import ScdiffuseWarning, UserError
from scdiffuse.app._cell_sets import CellSet
from scdiffuse.app._errors import RefusedError
from scdiffuse.app._fit_work import Follow, finish_fit, fit
from scdiffuse.app._folders import Folders
from scdiffuse.app._http import finite
from scdiffuse.app._job import Job
from scdiffuse.app._jobs import JobQueue, Work
from scdiffuse.app._lines import Code, call
from scdiffuse.app._model_entry import ModelEntry
from scdiffuse.app._routes import open_model_path, open_path
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
def folders(simulated: ad.AnnData, tmp_path: Path) -> Folders:
    """A folder with cells and a model that are whole, and one with the same as links to files outside."""
    for name in ("named", "outside"):
        place = tmp_path / name
        (place / "set.zarr" / "X").mkdir(parents=True)
        (place / "model.scd").mkdir()
        (place / "tenx").mkdir()
        for file in ("set.zarr/X/0", "model.scd/config.json", "tenx/matrix.mtx", "tenx/genes.tsv"):
            (place / file).touch()
    simulated[:5].write_h5ad(tmp_path / "outside" / "shard-00000.h5ad")
    return Folders([tmp_path / "named"], uploads=tmp_path / "uploads")


@pytest.mark.parametrize("file", ["set.zarr/X", "set.zarr/X/0", "model.scd/config.json", "tenx/genes.tsv"])
def test_a_folder_whose_files_are_links_to_outside_is_refused(folders: Folders, file: str, tmp_path: Path) -> None:
    named, link = tmp_path / "named", tmp_path / "named" / file
    top = named / Path(file).parts[0]
    folders.require_inside(top)
    link.rename(named / "moved")
    link.symlink_to(named / "moved")
    (named / "moved-too").symlink_to(named)  # a circle
    folders.require_inside(top)
    link.unlink()
    link.symlink_to(tmp_path / "outside" / file)
    for path in (top, top / "matrix.mtx") if top.name == "tenx" else (top, named):
        with pytest.raises(RefusedError, match="leads outside of the folders named at the start"):
            folders.require_inside(path)


def test_a_shard_that_reads_another_file_is_refused(folders: Folders, tmp_path: Path) -> None:
    place = tmp_path / "named" / "shards"
    place.mkdir()
    (place / "shards.json").touch()
    (tmp_path / "outside" / "shard-00000.h5ad").rename(place / "shard-00000.h5ad")
    folders.require_inside(place)
    with h5py.File(place / "shard-00000.h5ad", "r+") as file:
        del file["obs/cell_type"]
        file["obs/cell_type"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
    with pytest.raises(RefusedError, match=r"'obs/cell_type' of 'shard-00000\.h5ad' lies in another file"):
        folders.require_inside(place)


def test_a_session_opens_no_cells_and_no_model_through_a_link(app: App, folders: Folders, tmp_path: Path) -> None:
    app.session.folders = folders
    for name, file in {"set.zarr": "X/0", "model.scd": "config.json"}.items():
        link = tmp_path / "named" / name / file
        link.unlink()
        link.symlink_to(tmp_path / "outside" / name / file)
    cells = open_path(app, tmp_path / "named" / "set.zarr", file="named/set.zarr")
    model = open_model_path(app, tmp_path / "named" / "model.scd", file="named/model.scd")
    for held in (cells, model):
        Client.until(lambda held=held: held.state, lambda state: state != "reading")
        assert "leads outside" in str(held.error)


def test_links_in_a_circle_and_endless_names_are_not_found(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "named" / "loop").symlink_to(tmp_path / "named" / "loop")
    names = [one["name"] for one in folders.list("named")["entries"]]
    assert names == ["model.scd", "set.zarr", "tenx"]
    for file in ("named/loop", "named/" + "x" * 300):
        with pytest.raises(RefusedError) as caught:
            folders.find(file)
        assert caught.value.status == 404


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


def _kept(tmp_path: Path, tree: object) -> Session:
    (tmp_path / "work").mkdir(exist_ok=True)
    (tmp_path / "work" / "session.json").write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return Session(tmp_path / "work", [tmp_path])


def test_what_another_version_has_kept_is_read_as_far_as_it_is_known(two: list[Path], tmp_path: Path) -> None:
    cells = CellSet(id="c1", kind="real", name="a", path=two[0]).to_saved()
    model = ModelEntry(id="m2", name="m", path=two[1]).to_saved()
    action = {"title": "Open", "lines": {"python": "c7 = f()"}, "new": 1}
    tree = {"cells": [cells | {"new": 1}, {"id": "c3"}], "models": [model | {"new": 1}, None], "actions": [action, 7]}
    with pytest.warns(
        ScdiffuseWarning, match=r"One of the (cells|models|actions) of the session cannot be read"
    ) as said:
        session = _kept(tmp_path, tree | {"new": 1})
    assert len(said) == 3
    assert (list(session.cells), list(session.models)) == (["c1"], ["m2"])
    assert [one.title for one in session.actions] == ["Open"]
    assert session.new_id("c") == "c8"
    session.close()


@pytest.mark.parametrize("text", ['{"cells": [{"id": "c5", ', "[]", "\x00"])
def test_a_damaged_session_is_kept_beside(tmp_path: Path, text: str) -> None:
    for name in ("session.json.damaged", "session-2.json.damaged"):
        with pytest.warns(ScdiffuseWarning, match=f"is damaged; .* kept as '{name}'"):
            session = _kept(tmp_path, text)
        assert (tmp_path / "work" / name).read_text() == text
        assert not session.cells
        session.close()


def test_the_folder_of_a_job_that_cannot_be_read_gets_no_other_job(tmp_path: Path) -> None:
    (tmp_path / "j4").mkdir()
    (tmp_path / "j4" / "job.json").write_text("{")
    (tmp_path / "notes").mkdir()
    queue = JobQueue(tmp_path, {"x": Work("light", lambda _: {})}, changed=lambda _: None)
    assert queue.add("x", title="X", body={}).id == "j5"


def test_half_a_character_is_refused_and_ends_no_answer(client: Client) -> None:
    for sent in (b'{"cells": "c1", "name": "\\ud800"}', b'{"cells": "c1", "name": "\xed\xa0\x80"}'):
        answer = client.http.post("/api/jobs", content=sent, headers={"content-type": "application/json"})
        assert answer.status_code == 422
        assert "can't encode" in answer.json()["error"]
    assert finite({"a\udcff": ["b\udcff"]}) == {"a?": ["b?"]}
