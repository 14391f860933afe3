"""What is measured of an answer about a held-out condition: names, directions, sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from scdiffuse.metrics import energy_distance
from scdiffuse.metrics._feature_matrices import Array
from scdiffuse.metrics._perturbation_effects import (
    discrimination_score,
    gene_weights,
    mean_absolute_error,
    mean_squared_error,
    overestimated_t,
    pearson_delta,
    weighted_delta_r2,
    weighted_mse,
)
from scdiffuse.metrics._perturbation_genes import (
    GeneTests,
    de_overlap,
    de_precision,
    de_recovery,
    direction_match,
    fold_change_spearman,
    rank_sum_tests,
    shared_top_genes,
)

__all__ = ["MEASURES", "Answer", "Measure", "Question"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """Half of the real cells of a held-out condition, and what they are compared with."""

    cells: Array
    """Expression of as many of them as of every answer, shape ``(n, G)``."""
    mean: Array
    """Mean expression of the half, shape ``(G,)``."""
    control: Array
    """Expression of control cells, shape ``(m, G)``."""
    control_mean: Array
    others: Array
    """Expression of cells of all other perturbations, shape ``(o, G)``."""
    others_mean: Array
    """Mean of the means of the other perturbations."""
    effects: Array
    """Measured effects of all perturbed conditions, shape ``(P, G)``."""
    own: int
    """Row of this condition in it."""
    untargeted: Array
    """Marks the genes that the perturbation does not target, shape ``(G,)``."""
    n_top: int
    fdr: float
    log1p: bool

    @cached_property
    def tests(self) -> GeneTests:
        """Tests of the real cells against control cells."""
        return rank_sum_tests(self.cells, self.control, log1p=self.log1p)

    @cached_property
    def scores(self) -> Array:
        """Scores of the real cells against control cells, shape ``(G,)``."""
        return overestimated_t(self.cells, self.control)

    @cached_property
    def top(self) -> Array:
        """The genes with the highest scores."""
        n = max(2, min(self.n_top, len(self.mean) // 2))
        return np.argsort(-np.abs(self.scores), kind="stable")[:n]

    @cached_property
    def weights(self) -> Array:
        """Weights of the genes: how specific they are to this perturbation."""
        return gene_weights(overestimated_t(self.cells, self.others))


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What a prediction or a baseline says of a question."""

    question: Question
    mean: Array
    cells: Array | None
    """Expression of as many cells as in the question; none where only the mean is known."""

    @cached_property
    def tests(self) -> GeneTests:
        """Tests against control cells."""
        assert self.cells is not None
        return rank_sum_tests(self.cells, self.question.control, log1p=self.question.log1p)

    @cached_property
    def scores(self) -> Array:
        """Scores against control cells, shape ``(G,)``."""
        assert self.cells is not None
        return overestimated_t(self.cells, self.question.control)

    @property
    def effect(self) -> Array:
        """Change of mean expression, shape ``(G,)``."""
        return np.asarray(self.mean - self.question.control_mean)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number of an answer."""

    name: str
    title: str
    better: Literal["lower", "higher"]
    value: Callable[[Question, Answer], float]
    of_cells: bool = False
    """Whether it needs cells; otherwise the mean is enough."""

    @property
    def sign(self) -> int:
        """1 where higher is better."""
        return 1 if self.better == "higher" else -1


def _energy(x: Array, y: Array) -> float:
    """Compare with each cell's distance to itself among the others, as the field does, at equal numbers of cells."""
    return energy_distance(x, y, unbiased=False)


def _cells(answer: Answer) -> Array:
    assert answer.cells is not None
    return answer.cells


def _pearson_top(asked: Question, answer: Answer) -> float:
    return pearson_delta(answer.mean[asked.top], asked.mean[asked.top], control=asked.control_mean[asked.top])


