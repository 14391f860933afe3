"""Likelihoods against scipy, in the Poisson limit, and as distributions that sum to one."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import nbinom, poisson
from tests.oracles import outlier_moments

from scdiffuse._core.random import cell_keys
from scdiffuse.autoencoder import (
    CountLikelihood,
    DispersionConfig,
    NegativeBinomial,
    OutlierNegativeBinomial,
    SparseCounts,
    read_counts,
)

SIZES = np.array([0.3, 2.0, 50.0, 6e7])
LOGITS = np.array([[0.1, -1.0, 2.0, 0.5], [-0.5, 0.3, 0.0, 1.0]])
COUNTS = np.array([[4, 0, 11, 1], [0, 3, 1, 40]])
Floats = NDArray[np.float64]


def _cells(counts: NDArray[np.int64]) -> SparseCounts:
    held = read_counts(sp.csr_matrix(counts), torch.device("cpu"))
    return held._replace(counts=held.counts.double(), totals=held.totals.double())


def _nb(x: Floats, mean: Floats, size: Floats) -> Floats:
    found: Floats = nbinom.logpmf(x, size, size / (size + mean))
    return found


def _fractions(logits: Floats) -> Floats:
    fractions: Floats = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    return fractions


@pytest.fixture
def plain() -> NegativeBinomial:
    """Dispersions from strong to none."""
    likelihood = NegativeBinomial(4).double()
    likelihood.log_inverse_dispersion.data = torch.from_numpy(np.log(SIZES))
    return likelihood


@pytest.fixture
def with_outliers() -> OutlierNegativeBinomial:
    """Genes whose outliers differ in rate and size."""
    likelihood = OutlierNegativeBinomial(4).double()
    likelihood.log_inverse_dispersion.data = torch.from_numpy(np.log(SIZES))
    likelihood.log_outlier_rate.data = torch.tensor([-2.0, -4.0, -6.5, -1.0], dtype=torch.float64)
    likelihood.log_outlier_size.data = torch.tensor([0.5, 2.5, 3.0, 1.0], dtype=torch.float64)
    return likelihood


def test_the_negative_binomial_is_that_of_scipy(plain: NegativeBinomial) -> None:
    found = plain.nll_per_cell(torch.from_numpy(LOGITS), _cells(COUNTS))
    mean = _fractions(LOGITS) * COUNTS.sum(axis=1, keepdims=True)
    expected = -_nb(COUNTS, mean, SIZES).sum(axis=1)
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)


def test_a_large_size_is_poisson_in_single_precision() -> None:
    likelihood = NegativeBinomial(4)
    likelihood.log_inverse_dispersion.data.fill_(18.0)
    found = likelihood.nll_per_cell(
        torch.from_numpy(LOGITS).float(), read_counts(sp.csr_matrix(COUNTS), torch.device("cpu"))
    )
    mean = _fractions(LOGITS) * COUNTS.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.detach().numpy(), -poisson.logpmf(COUNTS, mean).sum(axis=1), rtol=1e-5)


def test_outliers_mix_two_negative_binomials(with_outliers: OutlierNegativeBinomial) -> None:
    rate, outlier_size = (
        with_outliers.log_outlier_rate.detach().exp().numpy(),
        with_outliers.log_outlier_size.detach().exp().numpy(),
    )
    mean = _fractions(LOGITS) * COUNTS.sum(axis=1, keepdims=True) / (1 + rate * (1 + outlier_size))
    _, total, excess = outlier_moments(mean, rate, outlier_size)
    outlier_log_prob = np.where(COUNTS > 0, _nb(COUNTS - 1, total, total**2 / excess), -np.inf)
    both = np.logaddexp(-rate * mean + _nb(COUNTS, mean, SIZES), np.log(-np.expm1(-rate * mean)) + outlier_log_prob)
    found = with_outliers.nll_per_cell(torch.from_numpy(LOGITS), _cells(COUNTS))
    np.testing.assert_allclose(found.detach().numpy(), -both.sum(axis=1), atol=1e-5)


@pytest.mark.parametrize("mean", [0.02, 1.0, 30.0])
def test_probabilities_with_outliers_sum_to_one(mean: float) -> None:
    likelihood = OutlierNegativeBinomial(1).double()
    likelihood.log_inverse_dispersion.data.fill_(1.0)
    likelihood.log_outlier_rate.data.fill_(-2.0)
    part = 1 / (1 + likelihood.log_outlier_rate.exp() * (1 + likelihood.log_outlier_size.exp()))
    cells = _cells(np.arange(3000)[:, None])
    cells = cells._replace(totals=torch.full((3000, 1), mean, dtype=torch.float64) / part.detach())
    log_prob = -likelihood.nll_per_cell(torch.zeros(3000, 1, dtype=torch.float64), cells)
    assert float(log_prob.detach().exp().sum()) == pytest.approx(1.0, abs=1e-6)


def test_gradients_with_outliers_are_those_of_finite_differences(with_outliers: OutlierNegativeBinomial) -> None:
    cells = _cells(COUNTS)
    logits = torch.from_numpy(LOGITS).requires_grad_()
    names = ("log_inverse_dispersion", "log_outlier_rate", "log_outlier_size")
    given = tuple(getattr(with_outliers, name).detach()[:3].clone().requires_grad_() for name in names)

    def score(logits: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        held = {
            name: torch.cat([part, getattr(with_outliers, name)[3:]])
            for name, part in zip(names, parameters, strict=True)
        }
        scored: torch.Tensor = torch.func.functional_call(with_outliers, held, (logits, cells))
        return scored

    with_outliers.forward = with_outliers.nll_per_cell
    assert torch.autograd.gradcheck(score, (logits, *given))


def test_a_cell_without_counts_scores_finitely(with_outliers: OutlierNegativeBinomial) -> None:
    found = with_outliers.nll_per_cell(torch.from_numpy(LOGITS), _cells(np.zeros((2, 4), dtype=np.int64)))
    assert bool(torch.isfinite(found).all())


def test_only_outliers_have_a_prior_and_its_penalty_is_zero_at_the_start() -> None:
    assert NegativeBinomial(3).penalty().item() == 0.0
    likelihood = OutlierNegativeBinomial(3)
    assert likelihood.penalty().item() == 0.0
    likelihood.log_outlier_rate.data += 1.0
    assert likelihood.penalty().item() > 0.0


def test_reads_start_overdispersed_and_the_prior_of_outliers_is_centred_there() -> None:
    config = DispersionConfig()
    assert config.start(1.4) == config.start()
    likelihood = OutlierNegativeBinomial(3)
    likelihood.initialise(80.0)
    assert likelihood.penalty().item() == 0.0
    assert likelihood.log_outlier_size.detach().exp().numpy() == pytest.approx(80.0)
    assert bool((likelihood.log_inverse_dispersion < 0).all())


@pytest.mark.parametrize("name", ["plain", "with_outliers"])
def test_each_cell_is_drawn_on_its_own(name: str, request: pytest.FixtureRequest) -> None:
    likelihood: CountLikelihood = request.getfixturevalue(name)
    fractions = np.random.default_rng(0).dirichlet(np.ones(4), 9).astype(np.float32)
    sizes = np.arange(5, 95, 10)
    together = likelihood.sample(fractions, sizes, cell_keys(3, "counts", np.arange(9)))
    order = np.array([7, 2, 4])
    alone = likelihood.sample(fractions[order], sizes[order], cell_keys(3, "counts", order))
    assert (together[order] != alone).nnz == 0
    assert together.dtype == np.int32
    np.testing.assert_array_equal(np.asarray(together.sum(axis=1)).ravel(), sizes)


def test_one_gene_alone_has_the_parameters_of_a_gene() -> None:
    likelihood = OutlierNegativeBinomial(1)
    likelihood.initialise(1.5)
    assert set(likelihood.precisions()) == {"log_inverse_dispersion", "log_outlier_rate", "log_outlier_size"}
