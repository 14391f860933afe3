"""Gene factors from counts: exact limits, and a variance that is recovered."""

from __future__ import annotations

import numpy as np
import pytest

from scdiffuse.calibration import factor_variance, shrunk_factors

LIMITS = (1e-3, 2.0)


def test_without_counts_factors_are_one_and_with_many_those_of_the_counts() -> None:
    mean = np.array([0.0, 1e6, 1e6])
    found = shrunk_factors(np.array([0.0, 2e6, 5e5]), mean, n_cells=10**9, prior=3.0, gene_variance=0.0)
    np.testing.assert_allclose(found, [1.0, 2.0, 0.5], rtol=1e-4)


def test_cells_that_differ_weigh_no_more_than_their_number() -> None:
    found = shrunk_factors(np.array([2e9]), np.array([1e9]), n_cells=6, prior=3.0, gene_variance=0.5)
    np.testing.assert_allclose(found, (3 + 12 * 2) / (3 + 12), rtol=1e-6)


@pytest.mark.parametrize("variance", [0.02, 0.2, 1.0])
def test_the_variance_of_factors_is_found_in_the_counts(variance: float) -> None:
    draw = np.random.default_rng(0)
    mean = draw.gamma(1.0, 40.0, 20_000)
    counts = draw.poisson(mean * draw.gamma(1 / variance, variance, mean.size))
    found = factor_variance(counts.astype(float), mean, n_cells=50, gene_variance=0.0, limits=LIMITS)
    assert found == pytest.approx(variance, rel=0.1)


def test_sampling_alone_is_no_variance_of_factors() -> None:
    mean = np.random.default_rng(0).gamma(1.0, 40.0, 20_000)
    counts = np.random.default_rng(1).poisson(mean).astype(float)
    assert factor_variance(counts, mean, n_cells=50, gene_variance=0.0, limits=LIMITS) < 2e-3
    few = factor_variance(np.zeros(5), np.zeros(5), n_cells=2, gene_variance=0.5, limits=LIMITS)
    assert few == LIMITS[1]
