"""Drawn counts against the distributions that they are drawn from."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kstest, nbinom

from scdiffusion._core.random import cell_generators
from scdiffusion.autoencoder._draw import BurstRates, _add_bursts, _draw_cell, _means, draw_counts

MEANS = np.array([0.05, 0.8, 3.0, 12.0])
SIZES = np.array([0.5, 2.0, 10.0, 1e8])
N_DRAWS = 6000


def _draws(means: NDArray[np.float64]) -> NDArray[np.int64]:
    rng = np.random.default_rng(1)
    ends = np.cumsum(SIZES * np.log1p(means / SIZES))
    return np.stack([_draw_cell(means, SIZES, ends, rng=rng) for _ in range(N_DRAWS)])


def _p_value(counts: NDArray[np.int64], mean: float, size: float) -> float:
    """Spread each count over the interval of its probability; of the right distribution, that is uniform."""
    chance = size / (size + mean)
    within = np.random.default_rng(2).random(len(counts))
    levels = nbinom.cdf(counts - 1, size, chance) + within * nbinom.pmf(counts, size, chance)
    return float(kstest(levels, "uniform").pvalue)


@pytest.mark.parametrize("scale", [1.0, 40.0], ids=["clump by clump", "deep cells"])
def test_counts_follow_the_negative_binomial(scale: float) -> None:
    means = MEANS * scale
    counts = _draws(means)
    p_values = [_p_value(counts[:, gene], means[gene], SIZES[gene]) for gene in range(4)]
    assert min(p_values) > 0.01


def test_bursts_come_as_often_and_as_large_as_told() -> None:
    bursts = BurstRates(np.array([0.5, 0.1, 0.02, 0.0]), np.array([20.0, 5.0, 30.0, 9.0]))
    rng = np.random.default_rng(0)
    counts = np.zeros((N_DRAWS, 4), dtype=np.int64)
    for row in counts:
        _add_bursts(row, MEANS, bursts, np.cumsum(bursts.rate * MEANS), rng=rng)
    shares = (counts > 0).mean(axis=0)
    expected = 1 - np.exp(-bursts.rate * MEANS)
    assert (np.abs(shares - expected) <= 4 * np.sqrt(expected / N_DRAWS)).all()
    sizes = counts[:, 1][counts[:, 1] > 0]
    assert sizes.mean() == pytest.approx(1 + MEANS[1] + 5.0, abs=4 * sizes.std() / np.sqrt(sizes.size))
    assert sizes.var() == pytest.approx(MEANS[1] + 5.0 + 5.0**2, rel=0.3)


@pytest.mark.parametrize("bursts", [None, BurstRates(np.full(4, 0.05), np.full(4, 10.0))], ids=["plain", "bursts"])
def test_shares_and_totals_are_as_asked(bursts: BurstRates | None) -> None:
    n = 4000
    shares = np.tile((MEANS / MEANS.sum()).astype(np.float32), (n, 1))
    draws = cell_generators(0, "counts", np.arange(n))
    totals = np.full(n, 40)
    counts = draw_counts(shares, totals, size=SIZES, bursts=bursts, draws=draws).toarray()
    np.testing.assert_array_equal(counts.sum(axis=1), totals)
    np.testing.assert_allclose(counts.mean(axis=0), shares[0] * 40, rtol=0.15)


def test_counts_and_bursts_are_expected_to_fill_the_library() -> None:
    bursts = BurstRates(rate=np.array([1e-3, 0.05, 0.3, 1e-4]), size=np.array([10.0, 20.0, 5.0, 15.0]))
    shares = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]])
    means = _means(shares, np.array([500, 20]), bursts)
    expected = means - np.expm1(-bursts.rate * means) * (1 + bursts.size)
    np.testing.assert_allclose(expected.sum(axis=1), [500, 20], rtol=1e-3)
    np.testing.assert_allclose(means / means.sum(axis=1, keepdims=True), shares)


def test_bursts_that_would_overfill_a_deep_library_leave_room_for_the_rest() -> None:
    bursts = BurstRates(rate=np.full(300, 2.0), size=np.geomspace(10, 11_000, 300))
    shares = np.full((3, 300), 1 / 300)
    totals = np.array([2_000, 500_000, 3_000_000])
    means = _means(shares, totals, bursts)
    expected = means - np.expm1(-bursts.rate * means) * (1 + bursts.size)
    assert np.all(means > 0)
    np.testing.assert_allclose(expected.sum(axis=1), totals, rtol=1e-3)


def test_an_extreme_total_is_kept() -> None:
    shares = np.full((2, 4), 0.25, dtype=np.float32)
    draws = cell_generators(0, "counts", np.arange(2))
    counts = draw_counts(shares, np.array([1, 2_000_000]), size=SIZES, bursts=None, draws=draws)
    assert counts.sum(axis=1).ravel().tolist() == [[1, 2_000_000]]


def test_no_cells_give_an_empty_matrix() -> None:
    none = draw_counts(np.empty((0, 4), np.float32), np.empty(0, np.int64), size=SIZES, bursts=None, draws=iter(()))
    assert none.shape == (0, 4)
