"""Classifier two-sample tests: intervals against sklearn and simulation, level and power."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from scdiffuse._core.errors import SettingError
from scdiffuse.metrics import ClassifierKind, count_hashes, delong_interval, two_sample_auc
from scdiffuse.metrics._grouped_folds import grouped_folds

KINDS: tuple[ClassifierKind, ...] = ("forest", "boosting", "logistic", "network")


def test_the_area_agrees_with_sklearn_with_ties() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    stream = np.random.default_rng(0)
    truth = stream.random(300) < 0.4
    scores = np.round(stream.normal(size=300) + truth, 1)
    assert delong_interval(truth, scores).auc == pytest.approx(metrics.roc_auc_score(truth, scores), abs=1e-12)


def test_the_interval_of_a_hand_computed_case() -> None:
    # V10 = (1, 1/2), V01 = (1, 1/2): variance 1/8 / 2 + 1/8 / 2 = 1/8, so the half width is 1.96 x .3536.
    result = delong_interval(np.array([False, True, False, True]), np.array([0.0, 1.0, 2.0, 3.0]), level=0.5)
    half = 0.6744897501960817 * np.sqrt(1 / 8)
    assert result == pytest.approx((0.75, 0.75 - half, 0.75 + half))


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    from scipy.stats import norm

    stream = np.random.default_rng(1)
    truth = np.arange(150) >= 90
    exact = float(norm.cdf(1 / np.sqrt(2)))
    held = []
    for _ in range(400):
        result = delong_interval(truth, stream.normal(size=150) + truth)
        held.append(result.low <= exact <= result.high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_the_interval_is_as_wide_as_that_of_a_bootstrap() -> None:
    stream = np.random.default_rng(3)
    positive, negative = stream.normal(size=350) + 0.8, stream.normal(size=250)
    wins = positive[:, None] > negative
    areas = [wins[stream.choice(350, 350)][:, stream.choice(250, 250)].mean() for _ in range(1000)]
    found = delong_interval(np.arange(600) < 350, np.concatenate([positive, negative]))
    assert (found.low, found.high) == pytest.approx(np.quantile(areas, [0.025, 0.975]), abs=0.005)


def test_the_interval_follows_the_definition_pair_by_pair() -> None:
    from scipy.stats import norm

    stream = np.random.default_rng(4)
    positive, negative = np.round(stream.normal(size=70) + 0.6, 1), np.round(stream.normal(size=45), 1)
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = wins.mean(axis=1).var(ddof=1) / 70 + wins.mean(axis=0).var(ddof=1) / 45
    half = norm.ppf(0.975) * np.sqrt(variance)
    found = delong_interval(np.arange(115) < 70, np.concatenate([positive, negative]))
    assert found == pytest.approx((wins.mean(), wins.mean() - half, wins.mean() + half), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_every_classifier_is_at_chance_on_one_distribution(kind: ClassifierKind) -> None:
    x, y = np.random.default_rng(2).normal(size=(2, 250, 6))
    result = two_sample_auc(x, y, kind=kind, folds=3)
    assert result.low - 0.02 <= 0.5 <= result.high + 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_every_classifier_names_the_feature_that_differs(kind: ClassifierKind) -> None:
    x, y = np.random.default_rng(2).normal(size=(2, 250, 6))
    y[:, 3] += 1.5
    result = two_sample_auc(x, y, kind=kind, folds=3, names=list("abcdef"))
    assert result.top_features[0][0] == "d"
    assert result.low > 0.7


@pytest.mark.parametrize("kind", ["forest", "boosting"])
def test_trees_see_lost_correlation_between_equal_marginals(kind: ClassifierKind) -> None:
    stream = np.random.default_rng(4)
    x = np.repeat(stream.normal(size=(400, 1)), 2, axis=1) + 0.2 * stream.normal(size=(400, 2))
    y = np.column_stack([stream.permutation(x[:, 0]), stream.permutation(x[:, 1])])
    assert two_sample_auc(x, y, kind=kind, folds=3).low > 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_the_area_agrees_with_sklearn_on_the_same_folds(kind: ClassifierKind) -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    metrics = pytest.importorskip("sklearn.metrics")
    x, y = np.random.default_rng(5).normal(size=(2, 100, 4)).astype(np.float32)
    y[:, 0] += 0.5
    features, truth = np.concatenate([x, y]), np.arange(200) >= 100
    folds = selection.StratifiedKFold(5, shuffle=True, random_state=9)
    scores = selection.cross_val_predict(_plain_classifier(kind), features, truth, cv=folds, method="predict_proba")[
        :, 1
    ]
    assert two_sample_auc(x, y, kind=kind, seed=9).auc == pytest.approx(metrics.roc_auc_score(truth, scores), abs=1e-12)


def _plain_classifier(kind: ClassifierKind) -> Any:
    """Build the documented classifier with scikit-learn alone, for 200 cells of 4 features."""
    from sklearn import ensemble, linear_model, neural_network, pipeline, preprocessing

    if kind == "forest":
        return ensemble.RandomForestClassifier(100, random_state=9)
    if kind == "boosting":
        return ensemble.HistGradientBoostingClassifier(
            learning_rate=0.15, max_iter=60, max_leaf_nodes=8, max_bins=31, early_stopping=False, random_state=9
        )
    if kind == "logistic":
        return pipeline.make_pipeline(
            preprocessing.StandardScaler(),
            preprocessing.PolynomialFeatures(2, include_bias=False),
            preprocessing.StandardScaler(),
            linear_model.LogisticRegression(C=1 / 3, max_iter=200, random_state=9),
        )
    layers = neural_network.MLPClassifier(
        (64,), alpha=3.0, batch_size=10, early_stopping=True, n_iter_no_change=5, max_iter=40, random_state=9
    )
    return pipeline.make_pipeline(preprocessing.StandardScaler(), layers)


def test_a_regression_on_few_features_sees_how_they_vary_together() -> None:
    stream = np.random.default_rng(8)
    x = np.repeat(stream.normal(size=(300, 1)), 2, axis=1) + 0.3 * stream.normal(size=(300, 2))
    y = stream.permuted(x, axis=0)
    assert two_sample_auc(x, y, kind="logistic", folds=3).low > 0.7


def test_real_cells_drawn_with_replacement_are_at_chance_when_copies_share_a_fold() -> None:
    """With copies on both sides of the folds, a forest recognises cells that it learnt: an artefact."""
    kept, apart = [], []
    for seed in range(4):
        stream = np.random.default_rng(seed)
        pool = stream.normal(size=(600, 8))
        x, y = pool[:300], pool[300:][stream.integers(300, size=300)]
        kept.append(two_sample_auc(x, y, folds=3, n_trees=50).auc)
        keys = np.arange(300), np.arange(300, 600)
        apart.append(two_sample_auc(x, y, folds=3, n_trees=50, copies=keys).auc)
    assert np.mean(kept) == pytest.approx(0.49, abs=0.04)
    assert np.mean(apart) > 0.6


def test_copies_share_a_fold_and_other_cells_keep_theirs() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    truth = np.arange(60) >= 30
    keys = np.arange(60).astype(np.uint64)
    plain = grouped_folds(truth, keys, folds=3, seed=1)
    splits = selection.StratifiedKFold(3, shuffle=True, random_state=1).split(np.zeros((60, 1)), truth)
    for number, (_, held_out) in enumerate(splits):
        assert (plain[held_out] == number).all()
    keys[[5, 40, 41]] = 7  # copies of a real cell, one real and two generated
    together = grouped_folds(truth, keys, folds=3, seed=1)
    assert len({int(together[cell]) for cell in (5, 7, 40, 41)}) == 1
    assert np.bincount(together).min() >= 18


def test_a_collapsed_generator_is_not_hidden_by_the_folds() -> None:
    stream = np.random.default_rng(9)
    x = stream.normal(size=(100, 4))
    y = np.repeat(stream.normal(size=(2, 4)), 50, axis=0)
    assert two_sample_auc(x, y, folds=2, n_trees=20).auc > 0.95


def test_cells_with_equal_counts_have_equal_hashes_however_they_are_stored() -> None:
    dense = np.array([[0, 2, 1], [0, 2, 1], [0, 1, 2], [0, 0, 0]], dtype=np.float32)
    stored = sparse.csr_matrix(dense)
    explicit = sparse.csr_matrix((np.array([2.0, 1.0, 0.0]), np.array([1, 2, 0]), np.array([0, 3])), shape=(1, 3))
    keys = count_hashes(stored)
    assert keys[0] == keys[1] == count_hashes(explicit)[0]
    assert len(set(keys.tolist())) == 3


def test_threads_do_not_change_the_auc() -> None:
    x, y = np.random.default_rng(6).normal(size=(2, 80, 4))
    assert two_sample_auc(x, y, n_jobs=1) == two_sample_auc(x, y, n_jobs=2)


def test_boosting_keeps_the_features_that_are_least_often_zero() -> None:
    stream = np.random.default_rng(7)
    wide = np.where(stream.random((120, 600)) < 0.02, 1.0, 0.0)
    wide[:, 599] = stream.normal(size=120) + np.repeat([0.0, 4.0], 60)
    names = [f"gene{k}" for k in range(600)]
    result = two_sample_auc(wide[:60], wide[60:], kind="boosting", folds=2, names=names)
    assert result.top_features[0][0] == "gene599"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "oracle"}, "expected one of forest, boosting, logistic, network"),
        ({"folds": 1}, "at least 2 folds"),
        ({"folds": 40}, "needs at least 40 of each"),
        ({"names": ["a"]}, "Got 1 names for 2 features"),
    ],
)
def test_classifiers_refuse_bad_settings(options: dict[str, object], words: str) -> None:
    cells = np.zeros((20, 2))
    with pytest.raises(SettingError, match=words):
        two_sample_auc(cells, cells, **options)  # type: ignore[arg-type]


def test_an_interval_needs_two_of_each() -> None:
    with pytest.raises(SettingError, match="needs at least two of each"):
        delong_interval(np.array([True, False]), np.array([0.0, 1.0]))
