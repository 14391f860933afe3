"""Perturbations that a fit never saw: predicted, and scored in the field's own numbers beside every simple baseline.

Models are kept in the work folder, so that they can be scored again: ``--models-of`` names the commit that fitted them.
Predictions of other methods stand beside ours with ``--predictions FOLDER``: a file ``METHOD.h5ad`` with counts, or
``METHOD.log1p.h5ad``, in a folder for each fit with the name of our model, such as ``kang_ifnb-no_stimulated_B-seed0``.
``python -m benchmarks.predict_peers`` makes them for the methods it knows, with a ``METHOD.json`` of what they took.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from benchmarks.designs import DESIGNS, Design, HeldOut
from benchmarks.layout import Row, distinct, grid, mean, only
from benchmarks.models import model_of
from benchmarks.records import rows_of
from benchmarks.study import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse import CellGenerator
    from scdiffuse.evaluation import PerturbationReport

name = "perturbations"
title = "Predicted perturbations"
summary = "Perturbations left out of the fit, in the field's own measures, beside baselines that anybody can compute."
unit = ("data_set", "held_out", "seed")

N_GENERATED = 1000
PREDICT, GENERATE = "ours, predict", "ours, generate"
SHOWN = (
    "pearson_delta",
    "pearson_delta_top",
    "mse",
    "wmse",
    "weighted_delta_r2",
    "discrimination_l1",
    "energy_distance",
    "energy_distance_top",
    "de_overlap",
    "common_degs",
    "direction_match",
    "de_spearman",
    "de_pr_auc",
)


class Answer(NamedTuple):
    """Predicted cells of one method."""

    name: str
    cells: AnnData
    values: Literal["counts", "log1p"] = "counts"
    """What they hold: counts, or ``"log1p"`` of counts per 10,000."""

    about: dict[str, Any] | None = None
    """Versions, settings and cost of another method, where they are known."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add sets, conditions, and what is compared."""
    parser.add_argument("--sets", nargs="+", choices=list(DESIGNS), default=list(DESIGNS), help="data sets")
    parser.add_argument("--held-out", nargs="+", help="only conditions with these words, such as a type or a level")
    parser.add_argument("--n-genes", type=int, help="genes to compare, the most variable ones; all if not given")
    parser.add_argument("--n-draws", type=int, default=10, help="halves of the real cells")
    parser.add_argument("--max-cells", type=int, default=500, help="cells a side")
    parser.add_argument("--predictions", type=Path, help="folder with predictions of other methods")
    parser.add_argument("--models-of", metavar="COMMIT", help="score models of this folder of the work folder")


def run(context: Context) -> Iterator[Record]:
    """Fit, predict and score each condition."""
    options = context.options
    for data_set in options.sets:
        design = DESIGNS[data_set]
        adata = design.cells(context)
        for wanted in design.held_out(adata):
            if options.held_out and not set(options.held_out) & {str(wanted.context), str(wanted.level)}:
                continue
            for seed in context.seeds:
                settings = {
                    "data_set": data_set,
                    "held_out": str(wanted),
                    "seed": seed,
                    "n_genes": options.n_genes,
                    "n_draws": options.n_draws,
                    "max_cells": options.max_cells,
                    "models_of": options.models_of,
                    "predictions": None if options.predictions is None else options.predictions.name,
                }
                yield from context.measure(settings, partial(measure, context, design, wanted, seed=seed))


def measure(context: Context, design: Design, wanted: HeldOut, *, seed: int) -> list[Row]:
    """Score the answers to one condition; one row for each, baselines and real cells among them."""
    adata = design.cells(context)
    source = context.options.models_of
    at = context if source is None else replace(context, work=context.work.parent / source)
    fit = design.fit(adata, wanted, seed)
    model = model_of(fit, at)
    predictions: list[Row] = []
    baselines: list[Row] = []
    answers = [*_answers(design, wanted, adata, model=model, seed=seed), *_others(context, fit.key)]
    for answer in answers:
        report = _scores(context, design, adata, answer=answer, seed=seed)
        rows = _rows(report, answer)
        predictions += only(rows, kind="prediction")
        if answer.name == GENERATE:
            # They are the same for every answer, but for comparisons with fewer cells.
            baselines = [row for row in rows if row["kind"] != "prediction"]
        say(f"{design.data_set}, {wanted}, {answer.name}: {report.verdict}")
    return predictions + baselines


