"""The power curve of a report: measured where there are cells enough, summed up as the cells a classifier needs."""

from __future__ import annotations

import math

from scdiffuse._core.random import generator
from scdiffuse.evaluation._formatting import format_number
from scdiffuse.evaluation._plan import Plan, Suite
from scdiffuse.evaluation._power import CurveSpace, curve_rows
from scdiffuse.evaluation._prepared_cells import PreparedCells, n_threads
from scdiffuse.evaluation._report_types import CurveRow, PowerRecord
from scdiffuse.evaluation._stratified import stratified_order
from scdiffuse.metrics import CellFeatures, ClassifierKind, cells_needed

__all__ = ["describe_curve", "measure_curve", "title_of"]

_LEAST_CELLS = 400
_SIZES = (125, 250, 500, 1000, 2000, 4000)
_MOST_CELLS: dict[Suite, int] = {"quick": 1333, "full": 20_000}
_N_SEEDS: dict[Suite, int] = {"quick": 2, "full": 3}
_CLASSIFIERS: tuple[ClassifierKind, ...] = ("forest", "boosting", "logistic", "network")
_TESTS: dict[Suite, tuple[tuple[ClassifierKind, CurveSpace], ...]] = {
    "quick": (("logistic", "genes"), ("forest", "depth"), ("logistic", "depth")),
    "full": (
        *((classifier, "genes") for classifier in _CLASSIFIERS),
        *((classifier, "depth") for classifier in _CLASSIFIERS),
    ),
}
_TREES: dict[Suite, int] = {"quick": 50, "full": 100}
_TITLES = {
    "forest": "random forest",
    "boosting": "gradient boosting",
    "logistic": "logistic regression",
    "network": "small network",
    "genes": "genes",
    "depth": "depth features",
}
_TARGETS = (0.55, 0.60)


def measure_curve(prepared: PreparedCells, plan: Plan) -> PowerRecord | None:
    """Measure the AUC against the cells that classifiers learn from.

    Parameters
    ----------
    prepared
        All cells.
    plan
        What is asked for.

    Returns
    -------
    The curve, or ``None`` where single metrics were asked for or there are too few cells for a curve.

    Raises
    ------
    SettingError
        Most cells are copies of one another.
    """
    real = prepared.real if prepared.pooled is None else prepared.pooled
    if not plan.power_curve or min(real.n_cells, prepared.generated.n_cells, plan.max_cells) < _LEAST_CELLS:
        return None
    if prepared.pooled is None and prepared.reference.n_cells < _LEAST_CELLS // 2:
        return None
    points: list[CurveRow] = []
    for seed in range(plan.seeds[0], plan.seeds[0] + _N_SEEDS[plan.suite]):
        points += curve_rows(
            _pairs(prepared, real, most=min(_MOST_CELLS[plan.suite], plan.max_cells), seed=seed),
            _TESTS[plan.suite],
            sizes=_SIZES,
            chosen=prepared.space.chosen,
            n_trees=_TREES[plan.suite],
            seed=seed,
            n_jobs=n_threads(),
        )
    return _sum_up(points)


def describe_curve(power: PowerRecord) -> str:
    """Write the headline number: how many cells a side a classifier needs to tell the samples apart."""
    found = power["cells_to_60"]
    if found is None:
        return (
            f"No classifier gets to an AUC of .60, measured up to {power['most_cells']:,} cells a side and followed to "
            "eight times as many."
        )
    beyond = "" if found <= power["most_cells"] else f" (measured up to {power['most_cells']:,})"
    half = power["cells_to_55"]
    first = "" if half is None or half >= found else f" and .55 with {_rounded(half)}"
    return f"To reach an AUC of .60, {power['strongest']} needs {_rounded(found)} cells a side{beyond}{first}."


def title_of(classifier: str, space: str) -> str:
    """Name a classifier and its features."""
    return f"{_TITLES[classifier]} on {_TITLES[space]}"


def _pairs(
    prepared: PreparedCells, real: CellFeatures, *, most: int, seed: int
) -> dict[str, tuple[CellFeatures, CellFeatures]]:
    """Draw both comparisons; the reference takes halves of the real cells where they are one sample."""

    def draw(cells: CellFeatures, role: str) -> CellFeatures:
        return cells.take(stratified_order(cells.labels, cells.n_cells, generator(seed, "power", role)))

    own, generated = draw(real, "real"), draw(prepared.generated, "generated")
    if prepared.pooled is None:
        halves = own, draw(prepared.reference, "reference")
    else:
        halves = own.take(slice(0, None, 2)), own.take(slice(1, None, 2))
    pairs = {"generated": (own, generated), "real": halves}
    return {name: (one.take(slice(most)), other.take(slice(most))) for name, (one, other) in pairs.items()}


def _sum_up(points: list[CurveRow]) -> PowerRecord:
    tests = list(dict.fromkeys((one["classifier"], one["space"]) for one in points))
    needed: dict[str, list[float]] = {}
    heights: dict[str, float] = {}
    for classifier, space in tests:
        own = [
            one
            for one in points
            if (one["sample"], one["classifier"], one["space"]) == ("generated", classifier, space)
        ]
        sizes, aucs = [one["n_cells"] for one in own], [one["auc"] for one in own]
        title = title_of(classifier, space)
        needed[title] = [cells_needed(sizes, aucs, target=target) for target in _TARGETS]
        heights[title] = max(one["auc"] for one in own if one["n_cells"] == max(sizes))
    strongest = min(needed, key=lambda title: (needed[title][1], needed[title][0], -heights[title]))
    lowest = [min(one[k] for one in needed.values()) for k in (0, 1)]
    return {
        "points": points,
        "cells_to_55": _finite(lowest[0]),
        "cells_to_60": _finite(lowest[1]),
        "strongest": strongest,
        "most_cells": max(one["n_cells"] for one in points if one["sample"] == "generated"),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _rounded(n_cells: float) -> str:
    """Write a number of cells with two figures, the smallest size as an upper bound."""
    if n_cells <= _SIZES[0]:
        return f"{_SIZES[0]} or fewer"
    step = 10 ** max(math.floor(math.log10(n_cells)) - 1, 0)
    return format_number(None) if not n_cells else f"{round(n_cells / step) * step:,}"
