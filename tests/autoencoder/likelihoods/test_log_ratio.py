"""Log-likelihood ratios against SciPy and finite differences; gamma ratios against double precision."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.special import digamma
from scipy.stats import nbinom
from tests.oracles import outlier_moments

from scdiffuse.autoencoder import SparseCounts, read_counts
from scdiffuse.autoencoder.likelihoods._log_ratio import outlier_log_ratio, plain_log_ratio, rising, rising_slope

N_GENES = 5
MEANS = np.array([0.01, 0.9, 4.0, 60.0])


@pytest.fixture
def cells() -> SparseCounts:
    """One cell with single, few and many counts; the fourth gene has none."""
    held = read_counts(sp.csr_matrix(np.array([[1, 2, 9, 0, 120]])), torch.device("cpu"))
    return held._replace(counts=held.counts.double())


def _parameters(seed: int, middle: float) -> torch.Tensor:
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


def test_the_plain_ratio_is_that_of_scipy(cells: SparseCounts) -> None:
    log_inverse_dispersion = _parameters(0, 0.0)
    size = log_inverse_dispersion.detach().exp().numpy()[cells.genes.numpy()]
    log_r = log_inverse_dispersion[cells.genes]
    found = plain_log_ratio(torch.from_numpy(MEANS).log(), log_r, cells).detach().numpy()
    np.testing.assert_allclose(found, _ratio(cells.counts.numpy(), MEANS, size), rtol=1e-7, atol=1e-7)


def test_the_ratio_with_outliers_is_a_mixture(cells: SparseCounts) -> None:
    parameters = (_parameters(0, 0.0), _parameters(1, -2.0), _parameters(2, 1.5))
    size, rate, outlier_size = (one.detach().exp().numpy()[cells.genes.numpy()] for one in parameters)
    counts = cells.counts.numpy()
    _, total, excess = outlier_moments(MEANS, rate, outlier_size)
    none = size * np.log1p(MEANS / size) + rate * MEANS
    k = total**2 / excess
    with_outliers = np.log(-np.expm1(-rate * MEANS)) + nbinom.logpmf(counts - 1, k, k / (k + total)) + none
    log_r = parameters[0][cells.genes]
    found = outlier_log_ratio(torch.from_numpy(MEANS).log(), log_r, *parameters[1:], cells).detach().numpy()
    np.testing.assert_allclose(found, np.logaddexp(_ratio(counts, MEANS, size), with_outliers), rtol=1e-7, atol=1e-7)


def test_gradients_are_those_of_finite_differences(cells: SparseCounts) -> None:
    log_mean = torch.from_numpy(MEANS).log().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda mean, size: plain_log_ratio(mean, size[cells.genes], cells), (log_mean, _parameters(0, 0.0))
    )
    parameters = (_parameters(0, 0.0), _parameters(1, -2.0), _parameters(2, 1.5))
    assert torch.autograd.gradcheck(
        lambda mean, r, rho, s: outlier_log_ratio(mean, r[cells.genes], rho, s, cells), (log_mean, *parameters)
    )


def test_a_vanishing_mean_has_finite_ratios_and_gradients(cells: SparseCounts) -> None:
    log_mean = torch.full((4,), -95.0, requires_grad=True)
    size, rate, outlier_size = (
        _parameters(seed, middle).detach().float().requires_grad_() for seed, middle in enumerate((0.0, -6.5, 2.5))
    )
    log_ratio = outlier_log_ratio(
        log_mean, size[cells.genes], rate, outlier_size, cells._replace(counts=cells.counts.float())
    )
    gradients = torch.autograd.grad(log_ratio.sum(), (log_mean, size, rate, outlier_size))
    assert all(bool(torch.isfinite(one).all()) for one in (log_ratio, *gradients))
