"""Encoder and decoder: sparse equals dense, rows know nothing of each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scdiffuse._core.errors import SettingError
from scdiffuse.autoencoder import AutoencoderConfig
from scdiffuse.autoencoder._network import Decoder, Encoder, _SparseProduct, normalise

CONFIG = AutoencoderConfig(n_latent=3, n_hidden=8)


def _encoder(n_genes: int) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoder(n_genes, CONFIG)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"n_latent": 0}, "must be at least 1"),
        ({"kl_weight": -1.0}, "must not be negative"),
        ({"thinning": 1.0}, "`thinning` must be at least 0 and below 1, got 1.0"),
        ({"balance": 1.5}, "`balance` must be between 0 and 1, got 1.5"),
        ({"likelihood": "poisson"}, "must be 'burst' or 'negative_binomial', got 'poisson'"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        AutoencoderConfig(**setting)


def test_normalising_scales_each_cell_and_keeps_zeros(counts: sp.csr_matrix) -> None:
    found = normalise(counts)
    np.testing.assert_allclose(np.expm1(found.toarray()).sum(axis=1), 1e4, rtol=1e-5)
    np.testing.assert_array_equal(found.indices, counts.indices)
    assert found.dtype == np.float32


def test_a_cell_without_counts_is_encoded() -> None:
    mean, log_variance = _encoder(4)(sp.csr_matrix((2, 4), dtype=np.float32))
    assert bool(torch.isfinite(mean).all())
    assert bool(torch.isfinite(log_variance).all())


def test_the_sparse_first_layer_is_the_dense_one(counts: sp.csr_matrix) -> None:
    encoder = _encoder(counts.shape[1])
    weight = encoder.gene_weight.detach().clone().requires_grad_()
    dense = torch.from_numpy(normalise(counts).toarray()) @ weight
    sparse = _SparseProduct.apply(encoder.gene_weight, normalise(counts))  # type: ignore[no-untyped-call]
    torch.testing.assert_close(sparse, dense)
    for product in (dense, sparse):
        torch.autograd.backward(product.square().sum())
    torch.testing.assert_close(encoder.gene_weight.grad, weight.grad, rtol=1e-4, atol=1e-4)


def test_an_encoded_cell_ignores_its_batch_mates(counts: sp.csr_matrix) -> None:
    encoder = _encoder(counts.shape[1])
    order = np.random.default_rng(0).permutation(counts.shape[0])
    together = encoder(counts)[0].detach()
    torch.testing.assert_close(encoder(counts[order])[0].detach(), together[order])
    torch.testing.assert_close(encoder(counts[5:6])[0].detach(), together[5:6])


def test_the_decoder_starts_at_the_mean_shares() -> None:
    fractions = torch.tensor([0.5, 0.3, 0.2])
    decoder = Decoder(fractions, CONFIG)
    found = torch.softmax(decoder(torch.zeros(2, 3)), dim=1).detach()
    torch.testing.assert_close(found, fractions.repeat(2, 1), rtol=0.05, atol=0.0)
