"""Scores of all answers about a held-out condition, over draws of the real cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scdiffuse.evaluation.perturbations._conditions import Condition, ConditionCells
from scdiffuse.evaluation.perturbations._known import Known
from scdiffuse.evaluation.perturbations._measures import MEASURES, Answer, Question
from scdiffuse.evaluation.perturbations._rows import PREDICTION, REAL_HALF, Row, baselines_of
from scdiffuse.metrics._feature_matrices import Array
from scdiffuse.metrics._perturbation_genes import rank_sum_tests

__all__ = ["FEWEST_CELLS", "FEWEST_TO_VARY", "ConditionScores", "Limits", "score_condition"]

FEWEST_CELLS = 20
"""Real cells of a held-out condition to score it: ten a half."""
FEWEST_TO_VARY = 2
"""Cells of a control, or of another perturbation, that have a variance; fewer predicted cells count as a mean."""
_ONLY_MEANS = "Only the mean is known, and this needs cells."


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is measured."""

    n_draws: int
    max_cells: int
    """Most cells a side."""
    n_top: int
    fdr: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ConditionScores:
    """Scores of one held-out condition."""

    condition: Condition
    values: dict[tuple[str, str], Array]
    """By row and measure, a value a draw; NaN where it cannot be measured."""
    reasons: dict[str, str]
    """Why a row has no scores, or none of cells."""
    n_real: int
    n_predicted: int | None
    """Predicted cells; none where means were given."""
    n_cells: int
    """Cells a side of a comparison of cells."""
    n_others: int
    """Other perturbations of the type that weights were found against; 0 where control cells stood in."""


