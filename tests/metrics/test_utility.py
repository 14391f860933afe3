"""Usefulness of generated cells, on blobs whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffuse._core.errors import ConditionError
from scdiffuse.metrics import LabelledCells, label_accuracy_by_label, rare_gain, train_on_generated

NAMES = np.array(["A", "B", "C"])


def blobs(n: int, *, seed: int, apart: float = 8.0) -> LabelledCells:
    stream = np.random.default_rng(seed)
    types = np.arange(n) % 3
    return LabelledCells(stream.normal(size=(n, 5)) + apart * np.eye(3, 5)[types], NAMES[types])


def swapped(cells: LabelledCells) -> LabelledCells:
    return LabelledCells(cells.values, np.roll(NAMES, 1)[np.searchsorted(NAMES, cells.labels)])


def test_faithful_cells_teach_everything() -> None:
    assert train_on_generated(blobs(150, seed=1), blobs(150, seed=2)) == (1.0, 1.0, 1.0)


def test_swapped_labels_teach_nothing() -> None:
    assert train_on_generated(swapped(blobs(150, seed=1)), blobs(150, seed=2)).accuracy == 0.0


def test_a_missing_label_costs_its_share() -> None:
    cells = blobs(150, seed=1)
    kept = cells.labels != "C"
    score = train_on_generated(LabelledCells(cells.values[kept], cells.labels[kept]), blobs(150, seed=2))
    assert score.balanced_accuracy == pytest.approx(2 / 3)


def test_scores_agree_with_sklearn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth, predicted = NAMES[np.array([0, 0, 1, 2, 2, 2])], NAMES[np.array([0, 1, 1, 2, 0, 2])]
    from scdiffuse.metrics._utility import _classification_scores

    score = _classification_scores(predicted, truth, list(NAMES))
    assert score.macro_f1 == pytest.approx(metrics.f1_score(truth, predicted, average="macro"))
    assert score.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))


def test_label_accuracy_finds_the_label_that_went_wrong() -> None:
    cells = blobs(150, seed=2)
    labels = np.where(cells.labels == "B", "A", cells.labels)
    scores = label_accuracy_by_label(blobs(150, seed=1), LabelledCells(cells.values, labels))
    assert dict(scores.by_label) == {"A": 0.5, "C": 1.0}


def test_unlabelled_cells_neither_teach_nor_test() -> None:
    train = blobs(150, seed=1)
    train = LabelledCells(train.values, np.where(np.arange(150) < 30, "", train.labels))
    assert set(label_accuracy_by_label(train, blobs(60, seed=2)).by_label) == {"A", "B", "C"}


def test_good_cells_help_where_real_ones_are_few() -> None:
    train, test = blobs(300, seed=1, apart=1.5), blobs(600, seed=2, apart=1.5)
    assert rare_gain(train, blobs(600, seed=3, apart=1.5), test, n_real=3) > 0.03


def test_wrong_cells_harm_where_real_ones_are_few() -> None:
    train, test = blobs(300, seed=1, apart=3.0), blobs(300, seed=2, apart=3.0)
    assert rare_gain(train, swapped(blobs(600, seed=3, apart=3.0)), test, n_real=3) < -0.3


def test_thinning_keeps_rare_labels() -> None:
    labels = np.array(["common"] * 980 + ["rare"] * 20)
    values = np.random.default_rng(0).normal(size=(1000, 2)) + 9.0 * (labels == "rare")[:, None]
    test = LabelledCells(values, labels)
    assert train_on_generated(test, test, max_cells=100).macro_f1 > 0.9


def test_a_classifier_needs_two_labels() -> None:
    cells = blobs(60, seed=1)
    with pytest.raises(ConditionError, match="a classifier needs two"):
        train_on_generated(LabelledCells(cells.values, np.full(60, "A")), cells)


def test_labels_with_no_real_cells_are_not_tested() -> None:
    cells = blobs(60, seed=1)
    with pytest.raises(ConditionError, match="No label has 50 real cells"):
        train_on_generated(cells, cells, min_cells=50)