def _rank(metric: Literal["l1", "l2", "cosine"]) -> Callable[[Question, Answer], float]:
    def value(asked: Question, answer: Answer) -> float:
        if len(asked.effects) < 2:
            return float("nan")
        return discrimination_score(answer.effect, asked.effects, own=asked.own, metric=metric, genes=asked.untargeted)

    return value


MEASURES = (
    Measure(
        name="pearson_delta",
        title="Pearson of changes",
        better="higher",
        value=lambda asked, answer: pearson_delta(answer.mean, asked.mean, control=asked.control_mean),
    ),
    Measure(name="pearson_delta_top", title="Pearson of changes, top DE genes", better="higher", value=_pearson_top),
    Measure(
        name="mse",
        title="Mean squared error",
        better="lower",
        value=lambda asked, answer: mean_squared_error(answer.mean, asked.mean),
    ),
    Measure(
        name="mae",
        title="Mean absolute error",
        better="lower",
        value=lambda asked, answer: mean_absolute_error(answer.mean, asked.mean),
    ),
    Measure(
        name="wmse",
        title="Weighted MSE",
        better="lower",
        value=lambda asked, answer: weighted_mse(answer.mean, asked.mean, weights=asked.weights),
    ),
    Measure(
        name="weighted_delta_r2",
        title="Weighted R2 of changes",
        better="higher",
        value=lambda asked, answer: weighted_delta_r2(
            answer.mean, asked.mean, reference=asked.others_mean, weights=asked.weights
        ),
    ),
    Measure(name="discrimination_l1", title="Discrimination (PDS), L1", better="higher", value=_rank("l1")),
    Measure(name="discrimination_l2", title="Discrimination (PDS), L2", better="higher", value=_rank("l2")),
    Measure(name="discrimination_cosine", title="Discrimination (PDS), cosine", better="higher", value=_rank("cosine")),
    Measure(
        name="energy_distance",
        title="E-distance",
        better="lower",
        value=lambda asked, answer: _energy(asked.cells, _cells(answer)),
        of_cells=True,
    ),
    Measure(
        name="energy_distance_top",
        title="E-distance, top DE genes",
        better="lower",
        value=lambda asked, answer: _energy(asked.cells[:, asked.top], _cells(answer)[:, asked.top]),
        of_cells=True,
    ),
    Measure(
        name="de_overlap",
        title="DE overlap at N (DES)",
        better="higher",
        value=lambda asked, answer: de_overlap(answer.tests, asked.tests, fdr=asked.fdr),
        of_cells=True,
    ),
    Measure(
        name="de_precision",
        title="DE precision at N",
        better="higher",
        value=lambda asked, answer: de_precision(answer.tests, asked.tests, fdr=asked.fdr),
        of_cells=True,
    ),
    Measure(
        name="common_degs",
        title="Common DEGs of the top",
        better="higher",
        value=lambda asked, answer: shared_top_genes(answer.scores, asked.scores, n_genes=asked.n_top),
        of_cells=True,
    ),
    Measure(
        name="direction_match",
        title="Direction of DE genes",
        better="higher",
        value=lambda asked, answer: direction_match(answer.tests, asked.tests, fdr=asked.fdr),
        of_cells=True,
    ),
    Measure(
        name="de_spearman",
        title="Spearman of log fold changes",
        better="higher",
        value=lambda asked, answer: fold_change_spearman(answer.tests, asked.tests, fdr=asked.fdr),
        of_cells=True,
    ),
    Measure(
        name="de_pr_auc",
        title="DE recovery, PR AUC",
        better="higher",
        value=lambda asked, answer: de_recovery(answer.tests, asked.tests, curve="pr", fdr=asked.fdr),
        of_cells=True,
    ),
    Measure(
        name="de_roc_auc",
        title="DE recovery, ROC AUC",
        better="higher",
        value=lambda asked, answer: de_recovery(answer.tests, asked.tests, curve="roc", fdr=asked.fdr),
        of_cells=True,
    ),
)
"""Everything that is measured, in the order of a table."""
