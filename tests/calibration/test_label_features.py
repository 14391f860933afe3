"""Effects of labels that no cell has: exact where features explain everything, the mean where they tell nothing."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from scdiffuse.calibration import CalibrationConfig, LabelWeights, weigh_labels

CONFIG = CalibrationConfig(feature_ridges=(1e-6, 0.1, 1.0, 3.0))
MANY = 1e9


def weighed(effects: Any, features: Any, unseen: Any, *, n_cells: float = MANY) -> LabelWeights:
    effects = np.asarray(effects, float)
    return weigh_labels(
        effects,
        np.full(len(effects), n_cells),
        features=np.asarray(features, float),
        unseen=np.asarray(unseen, float),
        config=CONFIG,
    )


def test_features_that_explain_the_effects_give_those_of_unseen_labels() -> None:
    draw = np.random.default_rng(0)
    features, slope = draw.normal(size=(12, 2)), draw.normal(size=(2, 5))
    unseen = np.array([[0.5, -0.2], [1.0, 1.0]])
    found = weighed(features @ slope + 1.0, features, unseen)
    np.testing.assert_allclose(found.weights @ (features @ slope + 1.0), unseen @ slope + 1.0, atol=1e-3)
    np.testing.assert_allclose(found.weights.sum(axis=1), 1.0)
    assert (found.expected_error < 0.05).all()


def test_effects_of_combinations_with_summed_features_add_up() -> None:
    draw = np.random.default_rng(1)
    single, effects = np.eye(6), draw.normal(size=(6, 4))
    pairs = single[[0, 0, 1, 2, 3]] + single[[1, 2, 2, 4, 5]]
    features = np.concatenate([np.zeros((1, 6)), single, pairs])
    found = weighed(features @ effects, features, (single[4] + single[5])[None])
    np.testing.assert_allclose(found.weights @ (features @ effects), (effects[4] + effects[5])[None], atol=0.1)


def test_features_that_tell_nothing_leave_the_mean_effect_and_say_so() -> None:
    draw = np.random.default_rng(2)
    effects, features = draw.normal(size=(10, 50)), draw.normal(size=(10, 3))
    found = weighed(effects, features, draw.normal(size=(2, 3)))
    np.testing.assert_allclose(found.weights, 0.1)
    assert (found.expected_error > 0.9).all()


def test_labels_without_features_stand_apart() -> None:
    effects = np.array([[9.0, 9.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0]])
    found = weighed(effects, [[np.nan], [1.0], [2.0], [3.0], [4.0]], [[2.5]])
    assert found.weights[0, 0] == 0.0
    np.testing.assert_allclose(found.weights @ effects, [[2.5, 0.0]], atol=1e-3)


def test_effects_of_few_cells_weigh_less() -> None:
    draw = np.random.default_rng(3)
    effects = draw.normal(size=(8, 30))
    n_cells = np.array([2.0, *[10_000.0] * 7])
    features = draw.normal(size=(8, 2))
    found = weigh_labels(effects, n_cells, features=features, unseen=features[:1] * 0, config=CONFIG)
    assert found.weights[0, 0] < found.weights[0, 1:].min()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_than_three_labels_with_features_tell_nothing(n: int) -> None:
    features = np.full((4, 1), np.nan)
    features[:n] = 1.0
    found = weighed(np.eye(4), features, [[1.0]])
    np.testing.assert_allclose(found.weights, [[1 / n] * n + [0.0] * (4 - n)] if n else [[0.25] * 4])
    assert found.expected_error.tolist() == [1.0]


def test_features_without_a_difference_tell_nothing() -> None:
    found = weighed(np.random.default_rng(4).normal(size=(6, 20)), np.ones((6, 2)), np.ones((1, 2)))
    np.testing.assert_allclose(found.weights, 1 / 6)


def test_a_feature_that_no_trained_label_has_lowers_the_trust() -> None:
    draw = np.random.default_rng(5)
    words = np.array([[float(at in pair) for at in range(6)] for pair in combinations(range(5), 2)])
    effects = words @ draw.normal(size=(6, 20))
    known, new = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0, 0.0, 1.0]
    found = weighed(effects, words, [known, new])
    np.testing.assert_allclose(found.weights[0], found.weights[1])
    assert found.expected_error[0] < 0.05
    assert found.expected_error[1] > 0.3


def test_effects_of_sampling_alone_are_no_ground_for_trust() -> None:
    draw, n, n_cells = np.random.default_rng(3), 12, 40
    found = [
        weighed(
            draw.normal(size=(n, 20)) / n_cells**0.5,
            draw.normal(size=(n, 3)),
            draw.normal(size=(1, 3)),
            n_cells=n_cells,
        )
        for _ in range(40)
    ]
    assert np.mean([one.expected_error[0] > 0.5 for one in found]) > 0.9
