"""The fused terms over all genes against plain autograd."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor

from scdiffuse.autoencoder import SparseCounts, read_counts
from scdiffuse.autoencoder.likelihoods._dense import dense_terms

N_GENES = 6
Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture
def cells() -> SparseCounts:
    """Three cells, the last one without a count."""
    counts = sp.csr_matrix(np.array([[1, 0, 2, 0, 0, 7], [0, 0, 0, 3, 0, 0], [0, 0, 0, 0, 0, 0]]))
    held = read_counts(counts, torch.device("cpu"))
    return held._replace(counts=held.counts.double(), totals=held.totals.double())


@pytest.fixture
def inputs() -> Inputs:
    """Logits, log inverse dispersions, outlier rates and log fractions of plain counts."""
    draws = torch.Generator().manual_seed(0)

    def normals(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draws, dtype=torch.float64)

    log_inverse_dispersion, outlier_rate, log_plain_fraction = (
        normals(N_GENES),
        normals(N_GENES).exp() * 0.1,
        normals(N_GENES) - 1.0,
    )
    held = (normals(3, N_GENES), log_inverse_dispersion, outlier_rate, log_plain_fraction)
    for tensor in held:
        tensor.requires_grad_()
    return held


def test_non_zeros_are_read_with_their_positions_and_totals() -> None:
    held = read_counts(sp.csr_matrix([[0, 2, 1], [0, 0, 0], [4, 0, 0]]), torch.device("cpu"))
    assert held.counts.tolist() == [2, 1, 4]
    assert (held.rows.tolist(), held.genes.tolist()) == ([0, 0, 2], [1, 2, 0])
    assert held.totals.ravel().tolist() == [3, 1, 4]


def test_fused_terms_are_those_of_the_formula(cells: SparseCounts, inputs: Inputs) -> None:
    logits, log_inverse_dispersion, outlier_rate, log_plain_fraction = inputs
    zero_cost, log_mean = dense_terms(*inputs, cells)
    mean = torch.softmax(logits, dim=1) * cells.totals * log_plain_fraction.exp()
    expected = (
        log_inverse_dispersion.exp() * torch.log1p(mean / log_inverse_dispersion.exp()) + outlier_rate * mean
    ).sum(dim=1)
    torch.testing.assert_close(zero_cost, expected)
    torch.testing.assert_close(log_mean, mean.log()[cells.rows, cells.genes])


def test_fused_gradients_are_those_of_finite_differences(cells: SparseCounts, inputs: Inputs) -> None:
    assert torch.autograd.gradcheck(lambda a, b, c, d: dense_terms(a, b, c, d, cells), inputs)
