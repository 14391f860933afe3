"""Gains at the non-zeros against SciPy and finite differences; gamma ratios against double precision."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.special import digamma
from scipy.stats import nbinom
from tests.oracles import burst_moments

from scdiffuse.autoencoder import Counted, read_counts
from scdiffuse.autoencoder.likelihoods._log_ratio import outlier_log_ratio, plain_log_ratio, rising, rising_slope

N_GENES = 5
MEANS = np.array([0.01, 0.9, 4.0, 60.0])


@pytest.fixture
def cells() -> Counted:
    """One cell with single, few and many counts; the fourth gene has none."""
    held = read_counts(sp.csr_matrix(np.array([[1, 2, 9, 0, 120]])), torch.device("cpu"))
    return held._replace(counts=held.counts.double())


def _shapes(seed: int, middle: float) -> torch.Tensor:
    draws = torch.Generator().manual_seed(seed)
    return (middle + 0.5 * torch.randn(N_GENES, generator=draws, dtype=torch.float64)).requires_grad_()


def _ratio(counts: np.ndarray, mean: np.ndarray, size: np.ndarray) -> np.ndarray:
    chance = size / (size + mean)
    return np.asarray(nbinom.logpmf(counts, size, chance) - nbinom.logpmf(0, size, chance))


@pytest.mark.parametrize("size", [1e-3, 0.5, 3.0, 1e3, 1e8])
def test_gamma_ratios_hold_in_single_precision(size: float) -> None:
    counts = torch.tensor([0.0, 1.0, 2.0, 5.0, 300.0])
    exact = counts.double().numpy()
    found, slope = rising(counts, torch.full((5,), size)), rising_slope(counts, torch.full((5,), size))
    expected = [sum(np.log(size + at) for at in range(int(x))) for x in exact]
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-6, atol=2e-6)
    if size < 1e6:  # the difference of digammas loses its digits beyond
        np.testing.assert_allclose(slope.numpy(), digamma(exact + size) - digamma(size), rtol=2e-5)


def test_the_plain_gain_is_that_of_scipy(cells: Counted) -> None:
    log_inverse_dispersion = _shapes(0, 0.0)
    size = log_inverse_dispersion.detach().exp().numpy()[cells.genes.numpy()]
    found = plain_log_ratio(torch.from_numpy(MEANS).log(), log_inverse_dispersion, cells).detach().numpy()
    np.testing.assert_allclose(found, _ratio(cells.counts.numpy(), MEANS, size), rtol=1e-7, atol=1e-7)


def test_the_gain_with_bursts_is_a_mixture(cells: Counted) -> None:
    shapes = (_shapes(0, 0.0), _shapes(1, -2.0), _shapes(2, 1.5))
    size, rate, burst = (one.detach().exp().numpy()[cells.genes.numpy()] for one in shapes)
    counts = cells.counts.numpy()
    _, total, excess = burst_moments(MEANS, rate, burst)
    none = size * np.log1p(MEANS / size) + rate * MEANS
    k = total**2 / excess
    bursting = np.log(-np.expm1(-rate * MEANS)) + nbinom.logpmf(counts - 1, k, k / (k + total)) + none
    found = outlier_log_ratio(torch.from_numpy(MEANS).log(), *shapes, cells).detach().numpy()
    np.testing.assert_allclose(found, np.logaddexp(_ratio(counts, MEANS, size), bursting), rtol=1e-7, atol=1e-7)


def test_gradients_are_those_of_finite_differences(cells: Counted) -> None:
    log_mean = torch.from_numpy(MEANS).log().requires_grad_()
    assert torch.autograd.gradcheck(lambda mean, size: plain_log_ratio(mean, size, cells), (log_mean, _shapes(0, 0.0)))
    shapes = (_shapes(0, 0.0), _shapes(1, -2.0), _shapes(2, 1.5))
    assert torch.autograd.gradcheck(
        lambda mean, r, rho, s: outlier_log_ratio(mean, r, rho, s, cells), (log_mean, *shapes)
    )


def test_a_vanishing_mean_has_finite_gains_and_gradients(cells: Counted) -> None:
    log_mean = torch.full((4,), -95.0, requires_grad=True)
    size, rate, burst = (
        _shapes(seed, middle).detach().float().requires_grad_() for seed, middle in enumerate((0.0, -6.5, 2.5))
    )
    log_ratio = outlier_log_ratio(log_mean, size, rate, burst, cells._replace(counts=cells.counts.float()))
    gradients = torch.autograd.grad(log_ratio.sum(), (log_mean, size, rate, burst))
    assert all(bool(torch.isfinite(one).all()) for one in (log_ratio, *gradients))
