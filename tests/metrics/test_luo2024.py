"""Metrics of Luo et al. 2024 against their definitions, and what they are blind to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from scdiffuse.metrics import (
    LabelledCells,
    centroid_cosine,
    centroid_distance,
    forest_auc_depth5,
    ilisi,
    knn_auc,
    label_accuracy,
    lisi,
    log_normalise,
    mmd5,
    pcc,
    scc,
)

Cells = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def cells() -> Cells:
    stream = np.random.default_rng(1)
    return stream.normal(size=(120, 5)), stream.normal(size=(120, 5)) + 0.5


@pytest.fixture
def counts() -> Cells:
    stream = np.random.default_rng(2)
    means = stream.gamma(0.5, 3.0, 80)
    return stream.poisson(means, (900, 80)), stream.poisson(means, (110, 80))


def test_scc_and_pcc_correlate_mean_log_expression(counts: Cells) -> None:
    means = [log_normalise(side).toarray().astype(np.float64).mean(axis=0) for side in counts]
    assert scc(*counts) == pytest.approx(spearmanr(*means).statistic, abs=1e-12)
    assert pcc(*counts) == pytest.approx(np.corrcoef(*means)[0, 1], abs=1e-12)


def test_pcc_is_blind_to_cells_that_are_all_the_same(counts: Cells) -> None:
    same = np.tile(counts[0].mean(axis=0), (50, 1))
    assert pcc(counts[0], same) > 0.9


def test_mmd5_agrees_with_all_pairs(cells: Cells) -> None:
    pooled = np.concatenate(cells)
    squares = cdist(pooled, pooled, "sqeuclidean")
    width = squares.sum() / (240 * 239)
    kernel = sum(np.exp(-squares / (width * 2.0**k)) for k in range(-2, 3))
    expected = kernel[:120, :120].mean() + kernel[120:, 120:].mean() - 2 * kernel[:120, 120:].mean()
    assert mmd5(*cells) == pytest.approx(expected, abs=1e-6)


def test_mmd5_of_a_sample_with_itself_is_zero(cells: Cells) -> None:
    assert mmd5(cells[0], cells[0]) == pytest.approx(0.0, abs=1e-7)


def test_ilisi_is_lisi_of_perplexity_thirty(cells: Cells) -> None:
    assert ilisi(*cells) == lisi(*cells, perplexity=30)


@pytest.mark.parametrize("apart", [0.0, 4.0])
def test_the_two_sample_tests_of_luo2024_range_from_chance_to_certainty(cells: Cells, apart: float) -> None:
    x, y = cells[0], np.random.default_rng(5).normal(size=(120, 5)) + apart
    for result in (forest_auc_depth5(x, y, n_trees=50), knn_auc(x, y)):
        assert result.low <= (1.0 if apart else 0.5) <= result.high + 0.01


def test_the_two_sample_tests_of_luo2024_agree_with_sklearn(cells: Cells) -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    ensemble, neighbors = pytest.importorskip("sklearn.ensemble"), pytest.importorskip("sklearn.neighbors")
    metrics = pytest.importorskip("sklearn.metrics")
    features, truth = np.concatenate(cells).astype(np.float32), np.arange(240) >= 120
    parts = selection.train_test_split(features, truth, test_size=0.25, stratify=truth, random_state=0)
    classifiers = (
        (forest_auc_depth5(*cells, n_trees=20), ensemble.RandomForestClassifier(20, max_depth=5, random_state=0)),
        (knn_auc(*cells), neighbors.KNeighborsClassifier(5)),
    )
    for found, classifier in classifiers:
        scores = classifier.fit(parts[0], parts[2]).predict_proba(parts[1])[:, 1]
        assert found.auc == pytest.approx(metrics.roc_auc_score(parts[3], scores), abs=1e-12)


def test_mmd5_agrees_with_sklearn(cells: Cells) -> None:
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    pooled = np.concatenate(cells)
    width = pairwise.euclidean_distances(pooled, squared=True).sum() / (240 * 239)
    kernel = sum(pairwise.rbf_kernel(pooled, gamma=1 / (width * 2.0**k)) for k in range(-2, 3))
    expected = kernel[:120, :120].mean() + kernel[120:, 120:].mean() - 2 * kernel[:120, 120:].mean()
    assert mmd5(*cells) == pytest.approx(expected, abs=1e-6)


def test_label_accuracy_is_the_mean_over_labels() -> None:
    stream = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], [90, 10])
    values = stream.normal(size=(100, 3)) + 9.0 * (labels == "b")[:, None]
    generated = values.copy()
    generated[labels == "b"] -= 9.0
    assert label_accuracy(LabelledCells(values, labels), LabelledCells(generated, labels)) == pytest.approx(
        0.5, abs=0.01
    )


def test_centroids_of_a_hand_computed_case() -> None:
    x, y = np.array([[2.0, 0.0], [4.0, 0.0]]), np.array([[0.0, 4.0]])
    assert centroid_distance(x, y) == pytest.approx(5.0)
    assert centroid_cosine(x, y) == pytest.approx(1.0)


def test_scaled_centroids_share_their_direction() -> None:
    x = np.array([[1.0, 2.0]])
    assert centroid_cosine(x, 3 * x) == pytest.approx(0.0, abs=1e-12)


def test_a_centroid_at_the_origin_has_no_direction() -> None:
    assert centroid_cosine(np.zeros((2, 2)), np.ones((2, 2))) == 1.0
