"""Baselines of a held-out condition, and what a spread over draws says: small numbers, known answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from scdiffuse.evaluation.perturbations import _ridge
from scdiffuse.evaluation.perturbations._conditions import Condition, ConditionCells, Keys
from scdiffuse.evaluation.perturbations._counts import onto_counts
from scdiffuse.evaluation.perturbations._known import Known
from scdiffuse.evaluation.perturbations._measures import MEASURES
from scdiffuse.evaluation.perturbations._ridge import ridge_effect
from scdiffuse.evaluation.perturbations._rows import BASELINES, Row, baselines_of
from scdiffuse.evaluation.perturbations._summary import combine, summarise


def as_known(means: Mapping[Condition, Sequence[float]], held_out: Condition) -> Known:
    """Hold single cells of given expression; what is held out is not trained on."""
    names = sorted(means)
    matrix = sparse.csr_matrix(np.array([means[one] for one in names], dtype=np.float32))
    rows = {one: np.array([at]) for at, one in enumerate(names)}
    cells = ConditionCells(expression=matrix, counts=matrix, totals=np.asarray(matrix.sum(axis=1)).ravel(), rows=rows)
    keys = Keys(perturbation="drug", control="0", cell_type="kind", layer=None)
    genes = np.array([f"g{i}" for i in range(matrix.shape[1])])
    return Known(real=cells, train=cells.without({held_out}), keys=keys, genes=genes, expression="counts")


def rows_of(means: Mapping[tuple[str, str], Sequence[float]], held_out: tuple[str, str]) -> dict[str, Row]:
    wanted = Condition(*held_out)
    known = as_known({Condition(*one): values for one, values in means.items()}, wanted)
    return {row.name: row for row in baselines_of(wanted, known)}


def test_baselines_of_a_perturbation_seen_in_other_types() -> None:
    rows = rows_of(
        {
            ("a", "0"): [1, 1], ("a", "1"): [9, 9], ("b", "0"): [2, 1], ("b", "1"): [4, 0], ("c", "0"): [9, 9],
            ("c", "1"): [15, 13],
        },
        ("a", "1"),
    )  # fmt: skip
    expected = {
        "control_cells": [1.0, 1.0],
        "shuffled_control": [1.0, 1.0],
        "perturbed_mean": [9.5, 6.5],
        "average_effect": [5.0, 2.5],
        "nearest_effect": [3.0, 0.0],
    }
    assert list(rows) == list(BASELINES)
    assert {name: rows[name].mean.tolist() for name in expected} == expected  # type: ignore[union-attr]
    assert rows["nearest_level"].reason == "No other perturbation of this type was measured."


def test_the_nearest_level_is_moved_by_what_lies_between() -> None:
    rows = rows_of(
        {
            ("a", "0"): [1, 1], ("a", "1"): [3, 1], ("a", "2"): [9, 9], ("b", "0"): [1, 2], ("b", "1"): [4, 2],
            ("b", "2"): [5, 5],
        },
        ("a", "2"),
    )  # fmt: skip
    assert rows["nearest_level"].mean is not None
    assert rows["nearest_level"].mean.tolist() == [4.0, 4.0]


def test_a_dose_that_nobody_measured_is_extrapolated() -> None:
    means = {("", "0"): [1, 1], ("", "1"): [2, 1], ("", "2"): [3, 1], ("", "3"): [4, 1]}
    rows = rows_of(means, ("", "3"))
    assert rows["nearest_effect"].mean is not None
    assert rows["nearest_effect"].mean.tolist() == [3.0, 1.0]
    assert rows["ridge"].mean is not None
    assert rows["ridge"].mean == pytest.approx([4.0, 1.0], abs=0.1)


def test_nothing_is_said_of_names_without_features() -> None:
    rows = rows_of({("", "0"): [1, 1], ("", "p"): [2, 1], ("", "q"): [3, 1], ("", "r"): [4, 1]}, ("", "r"))
    assert rows["ridge"].reason == "There are no features of the perturbations."
    assert rows["nearest_effect"].reason == "No features say which perturbation is nearest."
    assert rows["average_effect"].mean is not None
    assert rows["average_effect"].mean.tolist() == [2.5, 1.0]


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_leaving_one_out_in_closed_form_is_leaving_one_out(kernel: Any) -> None:
    draw = np.random.default_rng(0)
    features, effects = draw.normal(size=(6, 3)), draw.normal(size=(6, 4))
    gram = _ridge._gram(np.vstack([features, features[:1]]), kernel, 6)[:6, :6]
    centred = gram - gram.mean(axis=0) - gram.mean(axis=1)[:, None] + gram.mean()
    values, vectors = np.linalg.eigh(centred)
    found = _ridge._left_out_error(values, vectors, vectors.T @ (effects - effects.mean(axis=0)), penalty=0.7)
    expected = 0.0
    for left in range(6):
        kept = np.delete(np.arange(6), left)
        inner = gram[np.ix_(kept, kept)]
        middle = np.eye(5) - 1 / 5
        towards = gram[left, kept] - inner.mean(axis=0)
        solved = np.linalg.solve(middle @ inner @ middle + 0.7 * np.eye(5), effects[kept] - effects[kept].mean(axis=0))
        expected += ((effects[left] - effects[kept].mean(axis=0) - (middle @ towards) @ solved) ** 2).sum()
    assert found == pytest.approx(expected)


def test_effects_that_features_do_not_explain_are_averaged() -> None:
    draw = np.random.default_rng(0)
    features, effects = draw.normal(size=(30, 2)), draw.normal(size=(30, 5)) + 3
    found = ridge_effect(features, effects, np.array([1.0, -1.0]))
    assert found == pytest.approx(effects.mean(axis=0), abs=0.3)


def values_of(**rows: list[float]) -> dict[tuple[str, str], np.ndarray]:
    return {(row, "mse"): np.array(held, dtype=float) for row, held in rows.items()} | {
        (row, one): np.full(3, np.nan) for row in rows for one in (measure.name for measure in MEASURES) if one != "mse"
    }


@pytest.mark.parametrize(
    ("prediction", "level", "score"),
    [
        ([2.0, 2.1, 1.9], "ahead", 2 / 3),
        ([4.0, 4.1, 3.9], "not_ahead", 0.0),
        ([6.0, 6.1, 5.9], "not_ahead", -2 / 3),
        ([1.0, 7.0, 3.0], "too_few", 1 / 9),
    ],
)
def test_a_level_follows_from_gain_and_spread(prediction: list[float], level: str, score: float) -> None:
    found = summarise(
        values_of(prediction=prediction, control_cells=[5, 5, 5], average_effect=[4, 4, 4], real_half=[1, 1, 1])
    )["mse"]
    assert found["level"] == level
    assert found["best"] == "average_effect"
    assert found["normalised"] == pytest.approx(score)


def test_ahead_of_the_best_baseline_is_not_ahead_of_one_that_spreads_more() -> None:
    found = summarise(values_of(prediction=[2, 2.1, 1.9], control_cells=[1, 9, 8], ridge=[4, 4, 4], real_half=[1] * 3))
    assert (found["mse"]["best"], found["mse"]["level"]) == ("ridge", "too_few")
    assert found["mse"]["not_ahead_of"] == ["control_cells"]


def test_a_measure_that_cannot_tell_baselines_from_real_cells_tells_nothing() -> None:
    found = summarise(values_of(prediction=[4, 5, 3], control_cells=[4, 3, 5], real_half=[3, 5, 4]))["mse"]
    assert (found["level"], found["normalised"]) == ("too_few", None)


def test_a_row_that_is_not_known_everywhere_is_blank_in_the_average() -> None:
    one = values_of(prediction=[1, 1, 1], real_half=[1, 1, 1], ridge=[2, 2, 2], control_cells=[4, 4, 4])
    other = values_of(prediction=[3, 3, 3], real_half=[1, 1, 1], ridge=[np.nan] * 3, control_cells=[4, 4, 4])
    found = summarise(combine([one, other]))["mse"]
    assert found["rows"]["ridge"] is None
    assert found["rows"]["prediction"] == {"value": 2.0, "low": 2.0, "high": 2.0}


def cells_of_counts(counts: np.ndarray) -> tuple[ConditionCells, Condition]:
    matrix, only = sparse.csr_matrix(counts.astype(np.float32)), Condition("a", "0")
    rows = {only: np.arange(len(counts))}
    return ConditionCells(expression=matrix, counts=matrix, totals=counts.sum(axis=1), rows=rows), only


def test_no_change_leaves_counts_as_they_are() -> None:
    counts = np.random.default_rng(0).poisson(3.0, (20, 5))
    draw = onto_counts(*cells_of_counts(counts), np.zeros(5), expression="counts")
    made = draw(20, np.random.default_rng(1))
    assert sorted(made.tolist()) == sorted(counts.tolist())


def test_fractions_change_as_asked_and_library_sizes_stay() -> None:
    counts = np.random.default_rng(0).poisson(30.0, (400, 4))
    made = onto_counts(*cells_of_counts(counts), np.log([3.0, 1.0, 1.0, 1.0]), expression="counts")(
        400, np.random.default_rng(1)
    )
    assert made.mean(axis=0) / made.sum(axis=1).mean() == pytest.approx([3 / 6, 1 / 6, 1 / 6, 1 / 6], abs=0.01)
    assert made.sum(axis=1).mean() == pytest.approx(counts.sum(axis=1).mean(), rel=0.02)
