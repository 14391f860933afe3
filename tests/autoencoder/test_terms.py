"""The fused terms over all genes against plain autograd, and log-gamma differences against float64."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.special
import torch
from torch import Tensor

from scdiffusion.autoencoder import Counted, read_counts
from scdiffusion.autoencoder._terms import dense_terms, log_rising

N_GENES = 6
Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture
def cells() -> Counted:
    """Three cells, the last one without a count."""
    counts = sp.csr_matrix(np.array([[1, 0, 2, 0, 0, 7], [0, 0, 0, 3, 0, 0], [0, 0, 0, 0, 0, 0]]))
    held = read_counts(counts, torch.device("cpu"))
    return held._replace(counts=held.counts.double(), totals=held.totals.double())


@pytest.fixture
def inputs() -> Inputs:
    """Logits, log sizes, burst rates and log totals."""
    draws = torch.Generator().manual_seed(0)

    def normals(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draws, dtype=torch.float64)

    log_size, burst_rate, log_totals = normals(N_GENES), normals(N_GENES).exp() * 0.1, normals(3, 1) + 2.0
    held = (normals(3, N_GENES), log_size, burst_rate, log_totals)
    for tensor in held:
        tensor.requires_grad_()
    return held


def test_non_zeros_are_read_with_their_places_and_totals() -> None:
    held = read_counts(sp.csr_matrix([[0, 2, 1], [0, 0, 0], [4, 0, 0]]), torch.device("cpu"))
    assert held.counts.tolist() == [2, 1, 4]
    assert (held.rows.tolist(), held.genes.tolist()) == ([0, 0, 2], [1, 2, 0])
    assert held.totals.ravel().tolist() == [3, 1, 4]


def test_fused_terms_are_those_of_the_formula(cells: Counted, inputs: Inputs) -> None:
    logits, log_size, burst_rate, log_totals = inputs
    zero_cost, log_mean = dense_terms(*inputs, cells)
    mean = torch.softmax(logits, dim=1) * log_totals.exp()
    expected = (log_size.exp() * torch.log1p(mean / log_size.exp()) + burst_rate * mean).sum(dim=1)
    torch.testing.assert_close(zero_cost, expected)
    torch.testing.assert_close(log_mean, mean.log()[cells.rows, cells.genes])


def test_fused_gradients_are_those_of_finite_differences(cells: Counted, inputs: Inputs) -> None:
    assert torch.autograd.gradcheck(lambda a, b, c, d: dense_terms(a, b, c, d, cells), inputs)


@pytest.mark.parametrize("size", [1e-3, 0.5, 3.0, 1e3, 1e8])
def test_the_log_gamma_difference_holds_from_tiny_to_huge_sizes(size: float) -> None:
    counts = torch.tensor([0.0, 1.0, 2.0, 5.0, 300.0])
    found = log_rising(counts, torch.full((5,), size))
    expected = [scipy.special.gammaln(float(x) + size) - scipy.special.gammaln(size) for x in counts[:4]]
    np.testing.assert_allclose(found[:4].numpy(), expected, rtol=2e-6, atol=1e-6)
    assert found[4] == pytest.approx(sum(np.log(size + at) for at in range(300)), rel=1e-6)


def test_the_log_gamma_difference_has_the_right_slope() -> None:
    size = torch.tensor([0.7, 2.0, 40.0, 9.0], dtype=torch.float64, requires_grad=True)
    counts = torch.tensor([0.0, 1.0, 2.0, 17.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda given: log_rising(counts, given), (size,))
