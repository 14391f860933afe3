"""Given cells under other conditions, on the way there, and beside generated cells of rare labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anndata as ad

from scdiffuse.app import _bodies as read
from scdiffuse.app._asking import BATCH, add_made, coverage_of, guidance_code, guidance_options, read_guidance
from scdiffuse.app._errors import RefusedError
from scdiffuse.app._job import Job
from scdiffuse.app._lines import Code, Lines, call, option_pairs, shown_path, words
from scdiffuse.app._model_entry import as_labels
from scdiffuse.app._selections import Selected, code_of, is_file, select, table_json
from scdiffuse.app._session import Session

__all__ = ["augment", "predict", "trajectory"]


def predict(session: Session, job: Job) -> dict[str, Any]:
    """Predict given cells under other conditions, and compare before and after.

    Parameters
    ----------
    session
        Holds model and cells.
    job
        What is asked for.
    """
    from scdiffuse.evaluation import paired_changes

    body = job.body
    entry, model = session.get_model(body["model"]), session.generator(body["model"])
    given, to, seed = select(session, body["cells"]), as_labels(model, body["to"]), read.whole(body, "seed", default=0)
    _require_few(session, given)
    guidance = read_guidance(model, body)
    after = model.predict(_plain(given), to, guidance=guidance, seed=seed, batch_size=BATCH, progress=False)
    id_ = session.new_id("p")
    python = call(id_, f"{entry.id}.predict", Code(given.python), to, guidance=guidance_code(guidance), seed=seed)
    command = words(
        "predict", shown_path(entry.path), _file_of(session, given), layer=session.get_cells(given.cells).layer,
        to=option_pairs(to), **guidance_options(guidance), seed=seed, path=f"{id_}.h5ad",
    )  # fmt: skip
    command = command if given.is_file else ""
    name = f"{given.adata.n_obs:,} of {given.cells} as {', '.join(option_pairs(to))}"
    cells = add_made(session, job, after, id_=id_, kind="predicted", name=name, lines=Lines(python, command))
    change = paired_changes(given.adata, after) if given.adata.n_obs >= 3 else None
    table = None
    if change is not None:
        change.insert(0, "symbol", [str(gene) for gene in change.index])
        table = {"table": session.add_table(change), **table_json(change)}
    return {
        "cells": cells.id,
        "before": {"cells": given.cells, "indices": given.rows.tolist()},
        "change": table,
        "coverage": coverage_of(model, _own(given, model.conditions.categorical) | to),
    }


def _own(given: Selected, names: Mapping[str, Any]) -> dict[str, Any]:
    """Read the labels that all given cells have in common; the others are no part of what is asked for."""
    found = {}
    for name, known in names.items():
        if name in given.adata.obs:
            labels = given.adata.obs[name].dropna().astype(str).unique()
            if len(labels) == 1 and labels[0] in {str(label) for label in known}:
                found[name] = next(label for label in known if str(label) == labels[0])
    return found


def _plain(given: Selected) -> ad.AnnData:
    return given.adata.copy() if given.adata.is_view else given.adata


def _require_few(session: Session, given: Selected) -> None:
    if given.adata.n_obs > session.limits.max_generate:
        msg = f"{given.adata.n_obs:,} cells are selected; expected at most {session.limits.max_generate:,}."
        raise RefusedError(422, msg + " Select fewer, or use the command line.")


def _file_of(session: Session, given: Selected) -> str:
    """Name the file of a selection on the command line."""
    return shown_path(session.get_cells(given.cells).path)


def trajectory(session: Session, job: Job) -> dict[str, Any]:
    """Follow cells on their way to another state.

    Parameters
    ----------
    session
        Holds model and cells.
    job
        What is asked for.
    """
    body = job.body
    entry, model = session.get_model(body["model"]), session.generator(body["model"])
    to, seed = as_labels(model, body["to"]), read.whole(body, "seed", default=0)
    n_states = read.whole(body, "n_states", default=10, low=2, high=50)
    keep = read.number(body, "keep", default=0.5, low=0.0, high=1.0)
    most = max(1, session.limits.max_generate // n_states)
    n_cells = read.whole(body, "n_cells", default=min(50, most), low=1, high=most)
    guidance = read_guidance(model, body)
    options: dict[str, Any] = {"n_states": n_states, "keep": keep, "seed": seed}
    is_typed = True
    if body.get("cells") is not None:
        given = select(session, body["cells"])
        n_cells = min(n_cells, given.adata.n_obs)
        start: ad.AnnData | dict[str, Any] = _plain(given)
        first, own = Code(given.python), _own(given, model.conditions.categorical)
        typed = {"start": _file_of(session, given), "layer": session.get_cells(given.cells).layer}
        is_typed = given.is_file
    else:
        start = own = as_labels(model, read.mapping(body, "from"))
        first, typed = Code(repr(own)), {"from": option_pairs(own)}  # type: ignore[dict-item]
    made = model.trajectory(start, to, n_cells=n_cells, guidance=guidance, batch_size=BATCH, progress=False, **options)
    guided = guidance_code(guidance)
    id_ = session.new_id("t")
    python = call(id_, f"{entry.id}.trajectory", first, to, n_cells=n_cells, guidance=guided, **options)
    command = words(
        "trajectory", shown_path(entry.path), **typed, to=option_pairs(to), n_cells=n_cells,
        **guidance_options(guidance), **options, path=f"{id_}.h5ad",
    )  # fmt: skip
    command = command if is_typed else ""
    name = f"{n_cells:,} cells on the way to {', '.join(option_pairs(to))}"
    cells = add_made(session, job, made, id_=id_, kind="trajectory", name=name, lines=Lines(python, command))
    prefix = "trajectory_" if "weight" in model.conditions.names else ""
    weights = made.obs[f"{prefix}weight"].to_numpy(dtype=float).reshape(n_states, n_cells)[:, 0]
    return {
        "cells": cells.id,
        "n_states": n_states,
        "n_cells": n_cells,
        "weights": weights.tolist(),
        "coverage": coverage_of(model, own | to),
    }


def augment(session: Session, job: Job) -> dict[str, Any]:
    """Add generated cells of rare labels, and measure what a classifier gains on cells that it does not learn from.

    Parameters
    ----------
    session
        Holds model and cells.
    job
        What is asked for.
    """
    from scdiffuse.generator import plan_numbers

    body = job.body
    entry, model = session.get_model(body["model"]), session.generator(body["model"])
    held, by, seed = session.get_cells(body["cells"]), read.text(body, "by"), read.whole(body, "seed", default=0)
    real = session.adata(held.id)
    n_per_label = body.get("n_per_label", "max")
    if isinstance(n_per_label, dict):
        n_per_label = {str(label): read.whole(n_per_label, label, low=1) for label in n_per_label}
    elif not isinstance(n_per_label, str):
        n_per_label = read.whole(body, "n_per_label", low=1, high=session.limits.max_generate)
    guidance = read_guidance(model, body)
    n_new = int(plan_numbers(real.obs, by=by, n_per_label=n_per_label, conditions=model.conditions).sum())
    if n_new > session.limits.max_generate:
        msg = f"`n_per_label` asks for {n_new:,} cells; expected at most {session.limits.max_generate:,} in all."
        raise RefusedError(422, msg + " Ask for fewer, or use the command line.")
    made = model.augment(real, by=by, n_per_label=n_per_label, guidance=guidance, seed=seed, progress=False)
    guided = guidance_code(guidance)
    id_, code = session.new_id("a"), Code(code_of(session, held))
    python = call(id_, f"{entry.id}.augment", code, by=by, n_per_label=n_per_label, guidance=guided, seed=seed)
    typed = option_pairs(n_per_label) if isinstance(n_per_label, dict) else n_per_label
    options = guidance_options(guidance)
    command = words(
        "augment", shown_path(entry.path), shown_path(held.path), by=by, n_per_label=typed, layer=held.layer,
        guidance=options["guidance"], seed=seed, path=f"{id_}.h5ad",
    )  # fmt: skip
    command = command if is_file(held) and not (guidance.toward or guidance.away) else ""
    cells = add_made(
        session, job, made, id_=id_, kind="augmented", name=f"{held.name}, augmented by {by}",
        lines=Lines(python, command),
    )  # fmt: skip
    test = session.adata(entry.held_out) if entry.held_out in session.cells else None
    rows, gain = _gain(real, made, test, by=by)
    return {"cells": cells.id, "rows": rows, "gain": gain}


def _gain(
    real: ad.AnnData, made: ad.AnnData, test: ad.AnnData | None, *, by: str
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Test a classifier on cells held out of the fit, or else on half of the real cells, and say which."""
    from scdiffuse._core.errors import UserError
    from scdiffuse.evaluation import augmentation_gain, split_in_halves

    is_new = (made.obs["source"] == "generated").to_numpy()
    n_real, n_new = (made.obs[by][mask].astype(str).value_counts() for mask in (~is_new, is_new))
    rows: dict[str, dict[str, Any]] = {
        label: {"label": label, "n_real": int(n), "n_generated": int(n_new.get(label, 0))}
        for label, n in n_real.items()
        if label != "nan"
    }
    what = "cells held out of the fit"
    try:
        if test is not None and real.obs_names.isin(test.obs_names).any():
            real = real[~real.obs_names.isin(test.obs_names)]
        if test is None or by not in test.obs:
            halves = split_in_halves(real.n_obs)
            real, test = real[halves[0]], real[halves[1]]
            what = "half of the real cells, which the model may have been fitted to"
        found = augmentation_gain(real, made[is_new], test, by=by)
    except UserError as error:
        return list(rows.values()), {"text": f"The gain cannot be measured: {error}", "accuracy_real": None}
    for label, row in found.table.iterrows():
        if str(label) in rows:
            rows[str(label)] |= {name: float(row[name]) for name in ("recall_real", "recall_augmented")}
            rows[str(label)]["n_tested"] = int(row["n_tested"])
    text = f"Mean recall by label is {found.real:.3f} without and {found.augmented:.3f} with generated cells, on {what}"
    gain = {
        "accuracy_real": found.real,
        "accuracy_augmented": found.augmented,
        "text": f"{text} ({test.n_obs:,} cells).",
    }
    return list(rows.values()), gain
