"""Settings, encoder and decoder: sparse equals dense, and no cell depends on another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scdiffuse._core.errors import SettingError
from scdiffuse.autoencoder import AutoencoderConfig, DispersionConfig, NetworkConfig
from scdiffuse.autoencoder._network import Decoder, Encoder, _SparseProduct, normalise

CONFIG = AutoencoderConfig(n_latent=3, n_hidden=8)


def _encoder(n_genes: int) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoder(n_genes, CONFIG)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"n_latent": 0}, "`n_latent` must be at least 1, got 0"),
        ({"kl_weight": -1.0}, "`kl_weight` must not be negative, got -1.0"),
        ({"linear_rate": 0.0}, "`linear_rate` must be positive, got 0.0"),
        ({"late_start": 2.0}, "`late_start` must lie between 0 and 1, got 2.0"),
        ({"thinning": 1.0}, "`thinning` must be at least 0 and below 1, got 1.0"),
        ({"likelihood": "poisson"}, "must be 'negative_binomial_with_outliers' or 'negative_binomial', got 'poisson'"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        AutoencoderConfig(**setting)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"n_steps": 0}, "`n_steps` of the dispersions must be at least 1, got 0"),
        ({"outlier_precision": -1.0}, "`outlier_precision` must not be negative, got -1.0"),
        ({"first_step": 2.0}, "must be positive and rise"),
        ({"step_increase": 0.9}, "`step_increase` above 1"),
        ({"read_counts_per_detection": 0.0}, "`read_counts_per_detection` must be positive, got 0.0"),
        ({"missing_twos": 0.0}, "`missing_twos` must be positive, got 0.0"),
        ({"least_duplication_rate": 0.5}, r"must be positive and not fall, got \(0.5, 0.3\)"),
    ],
)
def test_settings_of_dispersions_out_of_range_are_refused(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        DispersionConfig(**setting)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"target_sum": 0.0}, "`target_sum` must be positive, got 0.0"),
        ({"lowest_log_variance": 5.0}, "`lowest_log_variance` must be below `highest_log_variance`"),
    ],
)
def test_settings_of_networks_out_of_range_are_refused(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        NetworkConfig(**setting)


def test_networks_follow_their_settings(counts: sp.csr_matrix) -> None:
    network = NetworkConfig(target_sum=10.0, initial_log_variance=-30.0, lowest_log_variance=-2.0)
    encoder = Encoder(counts.shape[1], AutoencoderConfig(n_latent=3, n_hidden=8, network=network))
    _, log_variance = encoder(counts)
    assert bool((log_variance == -2.0).all())
    assert encoder.target_sum == 10.0
    still = NetworkConfig(initial_weight_std=1e-9)
    decoder = Decoder(torch.full((4,), 0.25), AutoencoderConfig(n_latent=3, n_hidden=8, network=still))
    assert float(decoder.loadings.detach().abs().max()) < 1e-7


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


def test_the_decoder_starts_at_the_mean_fractions() -> None:
    fractions = torch.tensor([0.5, 0.3, 0.2])
    decoder = Decoder(fractions, CONFIG)
    found = torch.softmax(decoder(torch.zeros(2, 3)), dim=1).detach()
    torch.testing.assert_close(found, fractions.repeat(2, 1), rtol=0.05, atol=0.0)
