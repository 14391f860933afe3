"""Fits, as processes of the command line that outlive the server."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from scdiffuse._core.errors import UserError
from scdiffuse.app import _bodies as read
from scdiffuse.app._cell_sets import CellSet
from scdiffuse.app._errors import RefusedError
from scdiffuse.app._job import CancelledError, Job
from scdiffuse.app._lines import Code, Lines, call, shown_path
from scdiffuse.app._model_entry import ModelEntry
from scdiffuse.app._runner import COMMANDS, EXIT, LOG, is_running
from scdiffuse.app._saved import read_json, write_json
from scdiffuse.app._session import Session

__all__ = ["FIT_CELLS", "HELD_OUT", "Follow", "check_fit", "finish_fit", "fit", "fit_code"]

MODEL, PARTS, LABELS, PROGRESS = "model.scd", "cells", "labels.csv", "progress.jsonl"
FIT_CELLS, HELD_OUT = f"{PARTS}/fit.h5ad", f"{PARTS}/held_out.h5ad"
_STOPPED = 130
_QUICK_EPOCHS = 20
_FEWEST_HELD_OUT = 80
_SECONDS_BETWEEN_LOOKS = 0.25
_RAW = "raw.X"
_LEFT: list[subprocess.Popen[bytes]] = []
"""Runners that outlive the server: Python warns of processes that are forgotten while they run."""


class Follow(NamedTuple):
    """What a fit that is followed needs of the queue."""

    changed: Callable[[Job], None]
    is_closed: Callable[[], bool]
    """Whether the server ends; the fit then goes on by itself."""


def check_fit(session: Session, body: read.Body) -> str:
    """Check a request for a fit, and return a title for the job.

    Parameters
    ----------
    session
        Holds the cells.
    body
        What was sent.
    """
    cells = session.get_cells(read.text(body, "cells"))
    known = list(map(str, session.adata(cells.id).obs.columns))
    for name in [*read.texts(body, "conditions"), *read.texts(body, "continuous")]:
        if name not in known:
            raise RefusedError(422, f"{name!r} is not a column of {cells.name}; expected one of {known}.")
    if cells.inspect is not None and not cells.inspect.get("fittable"):
        raise RefusedError(422, f"No model can be fitted to {cells.name}: its problems are listed beside it.")
    share = read.number(body, "hold_out", default=0.0, low=0.0, high=0.9)
    if share and share * cells.n_cells < _FEWEST_HELD_OUT:
        msg = f"`hold_out` leaves {int(share * cells.n_cells)} of {cells.n_cells:,} cells to evaluate with; expected at"
        raise RefusedError(422, f"{msg} least {_FEWEST_HELD_OUT}. Hold out a larger fraction, or none.")
    read.whole(body, "seed", default=0)
    _max_epochs(body)
    return f"Fit {read.optional_text(body, 'name') or cells.name}"


def _max_epochs(body: read.Body) -> int | None:
    if body.get("max_epochs") is not None:
        return read.whole(body, "max_epochs", low=1, high=100_000)
    return _QUICK_EPOCHS if read.flag(body, "quick") else None


def _started_on(session: Session, body: read.Body) -> CellSet | None:
    """Find the cells that a fit was started on: those of its id, or else those of the same source."""
    source = body.get("source")
    if source is None:
        return session.cells.get(body["cells"])
    held = sorted(session.cells.copy().values(), key=lambda one: one.id != body["cells"])
    return next((one for one in held if one.source == source), None)


def _cells_of(session: Session, body: read.Body) -> CellSet:
    """Return the cells that a fit was started on, and refuse all others."""
    found, source = _started_on(session, body), body.get("source")
    if found is None and source is not None:
        msg = f"The fit was started on {source['path']!r}, which is not open as it was then; expected the same file."
        raise UserError(msg + " Open it, mended in the same way, and resume the fit; or start a new fit.")
    return session.get_cells(body["cells"] if found is None else found.id)


def _commands(session: Session, job: Job) -> list[list[str]]:
    """Write the commands of a fit: first the split, if cells are held out, then the fit, which resumes itself."""
    body, folder = job.body, job.folder
    cells = _cells_of(session, body)
    share, seed = (
        read.number(body, "hold_out", default=0.0, low=0.0, high=0.9),
        str(read.whole(body, "seed", default=0)),
    )
    conditions, continuous = read.texts(body, "conditions"), read.texts(body, "continuous")
    place = ["--use-raw"] if cells.layer == _RAW else ["--layer", cells.layer] if cells.layer else []
    place += ["--round"] if cells.round_counts else []
    if cells.renamed:
        folder.mkdir(parents=True, exist_ok=True)
        session.whole_obs(cells)[list(cells.renamed)].to_csv(folder / LABELS)
        place += ["--obs", str(folder / LABELS)]
    commands, given = [], str(cells.path)
    if share:
        by = [word for name in conditions for word in ("--by", name)]
        parts = [f"{1 - share:.6g}", "0", f"{share:.6g}"]
        output = ["-o", str(folder / PARTS)]
        commands.append(["split", given, *output, *by, "--fractions", *parts, *place, "--seed", seed, "--overwrite"])
        given, place = str(folder / FIT_CELLS), []
    named = [word for name in conditions for word in ("--condition", name)]
    named += [word for name in continuous for word in ("--continuous", name)]
    epochs = _max_epochs(body)
    most = [] if epochs is None else ["--max-epochs", str(epochs)]
    log = ["--log", str(folder / PROGRESS), "--no-progress", "--resume"]
    commands.append(["fit", given, "-o", str(folder / MODEL), *named, *place, *most, "--seed", seed, *log])
    return commands


def _lines(session: Session, job: Job, commands: list[list[str]]) -> Lines:
    """Write a fit for a person, without what the app needs to follow it."""
    body, folder = job.body, job.folder
    cells = _cells_of(session, body)
    hidden = {"--no-progress", "--resume", "--overwrite"}
    typed = []
    for command in commands:
        kept = [word for word in command if word not in hidden]
        if "--log" in kept:
            at = kept.index("--log")
            kept = kept[:at] + kept[at + 2 :]
        typed.append(shlex.join(["scdiffuse", *(_shown(one, folder) if one.startswith("/") else one for one in kept)]))
    share, seed = body.get("hold_out") or 0.0, body.get("seed") or 0
    conditions, continuous = body.get("conditions") or [], body.get("continuous") or None
    given, python = Code(cells.id), []
    if share:
        fractions = (round(1 - share, 6), 0.0, share)
        python.append(call(_parts(folder), "scd.split", given, by=conditions or None, fractions=fractions, seed=seed))
        given = Code(f"{_parts(folder)}.fit")
    made = call("", "scd.CellGenerator", given, conditions=conditions, continuous=continuous)
    python.append(call("model", f"{made}.fit", _shown(folder / MODEL, folder), max_epochs=_max_epochs(body), seed=seed))
    return Lines("\n".join(python), "\n".join(typed))


def _shown(path: str | Path, folder: Path) -> str:
    """Write a path as a user would type it; what a fit writes is shown in the current folder, by the id of its job."""
    for own, name in ((folder / MODEL, f"{folder.name}.scd"), (folder / PARTS, f"{folder.name}_{PARTS}")):
        if Path(path).is_relative_to(own):
            return str(Path(name) / Path(path).relative_to(own))
    return shown_path(Path(path))


def _parts(folder: Path) -> str:
    """Name the cells that the fit of a folder splits, in Python."""
    return f"parts_{folder.name}"


def fit_code(path: Path) -> str:
    """Name the cells of a fit in Python.

    Parameters
    ----------
    path
        Their file in the folder of the job, `FIT_CELLS`.
    """
    return f"{_parts(path.parents[1])}.fit"


def fit(session: Session, job: Job, follow: Follow) -> None:
    """Start a fit, or find the one that runs, and follow it to its end.

    Parameters
    ----------
    session
        Holds the cells.
    job
        What is asked for.
    follow
        Tells of progress, and of the end of the server.
    """
    folder = job.folder
    runner: subprocess.Popen[bytes] | None = None
    begin = 0
    if not (folder / EXIT).is_file() and not is_running(folder):
        commands = _commands(session, job)
        if not job.lines.python:
            job.lines = _lines(session, job, commands)
        if (folder / HELD_OUT).is_file():  # a fit that goes on has its cells already
            commands = commands[-1:]
        write_json(folder / COMMANDS, commands)
        job.save()
        begin = (folder / LOG).stat().st_size if (folder / LOG).is_file() else 0
        runner = subprocess.Popen(
            [sys.executable, "-m", "scdiffuse.app._runner", str(folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    tail = _Tail(folder)
    while not (folder / EXIT).is_file():
        if follow.is_closed():
            _LEFT.extend([runner] if runner is not None else [])
            raise CancelledError
        has_ended = runner.poll() is not None if runner is not None else not is_running(folder)
        if has_ended and not (folder / EXIT).is_file():
            msg = "The process of the fit was ended from outside. Resume it: what it has saved is kept."
            raise UserError(msg)
        if tail.read(job):
            follow.changed(job)
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    tail.read(job)
    if runner is not None:
        runner.wait()
    code = read_json(folder / EXIT)["code"]
    if code == _STOPPED or (code and job.cancel.is_set()):
        raise CancelledError
    if code:
        raise UserError(_why(code, (folder / LOG).read_bytes()[begin:].decode("utf-8", errors="replace")))


def _why(code: int, log: str) -> str:
    """Say why a fit ended, by its exit code and what it has printed."""
    if code < 0:
        return "The system ended the fit, mostly as memory ran out. Resume it: what it has saved is kept."
    _, found, said = log.rpartition("Error: ")
    return said.strip()[-2_000:] if found else f"The fit ended with exit code {code}."


class _Tail:
    """Reads what a fit adds to its files."""

    def __init__(self, folder: Path) -> None:
        self._files = {name: (folder / name, 0) for name in (PROGRESS, LOG)}

    def read(self, job: Job) -> bool:
        """Take in new lines, and return whether there were any."""
        found = {name: self._new_lines(name) for name in self._files}
        for line in found[PROGRESS]:
            job.hear(json.loads(line))
        job.say("\n".join(found[LOG]))
        return any(found.values())

    def _new_lines(self, name: str) -> list[str]:
        path, begin = self._files[name]
        if not path.is_file() or path.stat().st_size <= begin:
            return []
        with path.open("rb") as file:
            file.seek(begin)
            whole, newline, _ = file.read().rpartition(b"\n")  # the last line may be half written
        self._files[name] = (path, begin + len(whole) + len(newline))
        return whole.decode("utf-8", errors="replace").splitlines()


def finish_fit(session: Session, job: Job) -> dict[str, Any]:
    """Open the model of a fit that is done, and the cells held out of it.

    Parameters
    ----------
    session
        Where to open them.
    job
        The fit.

    Returns
    -------
    ``model`` and ``held_out``.
    """
    if job.result is not None:
        return job.result
    title, held_out = job.title.removeprefix("Fit "), None
    model = session.new_id("m")
    if (job.folder / HELD_OUT).is_file():
        path = job.folder / HELD_OUT
        id_ = session.new_id("h")
        lines = Lines(f"{id_} = {_parts(job.folder)}.held_out")
        kept = CellSet(id=id_, kind="real", name=f"{title}, held out", path=path, lines=lines)
        kept.origin = {"model": model, "job": job.id, "where": None}
        held_out = session.add_cells(kept).id
    lines = Lines(call(model, "scd.load", _shown(job.folder / MODEL, job.folder)))
    session.record(job.title, job.lines)
    session.record(f"Open the model {title}", lines)
    if held_out is not None:
        session.record(f"Open the cells held out of {title}", session.cells[held_out].lines)
    entry = ModelEntry(id=model, name=title, path=job.folder / MODEL, lines=lines)
    cells = _started_on(session, job.body)
    entry.cells, entry.held_out = (cells.id if cells else None), held_out
    session.add_model(entry)
    return {"model": model, "held_out": held_out}