def score_condition(
    condition: Condition,
    predicted: ConditionCells | Array,
    *,
    known: Known,
    limits: Limits,
    after_draw: Callable[[], None] = lambda: None,
) -> ConditionScores:
    """Compare all answers with one half of the real cells in each draw; the other half is the ceiling.

    Parameters
    ----------
    condition
        The held-out condition.
    predicted
        Predicted cells, or their mean expression, shape ``(G,)``.
    known
        Real cells, and all that baselines may use.
    limits
        How much is measured.
    after_draw
        Called when a draw is done.
    """
    asking = _Asking(condition, known, limits)
    n_predicted = predicted.n_cells(condition) if isinstance(predicted, ConditionCells) else None
    if isinstance(predicted, ConditionCells) and predicted.n_cells(condition) < FEWEST_TO_VARY:
        predicted = predicted.mean(condition)  # one profile of a perturbation
    means_only = not isinstance(predicted, ConditionCells)
    n_cells = min(known.real.n_cells(condition) // 2, limits.max_cells)
    if isinstance(predicted, ConditionCells):
        n_cells = min(n_cells, predicted.n_cells(condition))
    rows = [_prediction(condition, predicted), *baselines_of(condition, known)]
    values: dict[tuple[str, str], list[float]] = {}
    reasons = {row.name: row.reason for row in rows if row.reason}
    for draw in range(limits.n_draws):
        question, other_half = asking.question(draw, n_cells)
        for row in [*rows, *_controls(question, other_half, asking, n_cells=n_cells, draw=draw)]:
            answer = _answer(row, question, n_cells, stream=known.stream("cells", str(condition), row.name, draw))
            for measure in MEASURES:
                blank = answer is None or (measure.of_cells and answer.cells is None)
                score = float("nan") if blank or answer is None else measure.value(question, answer)
                values.setdefault((row.name, measure.name), []).append(score)
        after_draw()
    if means_only:
        reasons[PREDICTION] = _ONLY_MEANS
    reasons["interpolated_duplicate"] = _ONLY_MEANS
    return ConditionScores(
        condition=condition,
        values={key: np.array(held) for key, held in values.items()},
        reasons=reasons,
        n_real=known.real.n_cells(condition),
        n_predicted=n_predicted,
        n_cells=n_cells,
        n_others=len(asking.others),
    )


def _prediction(condition: Condition, predicted: ConditionCells | Array) -> Row:
    if isinstance(predicted, ConditionCells):
        cells = predicted
        return Row(
            name=PREDICTION,
            kind="prediction",
            mean=cells.mean(condition),
            draw=lambda n, stream: cells.dense(cells.draw(condition, n, stream)),
        )
    return Row(name=PREDICTION, kind="prediction", mean=predicted)


def _answer(row: Row, question: Question, n_cells: int, *, stream: np.random.Generator) -> Answer | None:
    if row.mean is None:
        return None
    return Answer(question=question, mean=row.mean, cells=None if row.draw is None else row.draw(n_cells, stream))


def _controls(question: Question, other_half: Array, asking: _Asking, *, n_cells: int, draw: int) -> list[Row]:
    """Make the rows that know the answer, from the half that is not compared with."""
    mean = other_half.mean(axis=0, dtype=np.float64)
    some = other_half[:n_cells]
    # How sure it is that a gene changes: those that surely do are taken from real cells, the others from the mean.
    sure = 1 - rank_sum_tests(some, question.others, log1p=question.log1p).fdr
    mixed = sure * mean + (1 - sure) * asking.others_mean
    shuffled = asking.known.stream("shuffled", str(asking.condition), draw).permuted(some, axis=0)
    return [
        Row(name="shuffled_real", kind="control", mean=mean, draw=lambda n, stream: shuffled),
        Row(name="interpolated_duplicate", kind="control", mean=mixed),
        Row(name=REAL_HALF, kind="control", mean=mean, draw=lambda n, stream: some),
    ]


class _Asking:
    """Draws halves of the real cells of a condition."""

    def __init__(self, condition: Condition, known: Known, limits: Limits) -> None:
        self.condition, self.known, self.limits = condition, known, limits
        control = known.control(condition)
        self.control_mean = control.mean
        self.control = _some(control.cells, control.condition, limits.max_cells, known=known)
        # Other perturbations of the same type; for its only perturbation, control cells are all there is.
        self.others = {
            one: cells
            for one, cells in self._measured().items()
            if one.cell_type == condition.cell_type and one != condition and cells.n_cells(one) >= FEWEST_TO_VARY
        }
        if self.others:
            self.others_mean = np.mean([cells.mean(one) for one, cells in self.others.items()], axis=0)
            share = max(2, limits.max_cells // len(self.others))
            self.other_cells = np.vstack([_some(cells, one, share, known=known) for one, cells in self.others.items()])
        else:
            self.others_mean, self.other_cells = self.control_mean, self.control
        self.effects, self.own = self._effects()

    def _measured(self) -> dict[Condition, ConditionCells]:
        """Find the cells of all perturbed conditions, held out or not."""
        known = self.known
        found = {one: cells for cells in (known.train, known.real) for one in cells.conditions}
        return {
            one: found[one]
            for one in sorted(found)
            if one.perturbation != known.keys.control and known.has_control(one)
        }

    def _effects(self) -> tuple[Array, int]:
        """Collect the measured effects of all perturbed conditions."""
        measured = {one: cells.mean(one) - self.known.control(one).mean for one, cells in self._measured().items()}
        return np.stack(list(measured.values())), list(measured).index(self.condition)

    def question(self, draw: int, n_cells: int) -> tuple[Question, Array]:
        """Return one half as a question, and the expression of the other."""
        known = self.known
        rows = known.stream("halves", str(self.condition), draw).permutation(known.real.rows[self.condition])
        half = len(rows) // 2
        cells, other = known.real.dense(rows[:half]), known.real.dense(rows[half : 2 * half])
        mean = cells.mean(axis=0, dtype=np.float64)
        effects = self.effects.copy()
        effects[self.own] = mean - self.control_mean
        question = Question(
            cells=cells[:n_cells],
            mean=mean,
            control=self.control,
            control_mean=self.control_mean,
            others=self.other_cells,
            others_mean=self.others_mean,
            effects=effects,
            own=self.own,
            untargeted=known.genes != self.condition.perturbation,
            n_top=self.limits.n_top,
            fdr=self.limits.fdr,
            log1p=known.expression == "log1p",
        )
        return question, other


def _some(cells: ConditionCells, condition: Condition, n: int, *, known: Known) -> Array:
    """Take the expression of at most ``n`` cells of a condition, the same in every draw."""
    rows = cells.rows[condition]
    if rows.size > n:
        rows = np.sort(known.stream("some", str(condition)).permutation(rows)[:n])
    return cells.dense(rows)
