"""The whole autoencoder: its ELBO and its invariants."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scdiffuse._core.random import cell_keys
from scdiffuse.autoencoder import LIKELIHOODS, AutoencoderConfig, CountAutoencoder, read_counts

N_LATENT = 3


@pytest.fixture(params=list(LIKELIHOODS))
def autoencoder(request: pytest.FixtureRequest, counts: sp.csr_matrix) -> CountAutoencoder:
    """A network whose decoder does more than at its start."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = AutoencoderConfig(n_latent=N_LATENT, n_hidden=8, likelihood=request.param)
        made = CountAutoencoder(torch.from_numpy(np.asarray(counts.mean(axis=0)).ravel() + 0.1), config)
        torch.nn.init.normal_(made.decoder.loadings)
        return made


def _latents(n: int) -> torch.Tensor:
    return torch.randn(n, N_LATENT, generator=torch.Generator().manual_seed(1))


def test_the_elbo_is_log_likelihood_and_kl_divergence(autoencoder: CountAutoencoder, counts: sp.csr_matrix) -> None:
    weights = torch.linspace(0.5, 1.5, 60)
    nll, kl = (term.detach() for term in autoencoder.terms(counts, torch.zeros(60, N_LATENT), weights))
    posterior = autoencoder.encode(counts)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(posterior.mean, posterior.std), torch.distributions.Normal(0.0, 1.0)
    )
    torch.testing.assert_close(kl, (weights * expected.sum(dim=1)).sum())
    cells = read_counts(counts, torch.device("cpu"))
    by_cell = autoencoder.likelihood.nll_per_cell(autoencoder.decoder(posterior.mean), cells)
    torch.testing.assert_close(nll, (weights * by_cell).sum().detach())


def test_decoded_counts_have_their_library_size(autoencoder: CountAutoencoder) -> None:
    sizes = np.arange(1, 301)
    counts = autoencoder.decode(_latents(300), sizes, cell_keys(0, "counts", np.arange(300)))
    assert counts.dtype == np.int32
    np.testing.assert_array_equal(np.asarray(counts.sum(axis=1)).ravel(), sizes)


def test_a_decoded_cell_ignores_its_batch_mates(autoencoder: CountAutoencoder) -> None:
    latents, sizes, cells = _latents(300), np.full(300, 500), np.arange(300)
    together = autoencoder.decode(latents, sizes, cell_keys(0, "counts", cells))
    chosen = np.array([299, 3, 130])
    alone = autoencoder.decode(latents[chosen], sizes[chosen], cell_keys(0, "counts", chosen))
    assert (together[chosen] != alone).nnz == 0


def test_fractions_sum_to_one_and_are_the_same_in_any_block(autoencoder: CountAutoencoder) -> None:
    latents = _latents(300)
    fractions = autoencoder.fractions(latents)
    np.testing.assert_allclose(fractions.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(autoencoder.fractions(latents[[250, 7]]), fractions[[250, 7]])
    assert autoencoder.fractions(latents[:0]).shape == (0, autoencoder.n_genes)


def test_no_latents_decode_to_no_cells(autoencoder: CountAutoencoder) -> None:
    counts = autoencoder.decode(_latents(0), np.empty(0, np.int64), np.empty(0, np.uint64))
    assert counts.shape == (0, autoencoder.n_genes)
