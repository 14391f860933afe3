"""The addresses of the app: what each does with a request, in a line or a few."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, Response
from starlette.routing import Route

from scdiffuse import __version__
from scdiffuse._core.files import replaced_file
from scdiffuse.app import _bodies as read
from scdiffuse.app._asking import coverage_of
from scdiffuse.app._cell_sets import CellSet, gene_values, read_column
from scdiffuse.app._errors import RefusedError
from scdiffuse.app._evaluation import REPORT
from scdiffuse.app._http import Asked, Handler, binary, download, endpoint
from scdiffuse.app._lines import IMPORTS, Lines, call, notebook, shown_path, words
from scdiffuse.app._mends import read_renamed
from scdiffuse.app._model_entry import ModelEntry, as_labels
from scdiffuse.app._selections import differential, dot_plot, search_genes
from scdiffuse.app._works import App

__all__ = ["api_routes"]

BUNDLED = "pbmc68k"
_MOST_DIGITS = 18
_WRITING = threading.Lock()
"""Of files to download: one is written at a time."""
_REPORT_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"


def api_routes(app: App) -> list[Route]:
    """List all addresses below ``api/``, but for uploads and events.

    Parameters
    ----------
    app
        What they work with.
    """
    answers: list[tuple[str, str, Handler, int]] = [
        ("GET", "session", lambda _: describe_session(app), 200),
        ("GET", "files", lambda asked: app.session.folders.list(asked.query.get("folder", "")), 200),
        ("GET", "changes", lambda asked: changes_since(app, asked), 200),
        ("POST", "cells", lambda asked: open_cells(app, asked), 202),
        ("GET", "cells/{id}", lambda asked: _known(app.session.cells, asked.path["id"]).to_json(), 200),
        ("DELETE", "cells/{id}", lambda asked: _forget(app, asked), 200),
        ("GET", "cells/{id}/column", lambda asked: _column(app, asked), 200),
        ("GET", "cells/{id}/gene", lambda asked: _gene(app, asked), 200),
        ("GET", "cells/{id}/download", lambda asked: _download_cells(app, asked), 200),
        ("GET", "genes", lambda asked: _genes(app, asked), 200),
        ("GET", "map", lambda asked: app.maps.describe(asked.need("frame")), 200),
        ("GET", "map/points", lambda asked: _points(app, asked), 200),
        ("POST", "differential", lambda asked: differential(app.session, asked.body), 200),
        ("POST", "dotplot", lambda asked: dot_plot(app.session, asked.body), 200),
        ("GET", "tables/{id}.csv", lambda asked: _table(app, asked), 200),
        ("POST", "models", lambda asked: open_model(app, asked), 202),
        ("GET", "models/{id}", lambda asked: _known(app.session.models, asked.path["id"]).to_json(), 200),
        ("GET", "models/{id}/coverage", lambda asked: _coverage(app, asked), 200),
        ("POST", "models/{id}/support", lambda asked: _support(app, asked), 200),
        ("GET", "models/{id}/download", lambda asked: _download_model(app, asked), 200),
        ("POST", "jobs", lambda asked: app.add_job(asked.body).to_json(), 202),
        ("GET", "jobs", lambda _: {"jobs": [job.to_json() for job in list(app.queue.jobs.values())]}, 200),
        ("GET", "jobs/{id}", lambda asked: app.queue.get(asked.path["id"]).to_json(), 200),
        ("POST", "jobs/{id}/cancel", lambda asked: app.queue.cancel(asked.path["id"]).to_json(), 200),
        ("POST", "jobs/{id}/resume", lambda asked: app.queue.resume(asked.path["id"]).to_json(), 200),
        ("GET", "jobs/{id}/report", lambda asked: _report(app, asked), 200),
        ("GET", "notebook", lambda _: _notebook(app), 200),
        ("GET", "script", lambda _: _script(app), 200),
    ]
    return [Route(f"/api/{path}", endpoint(run, status=code), methods=[method]) for method, path, run, code in answers]


def _forget(app: App, asked: Asked) -> dict[str, Any]:
    app.session.forget_cells(asked.path["id"])
    return {}


def _known(held: dict[str, Any], name: str) -> Any:  # noqa: ANN401 - a set of cells or a model
    if name not in held:
        raise RefusedError(404, f"There is no {name!r}.")
    return held[name]


def describe_session(app: App) -> dict[str, Any]:
    """Return all that a page needs to begin."""
    session = app.session
    limits = session.limits
    return {
        "version": __version__,
        "now": session.changes.now,
        "roots": [{"name": root.name, "path": str(root.path)} for root in session.folders.roots],
        "uploads": {"name": "uploads", "max_bytes": limits.max_upload},
        "limits": {
            "max_generate": limits.max_generate,
            "max_shown": limits.max_shown,
            "max_genes_at_once": 12,
            "max_queue": 20,
        },
        "start": session.start,
        "bundled": {"name": BUNDLED, "title": "700 blood cells (bundled example data)"},
        "cells": [one.to_json() for one in list(session.cells.values())],
        "models": [one.to_json() for one in list(session.models.values())],
        "jobs": [one.to_json() for one in list(app.queue.jobs.values())],
    }


def changes_since(app: App, asked: Asked) -> dict[str, Any]:
    """Return what has changed since a number."""
    text = asked.query.get("since", "0")
    if not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise RefusedError(422, f"`since` is {text!r}; expected a number that this address returned.")
    now, found = app.session.changes.now, app.session.changes.since(int(text))
    answer: dict[str, Any] = {"now": now, "jobs": [], "cells": [], "models": [], "maps": []}
    for kind, name in found:
        tree = app.describe(kind, name)
        if tree is not None:
            answer[{"job": "jobs", "cells": "cells", "model": "models", "map": "maps"}[kind]].append(tree)
    return answer


def open_cells(app: App, asked: Asked) -> dict[str, Any]:
    """Open a file of cells, as it is or mended."""
    session, body = app.session, asked.body
    if body.get("bundled") is not None:
        return _open_bundled(app, body)
    from scdiffuse.generator import holds_cells

    before = session.cells.get(read.optional_text(body, "from") or "")
    file = before.file if before is not None and before.file else read.text(body, "file")
    path = session.folders.find(file)

    if not holds_cells(path):
        raise RefusedError(422, f"{file!r} holds no cells; expected such as a .h5ad file. A model is opened as one.")
    renamed = read_renamed(read.mapping(body, "labels"), before.renamed if before else {})
    layer = read.optional_text(body, "layer") if before is None or "layer" in body else before.layer
    rounded = read.flag(body, "round") or (before is not None and before.round_counts)
    return open_path(app, path, file=file, layer=layer, round_counts=rounded, renamed=renamed).to_json()


def open_path(
    app: App,
    path: Path,
    *,
    file: str | None,
    layer: str | None = None,
    round_counts: bool = False,
    renamed: dict[str, dict[str, str | None]] | None = None,
) -> CellSet:
    """Add the cells of a path to the session."""
    session = app.session
    session.require_room()
    id_ = session.new_id("c")
    shown = shown_path(path)
    python = call(id_, "ad.read_h5ad", shown)
    if layer is not None or round_counts or path.suffix != ".h5ad":
        named = {"layer": layer, "round_counts": round_counts or None}
        python = "from scdiffuse.cells import read_cells\n" + call(id_, "read_cells", shown, **named)
    for name, labels in (renamed or {}).items():
        text = f"{id_}.obs[{name!r}].astype(object).map(str, na_action='ignore')"
        python += f"\n{id_}.obs[{name!r}] = {text}.replace({labels!r})"
    cells = CellSet(id=id_, kind="real", name=path.name, path=path, file=file, layer=layer, round_counts=round_counts)
    cells.renamed = renamed or {}
    cells.lines = Lines(python, words("inspect", shown))
    session.record(f"Open {path.name}", cells.lines)
    return session.add_cells(cells)


def _open_bundled(app: App, body: read.Body) -> dict[str, Any]:
    """Open the cells that come with the installation, as a file of the session that a fit can read."""
    if body["bundled"] != BUNDLED:
        raise RefusedError(422, f"{body['bundled']!r} is not bundled; expected {BUNDLED!r}.")
    path = app.session.folders.uploads / f"{BUNDLED}.h5ad"
    if not path.is_file():
        from scdiffuse import datasets

        path.parent.mkdir(parents=True, exist_ok=True)
        datasets.pbmc68k().write_h5ad(path)
    return open_path(app, path, file=f"uploads/{path.name}").to_json()


def open_model(app: App, asked: Asked) -> dict[str, Any]:
    """Open the folder of a model."""
    file = read.text(asked.body, "file")
    return open_model_path(app, app.session.folders.find(file), file=file).to_json()


def open_model_path(app: App, path: Path, *, file: str | None) -> ModelEntry:
    """Add the model of a folder to the session."""
    session = app.session
    session.require_room()
    id_ = session.new_id("m")
    lines = Lines(call(id_, "scd.load", shown_path(path)), words("inspect", shown_path(path)))
    session.record(f"Open the model {path.name}", lines)
    return session.add_model(ModelEntry(id=id_, name=path.name, path=path, file=file, lines=lines))


def _column(app: App, asked: Asked) -> Response:
    return binary(read_column(app.session.adata(asked.path["id"]).obs, asked.need("name")))


def _gene(app: App, asked: Asked) -> Response:
    adata = app.session.adata(asked.path["id"])
    return binary(gene_values(adata, asked.need("name"), scale=asked.query.get("scale", "log1p")))


def _genes(app: App, asked: Asked) -> dict[str, Any]:
    return {"genes": search_genes(app.session, asked.need("cells"), asked.query.get("q", ""))}


def _points(app: App, asked: Asked) -> Response:
    return binary(app.maps.points(asked.need("frame"), asked.need("cells"), asked.query.get("method", "pca")).ravel())


def _table(app: App, asked: Asked) -> Response:
    table = app.session.tables.get(asked.path["id"])
    if table is None:
        raise RefusedError(404, f"The table {asked.path['id']!r} is no longer kept. Compute it again.")
    return download(table.to_csv(), f"{asked.path['id']}.csv", "text/csv; charset=utf-8")


def _coverage(app: App, asked: Asked) -> dict[str, Any]:
    from scdiffuse.generator import coverage_table

    columns = asked.query.get("columns") or None
    table = coverage_table(app.session.generator(asked.path["id"]), asked.need("rows"), columns)
    labels = {"name": columns, "labels": [_short(one) for one in table.columns]} if columns else None
    rows = {"name": asked.query["rows"], "labels": [_short(one) for one in table.index]}
    return {"rows": rows, "columns": labels, "n": table.to_numpy().astype(int).tolist()}


def _short(label: object) -> str:
    return f"{label:g}" if isinstance(label, float) else str(label)


def _support(app: App, asked: Asked) -> dict[str, Any]:
    model = app.session.generator(asked.path["id"])
    found = coverage_of(model, as_labels(model, read.mapping(asked.body, "where")))
    return found or {
        "n_cells": None,
        "is_unseen": False,
        "text": "Nothing is asked for.",
        "marginals": {},
        "nearest": [],
    }


def _download_cells(app: App, asked: Asked) -> Response:
    """Send the file of a set, or the cells that are shown of a user's own."""
    cells = app.session.get_cells(asked.path["id"])
    path = cells.path
    if cells.file is not None:
        path = app.session.folder / "shown" / f"{cells.id}.h5ad"
        with _WRITING, replaced_file(path) as partial:
            app.session.adata(cells.id).write_h5ad(partial)
    return FileResponse(path, filename=f"{cells.id}.h5ad", media_type="application/octet-stream")


