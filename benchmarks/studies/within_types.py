"""How well classifiers tell generated from real cells of one cell type.

Among all cells a classifier spends its splits on what tells types apart, which generated cells have right. Among cells
of one type it sees what a model gets wrong within it, with a fraction of the cells: this is the stronger test. Fits
and references are those of the study of power.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.layout import Row, distinct, grid, mean, only
from benchmarks.models import read
from benchmarks.records import rows_of
from benchmarks.studies.power import BOOTSTRAP, CASES, fit_twice

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "within_types"
title = "Cells of one type"
summary = "AUC of classifiers between generated and real cells of the same type, beside what finite training costs."
unit = ("data_set", "seed")

CLASSIFIERS = ("forest", "logistic")
_FEWEST, _MOST = 100, 1000  # cells a side of a type
_DRAWS = (0, 1, 2)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the data sets and classifiers."""
    parser.add_argument("--sets", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--classifiers", nargs="+", choices=CLASSIFIERS, default=list(CLASSIFIERS))
    parser.set_defaults(seeds=[0])


def run(context: Context) -> Iterator[Record]:
    """Fit and measure each data set and seed."""
    yield from context.measure_sets(measure)


def measure(context: Context, data_set: str, *, seed: int) -> list[Row]:
    """Fit a model, and a second one to its cells; one row for each type, sample and classifier."""
    case = CASES[data_set]
    fit, held_out, model, drawn = fit_twice(read(data_set, context), case, device=context.options.device, seed=seed)
    pairs = {
        "generated": (held_out, model.generate(held_out.n_obs, seed=seed, progress=False)),
        BOOTSTRAP: (drawn.truth, drawn.refitted),
    }
    rows: list[Row] = []
    key = case.conditions[0]
    for label, n_fitted in fit.obs[key].value_counts().items():
        for sample, cells in pairs.items():
            sides = [_of_type(side, key, label) for side in cells]
            if min(side.n_obs for side in sides) < _FEWEST:
                continue
            about = {"type": str(label), "n_fitted": int(n_fitted)}
            scores = _scores(sides[0], sides[1], context.options.classifiers, fit=fit, sample=sample)
            rows += [about | row for row in scores]
    return rows


def _of_type(cells: AnnData, key: str, label: object) -> AnnData:
    rows = np.flatnonzero((cells.obs[key] == label).to_numpy())
    chosen = np.random.default_rng(0).permutation(rows)[:_MOST]
    of_type: AnnData = cells[chosen].copy()
    return of_type


def _scores(one: AnnData, other: AnnData, classifiers: Sequence[Any], *, fit: AnnData, sample: str) -> Iterator[Row]:
    """Score each classifier with the most cells that there are, the mean over draws; real halves beside real cells."""
    from scdiffuse.evaluation import power_curve

    table = power_curve(one, other, sizes=(), classifiers=classifiers, spaces=("genes",), seeds=_DRAWS, fit=fit)
    for (kind, classifier), own in table.groupby(["sample", "classifier"], sort=False):
        if kind == "real" and sample == BOOTSTRAP:
            continue
        answer = sample if kind == "generated" else "real"
        yield {
            "sample": answer,
            "classifier": str(classifier),
            "n_cells": int(own["n_cells"].mean()),
            "n_tested": int(own["n_tested"].mean()),
            "auc": float(own["auc"].mean()),
        }


def lines(records: Sequence[Record]) -> list[str]:
    """Write the AUC within each type, and how far it is above the higher reference."""
    found = rows_of(records)
    classifiers = distinct(found, "classifier")
    rows, gaps = [], []
    for data_set in distinct(found, "data_set"):
        mine = only(found, data_set=data_set)
        above: dict[str, list[float]] = {classifier: [] for classifier in classifiers}
        for label in distinct(mine, "type"):
            own = only(mine, type=label)
            if not only(own, sample="generated"):
                continue
            cells = [_cell(only(own, classifier=classifier)) for classifier in classifiers]
            fitted, learnt = (round(mean(only(own, sample="generated"), what)) for what in ("n_fitted", "n_cells"))
            rows.append([data_set, label, f"{fitted:,}", f"{learnt:,}", *cells])
            for classifier in classifiers:
                above[classifier].append(_above(only(own, classifier=classifier)))
        words = ", ".join(f"{classifier} {np.mean(values):.3f}" for classifier, values in above.items())
        gaps.append(f"- `{data_set}`, AUC above the higher reference, mean over types: {words}.")
    about = (
        "AUC of a classifier of genes that learns from so many generated and as many held-out real cells of one type, "
        "scored on others, mean over three draws; in brackets two halves of the real cells (where they have cells "
        "enough) and, after a semicolon, the parametric bootstrap: cells of a fitted model against those of a model "
        "refitted to as many of its cells. Types with 100 held-out cells or more, at most 1,000 a side."
    )
    return [about, grid(["data set", "cell type", "fitted", "learnt from", *classifiers], rows), "\n".join(gaps)]


def _by_sample(rows: list[Row]) -> dict[str, float]:
    return {sample: mean(only(rows, sample=sample), "auc") for sample in distinct(rows, "sample")}


def _above(rows: list[Row]) -> float:
    by_sample = _by_sample(rows)
    return by_sample["generated"] - max(by_sample.get(sample, 0.5) for sample in ("real", BOOTSTRAP))


def _cell(rows: list[Row]) -> str:
    by_sample = _by_sample(rows)
    beside = "; ".join("" if sample not in by_sample else f"{by_sample[sample]:.3f}" for sample in ("real", BOOTSTRAP))
    return f"{by_sample['generated']:.3f} ({beside})"