def _answers(design: Design, wanted: HeldOut, adata: AnnData, *, model: CellGenerator, seed: int) -> Iterator[Answer]:
    """Predict control cells of the context, and generate the condition."""
    control = adata[design.rows(adata, HeldOut(wanted.context, design.control))].copy()
    yield Answer(PREDICT, model.predict(control, {design.key: wanted.level}, seed=seed, progress=False))
    yield Answer(GENERATE, model.generate(N_GENERATED, where=design.labels(wanted), seed=seed, progress=False))


def _others(context: Context, key: str) -> Iterator[Answer]:
    """Read the predictions of other methods about one fit, and what they took."""
    import anndata

    folder = context.options.predictions
    for path in [] if folder is None else sorted((folder / key).glob("*.h5ad")):
        is_log = path.stem.endswith(".log1p")
        method = path.stem.removesuffix(".log1p")
        about = path.with_name(f"{method}.json")
        known = json.loads(about.read_text(encoding="utf-8")) if about.exists() else None
        yield Answer(method, anndata.read_h5ad(path), "log1p" if is_log else "counts", known)


def _scores(context: Context, design: Design, adata: AnnData, *, answer: Answer, seed: int) -> PerturbationReport:
    from scdiffuse.evaluation import evaluate_perturbations

    options = context.options
    train = None
    if design.together is not None:
        out = np.logical_or.reduce([design.rows(adata, one) for one in design.held_out(adata)])
        train = adata[~out].copy()
    return evaluate_perturbations(
        adata.copy() if adata.is_view else adata,
        answer.cells,
        train=train,
        perturbation_key=design.key,
        control=design.control,
        cell_type_key=design.context,
        predicted_values=answer.values,
        n_genes=options.n_genes,
        n_draws=options.n_draws,
        max_cells=options.max_cells,
        seed=seed,
        progress=False,
    )


def _rows(report: PerturbationReport, answer: Answer) -> list[Row]:
    """List the scores of a report, one row for each answer; ours with normalised scores and levels."""
    (one,) = report.held_out
    frame = report.to_frame()
    frame = frame[frame["perturbation"] != "all"]
    rows: list[Row] = []
    for name_of_row, held in frame.groupby("row", sort=False):
        row: Row = {"answer": str(name_of_row), "kind": held["kind"].iloc[0]}
        row |= dict(zip(held["measure"], held["value"].astype(float), strict=True))
        if row["kind"] == "prediction":
            row["answer"] = answer.name
            row["about"] = answer.about
            row["normalised"] = {measure: found["normalised"] for measure, found in one["measures"].items()}
            row["levels"] = {measure: found["level"] for measure, found in one["measures"].items()}
            row["behind"] = {
                measure: found["not_ahead_of"][0]
                for measure, found in one["measures"].items()
                if found["level"] == "not_ahead"
            }
            row |= {"n_real": one["n_real"], "n_cells": one["n_cells"]}
        rows.append(row)
    return rows


def lines(records: Sequence[Record]) -> list[str]:
    """Write all answers beside each other for each data set, and where ours are ahead."""
    parts = [
        "Each condition is left out of the fit; of `papalexi_lowmoi` the most frequent knock-outs in one replicate, "
        "all at once. Half of its real cells are compared with the answers, in ten draws. The definitions are those of "
        "`scdiffuse.evaluation.evaluate_perturbations`. *Ours, predict* changes control cells of the context, *ours, "
        "generate* makes new cells. The last three rows know the answer.",
    ]
    found = rows_of(records)
    for data_set in distinct(found, "data_set"):
        mine = only(found, data_set=data_set)
        held_out = distinct(mine, "held_out")
        parts += [
            f"`{data_set}`: means over {len(held_out)} held-out conditions ({'; '.join(held_out)}), "
            f"{len(distinct(mine, 'seed'))} seeds.",
            _table(mine),
            *_others_in_words(mine),
            *_ahead(mine),
        ]
    return parts