def _download_model(app: App, asked: Asked) -> Response:
    """Send the files of a model as an archive."""
    from scdiffuse._core.folders import MODEL, current

    entry = app.session.get_model(asked.path["id"])
    path = app.session.folder / "shown" / f"{entry.id}.zip"
    with _WRITING, replaced_file(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(MODEL.files(entry.path) or ()):
            if (file := current(entry.path, name)).is_file():
                archive.write(file, f"{entry.id}.scd/{name}")
    return FileResponse(path, filename=f"{entry.id}.scd.zip", media_type="application/zip")


def _report(app: App, asked: Asked) -> Response:
    path = app.queue.get(asked.path["id"]).folder / REPORT
    if not path.is_file():
        raise RefusedError(404, "The job has written no report.")
    headers = {"content-security-policy": _REPORT_POLICY, "x-frame-options": "SAMEORIGIN"}
    return Response(path.read_bytes(), media_type="text/html; charset=utf-8", headers=headers)


def _notebook(app: App) -> Response:
    text = notebook(app.session.actions, version=__version__)
    return download(text, "session.ipynb", "application/x-ipynb+json")


def _script(app: App) -> dict[str, str]:
    lines = [action.lines for action in app.session.actions]
    python = "\n".join([IMPORTS, *(one.python for one in lines if one.python)])
    return {"python": python, "command": "\n".join(one.command for one in lines if one.command)}
