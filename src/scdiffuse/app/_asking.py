"""Requests for cells: checked before they wait, and carried out by the public methods of a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad

from scdiffuse._core.scalars import plain_scalar
from scdiffuse.app import _bodies as read
from scdiffuse.app._cell_sets import CellSet, Kind
from scdiffuse.app._errors import RefusedError
from scdiffuse.app._job import Job
from scdiffuse.app._lines import Code, Lines, call, option_pairs, shown_path, words
from scdiffuse.app._model_entry import as_labels
from scdiffuse.app._selections import select
from scdiffuse.app._session import Session

if TYPE_CHECKING:
    from scdiffuse.generator import CellGenerator, Guidance

__all__ = [
    "BATCH",
    "add_made",
    "check_asking",
    "coverage_of",
    "generate",
    "guidance_code",
    "guidance_options",
    "read_guidance",
]

CELLS_FILE = "cells.h5ad"
BATCH = 512
"""Cells computed at once: few, so that progress moves and a cancelled job ends soon. No cell depends on it."""


def check_asking(session: Session, kind: str, body: read.Body) -> str:
    """Check a request for cells as far as that takes no time, so that a mistake is told at once.

    Parameters
    ----------
    session
        Holds models and cells.
    kind
        ``"generate"``, ``"predict"``, ``"trajectory"`` or ``"augment"``.
    body
        What was sent.

    Returns
    -------
    A title for the job.
    """
    model = session.generator(read.text(body, "model"))
    read.whole(body, "seed", default=0)
    read_guidance(model, body)
    if kind == "generate":
        where = as_labels(model, read.mapping(body, "where"))
        n = read.whole(body, "n_cells", default=500, low=1, high=session.limits.max_generate)
        coverage_of(model, where)
        _library_size(body)
        return f"Generate {n:,} cells{_of(where)}"
    if kind == "augment":
        cells = session.get_cells(read.text(body, "cells"))
        return f"Augment {cells.name} by {read.text(body, 'by')}"
    to = as_labels(model, read.mapping(body, "to"))
    coverage_of(model, to)
    if not to:
        raise RefusedError(422, "`to` is empty; expected conditions to change, such as {'cell_type': 'B'}.")
    if body.get("cells") is None and kind == "trajectory":
        coverage_of(model, as_labels(model, read.mapping(body, "from")))
    else:
        select(session, body.get("cells"))
    if kind == "trajectory":
        read.whole(body, "n_states", default=10, low=2, high=50)
        read.number(body, "keep", default=0.5, low=0.0, high=1.0)
        return f"Trajectory to {_named(to)}"
    return f"Predict cells as {_named(to)}"


def _named(where: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in where.items() if value is not None)


def _of(where: Mapping[str, Any]) -> str:
    return f" of {named}" if (named := _named(where)) else ""


def read_guidance(model: CellGenerator, body: read.Body) -> Guidance:
    """Read the guidance of a request.

    Parameters
    ----------
    model
        The model.
    body
        ``guidance``, a number or one by condition, ``toward`` and ``away``, labels with or without a scale.
    """
    from scdiffuse.generator import Guidance

    scale = body.get("guidance")
    if scale is not None and not isinstance(scale, int | float | dict):
        raise RefusedError(422, f"`guidance` is {scale!r}; expected a number, or one for each condition.")
    targets = {}
    for name in ("toward", "away"):
        asked = read.mapping(body, name)
        if any(isinstance(one, list) and len(one) != 2 for one in asked.values()):
            raise RefusedError(422, f"`{name}` is {asked!r}; expected a label for each condition, or label and scale.")
        found = {key: tuple(one) if isinstance(one, list) else one for key, one in asked.items()}
        plain = as_labels(model, {key: one[0] if isinstance(one, tuple) else one for key, one in found.items()})
        targets[name] = {
            key: (plain[key], *one[1:]) if isinstance(one, tuple) else plain[key] for key, one in found.items()
        }
    return Guidance(1.0 if scale is None else scale, toward=targets["toward"] or None, away=targets["away"] or None)


def guidance_options(asked: Guidance) -> dict[str, Any]:
    """Write guidance as options of the command line."""
    scale = option_pairs(asked.scale) if isinstance(asked.scale, Mapping) else asked.scale
    found: dict[str, Any] = {"guidance": None if scale == 1.0 else scale}
    for name in ("toward", "away"):
        pairs = [
            f"{key}={one[0]}:{one[1]:g}" if isinstance(one, tuple) else f"{key}={one}"
            for key, one in (getattr(asked, name) or {}).items()
        ]
        found[name] = pairs or None
    return found


def guidance_code(asked: Guidance) -> object:
    """Write guidance as an argument in Python; `None` for the model as learnt."""
    if asked.toward or asked.away:
        scale = asked.scale if asked.scale != 1.0 else None
        given = [] if scale is None else [scale]
        return Code(call("", "scd.Guidance", *given, toward=asked.toward, away=asked.away))
    return None if asked.scale == 1.0 else asked.scale


def coverage_of(model: CellGenerator, where: Mapping[str, Any]) -> dict[str, Any] | None:
    """Look up the training coverage of a request; `None` where the model has no conditions to ask for.

    Parameters
    ----------
    model
        The model.
    where
        Conditions with the labels of the model.
    """
    asked = {name: value for name, value in where.items() if value is not None}
    if not asked:
        return None
    found = model.support(asked)
    return {
        "n_cells": found.n_cells,
        "is_unseen": found.is_unseen,
        "text": str(found),
        "marginals": dict(found.marginals),
        "nearest": found.nearest.astype(object).map(plain_scalar).to_dict(orient="records"),
    }


def add_made(session: Session, job: Job, made: ad.AnnData, *, id_: str, kind: Kind, name: str, lines: Lines) -> CellSet:
    """Keep cells that a job has made in its folder, and add them to the session.

    Parameters
    ----------
    session
        Where to add them.
    job
        Its folder gets the file.
    made
        The cells.
    id_
        Their id, a new one, which `lines` name.
    kind
        What they are.
    name
        What the page calls them.
    lines
        How to make them.
    """
    path = job.folder / CELLS_FILE
    made.write_h5ad(path)
    origin = {"model": job.body.get("model"), "job": job.id, "where": job.body.get("where") or job.body.get("to")}
    cells = CellSet(id=id_, kind=kind, name=name, path=path, origin=origin, lines=lines)
    job.lines = lines
    session.record(job.title, lines)
    return session.add_cells(cells, made)


def generate(session: Session, job: Job) -> dict[str, Any]:
    """Generate cells.

    Parameters
    ----------
    session
        Holds the model.
    job
        What is asked for.
    """
    body = job.body
    entry = session.get_model(body["model"])
    model = session.generator(entry.id)
    where, guidance = as_labels(model, read.mapping(body, "where")), read_guidance(model, body)
    n, seed = read.whole(body, "n_cells", default=500, low=1), read.whole(body, "seed", default=0)
    steps = None if body.get("solver_steps") is None else read.whole(body, "solver_steps", low=1, high=1_000)
    size = _library_size(body)
    made = model.generate(
        n,
        where=where or None,
        guidance=guidance,
        seed=seed,
        library_size=size,
        solver_steps=steps,
        batch_size=BATCH,
        progress=False,
    )
    assert isinstance(made, ad.AnnData)
    id_ = session.new_id("g")
    python = call(
        id_, f"{entry.id}.generate", n, where=where or None, guidance=guidance_code(guidance), seed=seed,
        library_size=size, solver_steps=steps,
    )  # fmt: skip
    sizes = None if size is None else ",".join(f"{one:g}" for one in (size if isinstance(size, tuple) else (size,)))
    command = words(
        "generate", shown_path(Path(entry.path)), n_cells=n, where=option_pairs(where) or None,
        **guidance_options(guidance), library_size=sizes, solver_steps=steps, seed=seed, path=f"{id_}.h5ad",
    )  # fmt: skip
    title = f"{n:,} {_named(where) or 'generated'}"
    cells = add_made(session, job, made, id_=id_, kind="generated", name=title, lines=Lines(python, command))
    found = coverage_of(model, where) or {"text": "Conditions follow the training cells.", "is_unseen": False}
    return {"cells": cells.id, **found}


def _library_size(body: read.Body) -> int | tuple[float, float] | None:
    size = body.get("library_size")
    if size is None:
        return None
    pair: list[Any] = size if isinstance(size, list) else [size]
    if not 1 <= len(pair) <= 2 or not all(isinstance(one, int | float) and 0 < one < math.inf for one in pair):
        raise RefusedError(422, f"`library_size` is {size!r}; expected a number above 0, or mean and deviation.")
    return (float(pair[0]), float(pair[1])) if len(pair) == 2 else round(pair[0])
