"""Numbers of predicted perturbations: exact answers, then what they reward and what they do not see."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from scdiffuse._core.errors import SettingError
from scdiffuse.metrics import (
    GeneTests,
    de_overlap,
    de_precision,
    de_recovery,
    direction_match,
    discrimination_score,
    fold_change_spearman,
    gene_weights,
    overestimated_t,
    pearson_delta,
    rank_sum_tests,
    shared_top_genes,
    weighted_delta_r2,
    weighted_mse,
)


def changes_of(fold: list[float], fdr: list[float]) -> GeneTests:
    return GeneTests(np.array(fold), np.array(fdr), np.array(fdr))


def test_changes_are_correlated_from_their_own_control() -> None:
    predicted, real, control = np.array([2.0, 4.0, 9.0]), np.array([1.0, 5.0, 3.0]), np.array([1.0, 2.0, 3.0])
    own = np.array([0.0, 0.0, 6.0])
    assert pearson_delta(predicted, real, control=control, predicted_control=own) == pytest.approx(
        stats.pearsonr(predicted - own, real - control).statistic
    )


def test_no_change_correlates_with_nothing() -> None:
    control = np.array([1.0, 2.0, 3.0])
    assert pearson_delta(control, np.array([1.0, 5.0, 3.0]), control=control) == 0.0


def test_the_variance_of_the_others_is_taken_as_of_few_cells() -> None:
    cells, others = np.array([[1.0], [3.0]]), np.array([[0.0], [0.0], [3.0], [3.0]])
    assert overestimated_t(cells, others)[0] == pytest.approx(0.5 / math.sqrt(2 / 2 + 3 / 2))


def test_a_constant_gene_has_no_score() -> None:
    assert overestimated_t(np.ones((3, 1)), np.zeros((3, 1))).tolist() == [0.0]


def test_weights_without_a_difference_are_equal() -> None:
    assert gene_weights(np.array([2.0, -2.0])).tolist() == [0.5, 0.5]


def test_the_mean_of_all_perturbations_explains_nothing() -> None:
    draw = np.random.default_rng(0)
    means = draw.normal(size=(5, 40))
    average = means.mean(axis=0)
    weights = gene_weights(means[0] - average)
    assert weighted_delta_r2(average, means[0], reference=average, weights=weights) <= 0
    assert weighted_delta_r2(means[0], means[0], reference=average, weights=weights) == 1.0


def test_errors_count_in_the_genes_with_weight_only() -> None:
    weights = np.array([0.0, 1.0])
    assert weighted_mse(np.array([9.0, 1.0]), np.array([0.0, 0.0]), weights=weights) == 1.0


def test_the_farthest_of_four_scores_a_quarter() -> None:
    effects = np.eye(4)
    assert discrimination_score(np.array([0.0, 1.0, 1.0, 1.0]), effects, own=0, metric="l2") == 0.25


def test_no_effect_is_as_near_to_one_as_to_any_other() -> None:
    assert discrimination_score(np.zeros(4), np.eye(4), own=2, metric="cosine") == 1 - 1.5 / 4


def test_the_targeted_gene_can_be_left_out() -> None:
    effects, predicted = np.array([[5.0, 1.0], [0.0, 0.0]]), np.array([0.0, 1.0])
    assert discrimination_score(predicted, effects, own=0) == 0.5
    assert discrimination_score(predicted, effects, own=0, genes=np.array([False, True])) == 1.0


@pytest.mark.parametrize("metric", ["l1", "l2"])
def test_discrimination_is_gamed_by_scale_and_errors_are_not(metric: str) -> None:
    effects = np.array([[4.0, 0.0, 0.0], [1.0, 0.2, 0.0], [0.0, 1.0, 0.2]])
    timid = np.array([1.0, 0.0, 0.0])
    scores = [discrimination_score(k * timid, effects, own=0, metric=metric) for k in (1, 100)]  # type: ignore[arg-type]
    assert scores == [pytest.approx(1 / 3), 1.0]
    errors = [weighted_mse(k * timid, effects[0], weights=np.ones(3)) for k in (1, 100)]
    assert errors[0] < errors[1]


def test_an_unknown_distance_is_refused() -> None:
    with pytest.raises(SettingError, match="`metric` is 'l3', expected one of"):
        discrimination_score(np.ones(2), np.eye(2), own=0, metric="l3")  # type: ignore[arg-type]


def test_ranks_and_fold_changes_are_those_of_scipy_and_of_geometric_means() -> None:
    draw = np.random.default_rng(1)
    cells, control = np.log1p(draw.poisson(3, (12, 5))), np.log1p(draw.poisson(1, (9, 5)))
    cells[:, 3], control[:, 3] = 0, 0
    found = rank_sum_tests(cells, control)
    expected = [stats.mannwhitneyu(x, y, method="asymptotic").pvalue for x, y in zip(cells.T, control.T, strict=True)]
    expected[3] = 1.0
    assert found.p == pytest.approx(expected)
    assert found.fdr == pytest.approx(stats.false_discovery_control(expected))
    ratio = np.expm1(cells[:, 0].mean()) / np.expm1(control[:, 0].mean())
    assert found.log2_fold_change[[0, 3]] == pytest.approx([np.log2(ratio), 0.0])


def test_a_gene_found_on_one_side_changes_without_bound() -> None:
    assert rank_sum_tests(np.ones((3, 1)), np.zeros((3, 1))).log2_fold_change[0] == np.inf
    assert rank_sum_tests(np.zeros((3, 1)), np.ones((3, 1))).log2_fold_change[0] == -np.inf


def test_overlap_and_precision_rank_significant_genes_by_fold_change() -> None:
    real = changes_of([5, 4, 3, -2, 0.1], [0, 0, 0, 0, 1])
    predicted = changes_of([0.1, 4, 3, -5, 9], [0, 0, 0, 1, 0])
    assert de_overlap(predicted, real) == 0.75  # real 0 1 2 3; predicted 4 1 2 0
    assert de_overlap(predicted, real, n_genes=2) == 0.5  # 0 1; 4 1
    assert de_precision(predicted, real, n_genes=3) == pytest.approx(2 / 3)  # 4 1 2; 0 1 2


def test_nothing_predicted_overlaps_with_nothing() -> None:
    real, nothing = changes_of([5, 4], [0, 0]), changes_of([1, 2], [1, 1])
    assert (de_overlap(nothing, real), de_precision(nothing, real)) == (0.0, 0.0)
    assert math.isnan(de_overlap(real, nothing))


def test_directions_and_ranks_are_those_of_the_real_de_genes() -> None:
    real = changes_of([5, 4, -3, 1], [0, 0, 0, 1])
    predicted = changes_of([2, -1, -3, -9], [1, 1, 1, 0])
    assert direction_match(predicted, real) == pytest.approx(2 / 3)
    assert fold_change_spearman(predicted, real) == 1.0
    assert fold_change_spearman(changes_of([1, 1, 1, 1], [0, 0, 0, 0]), real) == 0.0


def test_recovery_is_1_for_the_right_order_and_chance_for_none() -> None:
    real = changes_of([1, 1, 1, 1], [0, 0.01, 0.5, 1])
    right, none = changes_of([1, 1, 1, 1], [1e-9, 1e-3, 0.2, 0.9]), changes_of([1, 1, 1, 1], [1, 1, 1, 1])
    assert [de_recovery(right, real, curve=one) for one in ("pr", "roc")] == [1.0, 1.0]
    assert [de_recovery(none, real, curve=one) for one in ("pr", "roc")] == [0.5, 0.5]
    with pytest.raises(SettingError, match="`curve` is 'dr', expected one of"):
        de_recovery(right, real, curve="dr")


def test_top_genes_are_shared_by_size_and_not_by_sign() -> None:
    assert shared_top_genes(np.array([-9.0, 8.0, 1.0, 0.0]), np.array([5.0, 0.0, -6.0, 1.0]), n_genes=2) == 0.5
    assert shared_top_genes(np.zeros(4), np.array([5.0, 0.0, -6.0, 1.0])) == 0.0


def test_a_prediction_that_is_no_number_gets_no_score() -> None:
    broken, real = np.array([np.nan, 1.0, 2.0]), np.array([1.0, 2.0, 4.0])
    assert math.isnan(pearson_delta(broken, real, control=np.zeros(3)))
    assert math.isnan(discrimination_score(broken, np.eye(3), own=0))
    with pytest.raises(SettingError, match=r"1 of 3 genes hold NaN, expected numbers\. Check what the expression"):
        rank_sum_tests(np.stack([broken, real]), np.stack([real, real]))
