"""Rows of the table: baselines that anybody can compute, and controls that know the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from scdiffuse.evaluation.perturbations._conditions import Condition
from scdiffuse.evaluation.perturbations._counts import Draw, onto_counts
from scdiffuse.evaluation.perturbations._known import MOST_CONTROLS, Known
from scdiffuse.evaluation.perturbations._ridge import ridge_effect
from scdiffuse.metrics._feature_matrices import Array

__all__ = ["BASELINES", "CONTROLS", "PREDICTION", "REAL_HALF", "TITLES", "Kind", "Row", "baselines_of"]

Kind: TypeAlias = Literal["prediction", "baseline", "control"]
PREDICTION, REAL_HALF = "prediction", "real_half"
_COUNTS = "_counts"

BASELINES = {
    "control_cells": "Control cells",
    "shuffled_control": "Control cells, genes shuffled",
    "perturbed_mean": "Mean of the other perturbations",
    "average_effect": "Average effect, log expression",
    "average_effect_counts": "Average effect, pseudobulk counts",
    "nearest_effect": "Effect of the nearest type or perturbation",
    "nearest_effect_counts": "The same effect on counts",
    "nearest_level": "Nearest perturbation + average change",
    "ridge": "Ridge regression of pseudobulks",
    "ridge_counts": "Ridge regression, on counts",
    "kernel_ridge": "Kernel ridge regression of pseudobulks",
    "kernel_ridge_counts": "Kernel ridge regression, on counts",
}
"""Baselines in the order of a table; `baselines_of` says what each is."""

CONTROLS = {
    "shuffled_real": "Real cells, genes shuffled",
    "interpolated_duplicate": "Interpolated duplicate",
    REAL_HALF: "Another half of the real cells",
}
"""Rows that know the answer."""

TITLES = {PREDICTION: "Prediction"} | BASELINES | CONTROLS


@dataclass(frozen=True, kw_only=True)
class Row:
    """One answer to the question what perturbed cells are like."""

    name: str
    kind: Kind
    mean: Array | None = None
    """Mean expression, shape ``(G,)``."""
    draw: Draw | None = None
    """Draws the expression of some cells, shape ``(n, G)``; none where only the mean is known."""
    reason: str = ""
    """Why there is no answer, or no cells."""


def baselines_of(held_out: Condition, known: Known) -> list[Row]:
    r"""Compute what anybody could answer for a held-out condition, from the cells that its predictor was fitted to.

    With :math:`M` the mean expression of a condition and :math:`E = M - M(\text{control of its type})`:

    - ``control_cells``: control cells of the type, and ``shuffled_control``: each gene shuffled among them.
    - ``perturbed_mean``: the average :math:`M` of all other perturbations of the type, or, where there are none, of all
      types; its cells are theirs, in equal parts.
    - ``average_effect``: control cells plus the average :math:`E` of the perturbation in the other types, or, where no
      type has it, of the other perturbations as in ``perturbed_mean``; negative expression becomes 0.
      ``average_effect_counts``: the same with the average log ratio of expression fractions, put onto the counts of
      control cells: counts are thinned or added.
    - ``nearest_effect``: control cells plus :math:`E` of the nearest condition: the perturbation in the type with the
      nearest control cells, or else the perturbation with the nearest features.
    - ``nearest_level``: cells of the nearest other perturbation of the type, plus the average over the other types of
      what lies between the two; where no type has it, nothing is added.
    - ``ridge`` and ``kernel_ridge``: control cells plus :math:`E` by regression (`ridge_effect`).

    Means are sums in log expression, and so are cells, which leaves no zeros, so that every gene seems to differ. Rows
    whose names end with ``_counts``, and ``nearest_level``, have the same change as log ratios of expression fractions
    put onto the counts of real cells. Either is the better one by some measure.

    Parameters
    ----------
    held_out
        The condition.
    known
        Cells that may be used.

    Returns
    -------
    A row for each of `BASELINES`; those that cannot be computed say why.
    """
    control = known.control(held_out)
    makers: dict[str, Callable[[], Row | str]] = {
        "control_cells": lambda: _of("control_cells", control.mean, control.draw),
        "shuffled_control": lambda: _of("shuffled_control", control.mean, _shuffled(control.draw)),
        "perturbed_mean": lambda: _perturbed_mean(held_out, known),
        "average_effect": lambda: _average_effect(held_out, known),
        "average_effect_counts": lambda: _average_effect_counts(held_out, known),
        "nearest_effect": lambda: _nearest_effect("nearest_effect", held_out, known),
        "nearest_effect_counts": lambda: _nearest_effect("nearest_effect_counts", held_out, known),
        "nearest_level": lambda: _nearest_level(held_out, known),
        "ridge": lambda: _regression("ridge", held_out, known),
        "ridge_counts": lambda: _regression("ridge_counts", held_out, known),
        "kernel_ridge": lambda: _regression("kernel_ridge", held_out, known),
        "kernel_ridge_counts": lambda: _regression("kernel_ridge_counts", held_out, known),
    }
    found = {name: make() for name, make in makers.items()}
    return [Row(name=name, kind="baseline", reason=one) if isinstance(one, str) else one for name, one in found.items()]


def _of(name: str, mean: Array, draw: Draw) -> Row:
    return Row(name=name, kind="baseline", mean=mean, draw=draw)


def _shuffled(draw: Draw) -> Draw:
    return lambda n, stream: stream.permuted(draw(n, stream), axis=0)


def _changed(name: str, mean: Array, draw: Draw, *, change: Array) -> Row:
    """Add a change to a mean; nothing is expressed less than not at all."""
    return _of(name, np.maximum(mean + change, 0), draw)


def _perturbed_mean(held_out: Condition, known: Known) -> Row | str:
    others = known.other_perturbations(held_out)
    if not others:
        return "No other perturbation was measured."
    cells = known.train

    def draw(n: int, stream: np.random.Generator) -> Array:
        parts = np.bincount(stream.permutation(np.arange(n) % len(others)), minlength=len(others))
        rows = [cells.draw(one, int(part), stream) for one, part in zip(others, parts, strict=True) if part]
        return cells.dense(np.concatenate(rows))

    return _of("perturbed_mean", np.mean([cells.mean(one) for one in others], axis=0), draw)


def _average_effect(held_out: Condition, known: Known) -> Row | str:
    others, control = known.like(held_out), known.control(held_out)
    if not others:
        return "No other perturbation was measured."
    change = np.mean([known.effect(one) for one in others], axis=0)
    return _changed("average_effect", control.mean, _sum(known, held_out, change), change=change)


def _sum(known: Known, held_out: Condition, change: Array) -> Draw:
    """Add a change of log expression to control cells."""
    control = known.control(held_out)
    return lambda n, stream: np.asarray(np.maximum(control.draw(n, stream) + change.astype(np.float32), 0))


def _average_effect_counts(held_out: Condition, known: Known) -> Row | str:
    others, control = known.like(held_out), known.control(held_out)
    if not others:
        return "No other perturbation was measured."
    draw = _on_control(known, held_out, np.mean([known.log_change(one) for one in others], axis=0))
    n_cells = min(control.cells.n_cells(control.condition), MOST_CONTROLS)
    cells = draw(n_cells, known.stream("average effect counts", str(held_out)))
    return _of("average_effect_counts", cells.mean(axis=0, dtype=np.float64), draw)


def _on_control(known: Known, held_out: Condition, change: Array) -> Draw:
    """Put a log ratio of expression fractions onto control cells."""
    control = known.control(held_out)
    return onto_counts(control.cells, control.condition, change, expression=known.expression)


def _nearest_effect(name: str, held_out: Condition, known: Known) -> Row | str:
    others = known.like(held_out)
    if not others:
        return "No other perturbation was measured."
    nearest = known.nearest(held_out, others)
    if nearest is None:
        return "No features say which perturbation is nearest."
    change = known.effect(nearest)
    on_counts = name.endswith(_COUNTS)
    draw = _on_control(known, held_out, known.log_change(nearest)) if on_counts else _sum(known, held_out, change)
    return _changed(name, known.control(held_out).mean, draw, change=change)


def _nearest_level(held_out: Condition, known: Known) -> Row | str:
    others = [one for one in known.other_perturbations(held_out) if one.cell_type == held_out.cell_type]
    if not others:
        return "No other perturbation of this type was measured."
    cells = known.train
    changes = {one: known.changes_between(one, held_out) for one in others}
    measured = {one: change for one, change in changes.items() if change is not None}
    if not measured:
        found = known.nearest(held_out, others)
        if found is None:
            return "No features say which perturbation is nearest."
        return _of("nearest_level", cells.mean(found), lambda n, stream: cells.dense(cells.draw(found, n, stream)))
    nearest = min(measured, key=lambda one: float((measured[one][0] ** 2).sum()))
    change, of_fractions = measured[nearest]
    draw = onto_counts(cells, nearest, of_fractions, expression=known.expression)
    return _changed("nearest_level", cells.mean(nearest), draw, change=change)


def _regression(name: str, held_out: Condition, known: Known) -> Row | str:
    others = known.like(held_out)
    if not others:
        return "No other perturbation was measured."
    others = known.described(others, held_out)
    features = known.features_of([*others, held_out])
    if not others or features is None:
        return "There are no features of the perturbations."
    effects = [np.stack([known.effect(one), known.log_change(one)]) for one in others]
    inputs, wanted = features[:-1], features[-1]
    origin = known.features_of_control(held_out)
    if origin is not None:
        inputs, effects = np.vstack([inputs, origin]), [*effects, np.zeros_like(effects[0])]
    if len(effects) < 2:
        return "A regression needs two measured conditions."
    kernel: Literal["linear", "rbf"] = "rbf" if name.startswith("kernel") else "linear"
    change, of_fractions = (
        ridge_effect(inputs, np.stack([one[at] for one in effects]), wanted, kernel=kernel) for at in (0, 1)
    )
    draw = _on_control(known, held_out, of_fractions) if name.endswith(_COUNTS) else _sum(known, held_out, change)
    return _changed(name, known.control(held_out).mean, draw, change=change)