def _table(mine: list[Row]) -> str:
    """Write every answer with its mean measures, those that are known in all conditions."""
    from scdiffuse.evaluation.perturbations import TITLES

    answers = distinct(only(mine, kind="prediction"), "answer")
    names = [*answers, *(one for one in TITLES if one in {row["answer"] for row in mine})]
    rows = []
    for one in names:
        held = only(mine, answer=one)
        n = _n_fits(held if one in answers else mine)
        values = [mean(held, measure) if _n_known(held, measure) == n else None for measure in SHOWN]
        if any(value is not None for value in values):
            rows.append([TITLES.get(one, one), *values])
    return grid(["answer", *(measure.replace("_", " ") for measure in SHOWN)], rows)


def _n_fits(rows: list[Row]) -> int:
    return len({(row["held_out"], row["seed"]) for row in rows})


def _n_known(rows: list[Row], measure: str) -> int:
    return sum(row.get(measure) is not None for row in rows)


def _others_in_words(mine: list[Row]) -> Iterator[str]:
    """Say of which version other methods are, what ended their training, and what they took."""
    for answer in distinct(only(mine, kind="prediction"), "answer"):
        held = [row for row in only(mine, answer=answer) if row.get("about")]
        if not held:
            continue
        about = held[0]["about"]
        versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items() if name != "python")
        epochs = {row["about"]["settings"]["n_epochs"] for row in held}
        between = " to ".join(map(str, sorted({min(epochs), max(epochs)})))
        seconds = sum(row["about"]["cost"]["cpu_seconds"] for row in held) / len(held)
        yield (
            f"- *{answer}* ({versions}), trained on the same cells by {about['training']}: {between} epochs, "
            f"{seconds:.0f} CPU seconds a fit; {_n_fits(held)} of {_n_fits(mine)} fits. In the means of these it is "
            f"ahead of both of ours in: {', '.join(_ahead_of_ours(held, mine)) or 'none'}."
        )


def _ahead_of_ours(held: list[Row], mine: list[Row]) -> Iterator[str]:
    """Name the measures shown in which another method has a better mean than both of ours, over the same fits."""
    from scdiffuse.evaluation.perturbations import MEASURES

    fits = {(row["held_out"], row["seed"]) for row in held}
    same = [row for row in mine if (row["held_out"], row["seed"]) in fits]
    ours = [only(same, answer=one) for one in (PREDICT, GENERATE)]
    signs = {measure.name: measure.sign for measure in MEASURES}
    for one in SHOWN:
        if all(signs[one] * (mean(held, one) - mean(rows, one)) > 0 for rows in ours if rows):
            yield one.replace("_", " ")


def _ahead(mine: list[Row]) -> Iterator[str]:
    """Say in how many measures a prediction is ahead of every baseline, and which baselines are not beaten."""
    from scdiffuse.evaluation.perturbations import TITLES

    for answer in distinct(only(mine, kind="prediction"), "answer"):
        held = only(mine, answer=answer)
        levels = [level for row in held for level in row["levels"].values() if level != "unscored"]
        if not levels:
            continue
        behind: dict[str, int] = {}
        for row in held:
            for baseline in row["behind"].values():
                behind[baseline] = behind.get(baseline, 0) + 1
        ranked = sorted(behind, key=lambda one: -behind[one])
        named = ", ".join(f"{TITLES[one]} ({behind[one]})" for one in ranked) or "none"
        yield (
            f"- *{answer}*: ahead of every baseline in {levels.count('ahead')} of {len(levels)} measures x conditions, "
            f"too few cells to tell in {levels.count('too_few')}; not ahead of: {named}."
        )
