"""Molecules that are counted more than once: the likelihood against sums over molecules, and drawn cells."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.special import logsumexp
from scipy.stats import binom, nbinom, poisson

from scdiffuse._core.compiled import compiled
from scdiffuse._core.random import cell_keys
from scdiffuse.autoencoder import NegativeBinomial, OutlierNegativeBinomial, SparseCounts, read_counts
from scdiffuse.autoencoder.cpu import _draw_kernels
from scdiffuse.autoencoder.likelihoods import draw_counts

RATE = 0.3
SIZES = np.array([0.3, 2.0, 50.0, 6e7])
LOGITS = np.array([[0.1, -1.0, 2.0, 0.5], [-0.5, 0.3, 0.0, 1.0]])
COUNTS = np.array([[4, 0, 11, 1], [0, 3, 1, 16]])
# Inner functions have no entry for Python: they are compiled once more with one.
_count_duplicates, _duplicate = (
    compiled()(getattr(_draw_kernels, name).py_func) for name in ("_count_duplicates", "_duplicate")
)


def _cells(counts: np.ndarray) -> SparseCounts:
    held = read_counts(sp.csr_matrix(counts), torch.device("cpu"))
    return held._replace(counts=held.counts.double(), totals=held.totals.double())


def _plain(rate: float = RATE) -> NegativeBinomial:
    likelihood = NegativeBinomial(4).double()
    likelihood.log_inverse_dispersion.data = torch.from_numpy(np.log(SIZES))
    likelihood.set_duplication_rate(rate)
    return likelihood


def test_counts_are_molecules_and_their_duplicates() -> None:
    means = np.exp(LOGITS - logsumexp(LOGITS, axis=1, keepdims=True)) * COUNTS.sum(axis=1, keepdims=True) / (1 + RATE)
    expected = np.zeros(2)
    for cell, gene in np.ndindex(COUNTS.shape):
        x, size, mean = COUNTS[cell, gene], SIZES[gene], means[cell, gene]
        molecules = np.arange(int(x) + 1)
        ways = nbinom.pmf(molecules, size, size / (size + mean)) * poisson.pmf(x - molecules, molecules * RATE)
        expected[cell] -= np.log(ways.sum())
    found = _plain().nll_per_cell(torch.from_numpy(LOGITS), _cells(COUNTS)).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("mean", [0.02, 1.0, 5.0])
def test_probabilities_sum_to_one(mean: float) -> None:
    likelihood = OutlierNegativeBinomial(1).double()
    likelihood.log_inverse_dispersion.data.fill_(1.0)
    likelihood.set_duplication_rate(RATE)
    cells = _cells(np.arange(3000)[:, None])._replace(totals=torch.full((3000, 1), mean, dtype=torch.float64))
    log_prob = -likelihood.nll_per_cell(torch.zeros(3000, 1, dtype=torch.float64), cells)
    # Counts above 16 are molecules in number as expected, which is nearly a distribution.
    assert float(log_prob.detach().exp().sum()) == pytest.approx(1.0, abs=2e-2)


def test_gradients_are_those_of_finite_differences() -> None:
    likelihood, cells = _plain(), _cells(COUNTS)
    given = (torch.from_numpy(LOGITS), likelihood.log_inverse_dispersion.detach()[:3], torch.tensor([0.3]).double())

    def score(logits: torch.Tensor, log_r: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
        held = {
            "log_inverse_dispersion": torch.cat([log_r, likelihood.log_inverse_dispersion.detach()[3:]]),
            "duplication_rate": rate,
        }
        scored: torch.Tensor = torch.func.functional_call(likelihood, held, (logits, cells))
        return scored

    likelihood.forward = likelihood.nll_per_cell
    assert torch.autograd.gradcheck(score, tuple(one.clone().requires_grad_() for one in given))


def test_the_rate_is_no_parameter_until_there_are_duplicates() -> None:
    likelihood = _plain(0.0)
    assert "duplication_rate" not in likelihood.state_dict()
    other = NegativeBinomial(4).double()
    other.load_state_dict(_plain().state_dict())
    assert other.duplication_rate is not None
    assert other.duplication_rate.item() == pytest.approx(RATE)


def _drawn(rate: float, library_size: int, n_cells: int = 4000) -> np.ndarray:
    fractions = np.full((n_cells, 40), 1 / 40, np.float32)
    counts = draw_counts(
        fractions,
        np.full(n_cells, library_size),
        inverse_dispersion=np.full(40, 1e8),
        outlier_component=None,
        keys=cell_keys(0, "tests", np.arange(n_cells)),
        duplication_rate=rate,
    )
    return np.asarray(counts.toarray())


def test_drawn_cells_have_their_library_size() -> None:
    for library_size in (0, 1, 2, 21):
        assert (_drawn(RATE, library_size, 50).sum(axis=1) == library_size).all()


def test_drawn_counts_are_molecules_and_their_duplicates() -> None:
    counts, mean = _drawn(RATE, 24), 24 / 40 / (1 + RATE)
    molecules = np.arange(60)
    chances = nbinom.pmf(molecules, 1e8, 1e8 / (1e8 + mean))
    for x in (0, 1, 2, 3):
        expected = (chances * poisson.pmf(x - molecules, molecules * RATE)).sum()
        assert (counts == x).mean() == pytest.approx(expected, abs=0.012)  # the library size is fixed
    assert (counts == 1).mean() < (_drawn(0.0, 24) == 1).mean() - 0.05


def test_any_number_of_molecules_is_as_likely_beforehand() -> None:
    state = cell_keys(0, "tests", np.arange(1))
    drawn = np.array([_count_duplicates(400, RATE, state) for _ in range(4000)])
    weights = poisson.pmf(duplicates := np.arange(400), (400 - duplicates) * RATE)
    mean = np.average(duplicates, weights=weights)
    assert drawn.mean() == pytest.approx(mean, abs=0.7)
    assert drawn.std() == pytest.approx(np.sqrt(np.average((duplicates - mean) ** 2, weights=weights)), rel=0.05)


def test_all_molecules_have_duplicates_with_the_same_chance() -> None:
    state, held = cell_keys(1, "tests", np.arange(1)), np.array([1, 0, 5, 30, 4])
    counts = np.tile(held, (6000, 1))
    for row in counts:
        _duplicate(row, 13, np.empty(5), state)
    assert (counts.sum(axis=1) == 53).all()
    for gene in np.flatnonzero(held):
        more = counts[:, gene] - held[gene]
        expected = binom(13, held[gene] / 40)
        assert more.mean() == pytest.approx(expected.mean(), abs=4 * expected.std() / np.sqrt(6000))
        assert more.std() == pytest.approx(expected.std(), rel=0.05)
