"""Verdicts on generated cells, beside real ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anndata as ad
import numpy as np

from scdiffuse.app import _bodies as read
from scdiffuse.app._cell_sets import CellSet
from scdiffuse.app._errors import RefusedError
from scdiffuse.app._fit_work import FIT_CELLS, fit_code
from scdiffuse.app._job import CancelledError, Job
from scdiffuse.app._lines import Code, Lines, call, shown_path, words
from scdiffuse.app._selections import code_of, is_file
from scdiffuse.app._session import Session

if TYPE_CHECKING:
    from scdiffuse.evaluation import Report, Verdict

__all__ = ["REPORT", "check_evaluation", "evaluate_cells"]

T = TypeVar("T")
REPORT = "report.html"
_PATIENCE = 120.0


def check_evaluation(session: Session, body: read.Body) -> str:
    """Check a request for an evaluation, and return a title for the job.

    Parameters
    ----------
    session
        Holds cells and models.
    body
        What was sent.
    """
    real = read.text(body, "real")
    held = session.cells.get(real)
    if held is None or held.kind != "real":
        raise RefusedError(422, f"`real` is {real!r}; expected real cells, such as those held out of a fit.")
    generated, model = read.optional_text(body, "generated"), read.optional_text(body, "model")
    if generated is None and model is None:
        raise RefusedError(422, "Neither `generated` nor `model` is given; expected one of them.")
    if generated is not None:
        return f"Evaluate {session.get_cells(generated).name}"
    if model not in session.models:
        raise RefusedError(404, f"There is no model {model!r}.")
    return f"Evaluate {session.models[model].name}"


def evaluate_cells(session: Session, job: Job) -> dict[str, Any]:
    """Compare generated cells with real ones: verdicts, scores, power and a report.

    Parameters
    ----------
    session
        Holds cells and models.
    job
        What is asked for.
    """
    from scdiffuse.evaluation import evaluate

    body, seed = job.body, read.whole(job.body, "seed", default=0)
    real, made = _wait(job, lambda: session.get_cells(body["real"])), read.optional_text(body, "generated")
    remarks: list[str] = []
    cells = session.adata(real.id)
    code = name = code_of(session, real)
    model = body.get("model") or (session.get_cells(made).origin or {}).get("model") if made else body.get("model")
    by = read.optional_text(body, "by")
    if model in session.models:
        _wait(job, lambda: session.get_model(model))
        by = by or next(iter(session.generator(model).conditions.categorical), None)
    train = _train_path(session, model, real=real, remarks=remarks)
    if made is None:
        generated, written = _generate(session, str(model), cells=cells, name=name, seed=seed)
    else:
        generated, written = session.adata(made), Code(code_of(session, session.get_cells(made)))
        cells, code = _of_same_labels(cells, session.get_cells(made), name=name, remarks=remarks)
    by = by if by in cells.obs and by in generated.obs else None
    report = evaluate(cells, generated, train=train, by=by, seed=seed, progress=False)
    report.save(job.folder / REPORT, overwrite=True, umap=False)
    page = f"{job.id}.html"
    shown = None if train is None else Code(fit_code(Path(train)))
    python = call("report", "scd.evaluate", Code(code), written, train=shown, by=by, seed=seed)
    command = words(
        "evaluate", real=shown_path(real.path), generated=f"{made}.h5ad", layer=real.layer,
        train=None if train is None else shown_path(Path(train)), by=by, seed=seed, output=page,
    )  # fmt: skip
    is_typed = code == real.id and is_file(real) and made is not None and is_file(session.get_cells(made))
    job.lines = Lines(f"{python}\nreport.save('{page}')\nreport", command if is_typed else "")
    session.record(job.title, job.lines)
    return _plain(report, remarks) | {"real": real.id, "generated": made, "report": f"api/jobs/{job.id}/report"}


def _wait(job: Job, ask: Callable[[], T]) -> T:
    """Wait for cells or a model that are being read."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return ask()
        except RefusedError as error:
            if job.cancel.is_set():
                raise CancelledError from error
            if error.status != 409 or time.monotonic() > end:
                raise
        time.sleep(0.1)


def _train_path(session: Session, model: str | None, *, real: CellSet, remarks: list[str]) -> str | None:
    """Return the cells of the fit, if these real cells were held out of it; else say what is not known."""
    entry = session.models.get(str(model))
    if entry is not None and entry.held_out == real.id:
        path = entry.path.parent / FIT_CELLS
        return str(path) if path.is_file() else None
    remarks.append("These real cells may be among those that the model was fitted to; the comparison then flatters it.")
    return None


def _generate(session: Session, model: str, *, cells: ad.AnnData, name: str, seed: int) -> tuple[ad.AnnData, Code]:
    """Generate as many cells as there are real ones, under their conditions."""
    held = session.generator(model)
    names = list(held.conditions.names)
    if not names:
        made = held.generate(cells.n_obs, seed=seed, progress=False)
        code = call("", f"{model}.generate", cells.n_obs, seed=seed)
    else:
        made = held.generate(where=cells.obs[names], seed=seed, progress=False)
        code = call("", f"{model}.generate", where=Code(f"{name}.obs[{names!r}]"), seed=seed)
    assert isinstance(made, ad.AnnData)
    return made, Code(code)


def _of_same_labels(cells: ad.AnnData, made: CellSet, *, name: str, remarks: list[str]) -> tuple[ad.AnnData, str]:
    """Keep the real cells that have the labels that the generated ones were asked for."""
    where = {
        column: str(label)
        for column, label in ((made.origin or {}).get("where") or {}).items()
        if label is not None and column in cells.obs and not isinstance(label, float)
    }
    if not where:
        return cells, name
    mask, parts = np.ones(cells.n_obs, dtype=bool), []
    for column, label in where.items():
        mask &= (cells.obs[column].astype(str) == label).to_numpy()
        parts.append(f"({name}.obs[{column!r}].astype(str) == {label!r})")
    named = ", ".join(f"{column} {label}" for column, label in where.items())
    if not mask.any():
        raise RefusedError(422, f"No real cell has {named}; there is nothing to compare with.")
    remarks.append(f"Compared with the {int(mask.sum()):,} real cells of {named}.")
    return cells[mask].copy(), f"{name}[{' & '.join(parts)}]"


def _plain(report: Report, remarks: list[str]) -> dict[str, Any]:
    """Write a report as the page shows it."""
    tree = report.to_json()
    verdicts = [_verdict(one) for one in report.verdicts.values()]
    names = (
        "title",
        "group",
        "value",
        "low",
        "high",
        "reference",
        "normalised",
        "flagged",
        "detectable",
        "doubt",
        "n_cells",
    )
    metrics = [{"name": name} | {key: one[key] for key in names} for name, one in tree["metrics"].items()]  # type: ignore[literal-required]
    return {
        "overall": _verdict(report.overall),
        "verdicts": verdicts,
        "metrics": metrics,
        "power": tree["power"],
        "remarks": [*remarks, *tree["settings"]["notes"]],
    }


def _verdict(one: Verdict) -> dict[str, str]:
    names = ("group", "title", "level", "mark", "level_text", "text")
    return {name: getattr(one, name) for name in names}
