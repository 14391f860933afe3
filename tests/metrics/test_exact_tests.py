"""Exact tests agree with enumeration, and hold their level at any size."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from scdiffuse.metrics._exact_tests import (
    auc_p_value,
    clopper_pearson,
    detectable_auc,
    donor_auc_interval,
    excess_p_value,
    least_detectable_excess,
    permutation_test,
    smallest_permutation_p,
    tail_excess,
    tail_p_value,
)
from scdiffuse.metrics._membership import DonorScores, donor_membership, true_positive_rate


def test_no_hit_leaves_the_rule_of_three() -> None:
    low, high = clopper_pearson(0, 1000)
    assert low == 0.0
    assert high == pytest.approx(1 - 0.025 ** (1 / 1000))


def test_fisher_is_that_of_the_lady_who_tastes_tea() -> None:
    assert excess_p_value((4, 4), (0, 4)) == pytest.approx(1 / 70)
    assert excess_p_value((3, 4), (1, 4)) == pytest.approx(17 / 70)


@pytest.mark.parametrize(("n_beyond", "rank"), [(2, 1), (3, 1), (3, 2), (1, 3)])
def test_the_tail_test_is_the_fraction_of_all_orders(n_beyond: int, rank: int) -> None:
    n, null_n = 4, 5
    as_far = 0
    orders = list(combinations(range(n + null_n), n))
    for places in orders:
        null = sorted(set(range(n + null_n)) - set(places))
        as_far += sum(place < null[rank - 1] for place in places) >= n_beyond
    assert tail_p_value((n_beyond, n), (rank, null_n)) == pytest.approx(as_far / len(orders))


def test_the_tail_test_holds_its_level() -> None:
    stream = np.random.default_rng(0)
    found = [tail_excess(stream.random(200), stream.random(300)).p for _ in range(300)]
    assert np.mean(np.array(found) < 0.05) < 0.08


def test_the_least_detectable_excess_is_detected_and_one_cell_less_is_not() -> None:
    n, null_n = 400, 300
    k = round(least_detectable_excess(n, null_n, alpha=0.001) * n)
    null = 1.0 + np.arange(null_n)
    found = [tail_excess(np.r_[np.zeros(size), 2.0 + np.arange(n - size)], null).p for size in (k - 2, k)]
    assert found[1] < 0.001 < found[0]


def test_the_detectable_auc_is_found_as_often_as_it_says() -> None:
    stream, m, n = np.random.default_rng(0), 150, 100
    shift = np.sqrt(2) * 0.5659  # AUC .714 of two normals
    auc = 0.5 + 0.5 * np.mean(np.sign(stream.normal(shift, 1, 40_000) - stream.normal(size=40_000)))
    assert detectable_auc(m, n, alpha=0.001) < auc
    found = []
    for _ in range(100):
        x, y = stream.normal(shift, 1, m), stream.normal(size=n)
        found.append(auc_p_value(float((x[:, None] > y).mean()), m, n) < 0.001)
    assert np.mean(found) > 0.9


def test_three_donors_against_three_give_a_twentieth_at_best() -> None:
    scores, donors = np.array([6.0, 5, 4, 3, 2, 1]), np.array(list("abcdef"))
    found = donor_membership(DonorScores(scores, donors, frozenset("abc")))
    assert found.auc == 1.0
    assert found.p == pytest.approx(1 / 20)
    assert smallest_permutation_p(3, 3) == pytest.approx(1 / 20)
    assert found.low < 0.6
    assert found.high == pytest.approx(1.0)


def test_permutations_agree_with_the_rank_sum() -> None:
    from scipy.stats import mannwhitneyu

    scores = np.random.default_rng(3).normal(size=11)
    is_member = np.arange(11) < 5
    wins = (scores[:, None] > scores).astype(float)
    auc, p = permutation_test(wins, is_member, seed=0)
    exact = mannwhitneyu(scores[:5], scores[5:], alternative="greater", method="exact")
    assert auc * 30 == pytest.approx(exact.statistic)
    assert p == pytest.approx(exact.pvalue)


def test_many_donors_are_permuted_at_random_and_the_same_way_again() -> None:
    scores = np.r_[np.random.default_rng(1).normal(0.8, 1, 20), np.random.default_rng(2).normal(0, 1, 20)]
    wins, is_member = (scores[:, None] > scores).astype(float), np.arange(40) < 20
    first, second = (permutation_test(wins, is_member, seed=0) for _ in range(2))
    assert first == second
    assert first[1] == pytest.approx(auc_p_value(first[0], 20, 20), abs=0.01)


def test_the_interval_over_donors_holds_the_truth() -> None:
    stream, held = np.random.default_rng(0), 0
    for _ in range(200):
        x, y = stream.normal(0.7416, 1, 8), stream.normal(size=8)  # AUC .7
        low, high = donor_auc_interval(float((x[:, None] > y).mean()), 8, 8)
        held += low <= 0.7 <= high
    assert held >= 182


def test_the_interval_of_the_true_positive_rate_holds_the_truth() -> None:
    from scipy.stats import norm

    stream, truth, held = np.random.default_rng(0), norm.sf(norm.isf(0.01) - 1.5), 0
    for _ in range(150):
        found = true_positive_rate(stream.normal(1.5, 1, 400), stream.normal(size=300), fpr=0.01)
        held += found.low <= truth <= found.high
    assert held >= 140


def test_attackers_with_more_cells_of_a_donor_see_more() -> None:
    stream = np.random.default_rng(0)
    donors = np.repeat([f"d{k}" for k in range(20)], 120)
    scores = stream.normal(size=donors.size) + 0.3 * (np.repeat(np.arange(20), 120) < 10)
    cells = DonorScores(scores, donors, frozenset(f"d{k}" for k in range(10)))
    found = [donor_membership(cells, n_cells=n).auc for n in (1, 10, 100, None)]
    assert found == sorted(found)
    assert 0.5 < found[0] < 0.65
    assert found[-1] > 0.95
