"""The final fit of dispersions: what genes share, and molecules that are counted more than once."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scdiffuse._core.processes import ALONE
from scdiffuse.autoencoder import AutoencoderConfig, CountAutoencoder, DispersionConfig, NegativeBinomial
from scdiffuse.autoencoder._counts import read_counts
from scdiffuse.autoencoder._dispersion_fit import DispersionBlock, DispersionFit
from scdiffuse.autoencoder._duplicates import dispersions_of, fit_duplicates


@pytest.fixture(scope="module")
def simulated() -> tuple[CountAutoencoder, ad.AnnData, torch.Tensor]:
    """Cells of two states, whose dispersions follow mean and state and are the same in all genes."""
    rng, n, n_genes = np.random.default_rng(0), 800, 500
    fractions = rng.lognormal(0.0, 1.0, n_genes)
    fractions /= fractions.sum()
    state = np.where(np.arange(n) < n // 2, -1.0, 1.0)
    mean = 1000.0 * np.tile(fractions, (n, 1))
    r = np.exp(0.5 + 0.4 * np.log(mean) + 0.8 * state[:, None])
    counts = rng.poisson(rng.gamma(r) * mean / r).astype(np.float32)
    config = AutoencoderConfig(n_latent=2, n_hidden=8, likelihood="negative_binomial")
    network = CountAutoencoder(torch.from_numpy(fractions).float(), config)
    network.decoder.loadings.data.zero_()
    network.likelihood.get_parameter("log_inverse_dispersion").data.fill_(1.5)  # as after training
    latent = torch.from_numpy(np.column_stack([state, rng.normal(size=n)])).float()
    return network, ad.AnnData(sp.csr_matrix(counts)), latent


def _fit_dispersions(
    network: CountAutoencoder, cells: ad.AnnData, latent: torch.Tensor, **changed: bool
) -> DispersionBlock:
    config = replace(network.config, dispersion=DispersionConfig(**changed))
    network.config = config
    counts = read_counts(cells.X, torch.device("cpu"))
    block = DispersionBlock(latent, network.decoder(latent).detach(), counts, torch.ones(len(latent)))
    fit = DispersionFit(network)
    for _ in range(config.dispersion.n_steps):
        fit.step([block], ALONE)
    return block


def test_genes_share_what_they_say_about_dispersions(
    simulated: tuple[CountAutoencoder, ad.AnnData, torch.Tensor],
) -> None:
    network, cells, latent = simulated
    fitted = deepcopy(network)
    _fit_dispersions(fitted, cells, latent)
    assert fitted.likelihood.get_parameter("mean_exponent").item() == pytest.approx(0.4, abs=0.1)
    assert fitted.decoder.dispersion_loadings.detach().numpy() == pytest.approx([0.8, 0.0], abs=0.12)
    log_r = fitted.likelihood.get_parameter("log_inverse_dispersion").detach()
    rare = np.argsort(np.asarray(cells.X.sum(axis=0)).ravel())[:100]
    assert np.abs(log_r[rare].numpy() - 0.5).mean() < 0.25  # genes of a few counts each


def test_mean_and_state_dependence_have_switches(
    simulated: tuple[CountAutoencoder, ad.AnnData, torch.Tensor],
) -> None:
    network, cells, latent = simulated
    fitted = deepcopy(network)
    _fit_dispersions(fitted, cells, latent, mean_dependence=False, state_dependence=False)
    assert not fitted.likelihood.get_parameter("mean_exponent").any()
    assert not fitted.decoder.dispersion_loadings.any()


def _doubled(cells: ad.AnnData, rate: float) -> ad.AnnData:
    """Count molecules more than once."""
    doubled = cells.copy()
    counts = doubled.X.data.astype(np.int64)
    doubled.X.data = (counts + np.random.default_rng(3).poisson(rate * counts)).astype(np.float32)
    return doubled


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_duplicates_are_found_where_they_are(
    simulated: tuple[CountAutoencoder, ad.AnnData, torch.Tensor], rate: float
) -> None:
    network, cells, latent = simulated
    fitted = deepcopy(network)
    block = _fit_dispersions(fitted, _doubled(cells, rate), latent)
    before = fitted.likelihood.get_parameter("log_inverse_dispersion").detach().clone()
    fit_duplicates(fitted, [block], ALONE, trained=dispersions_of(network))
    likelihood = fitted.likelihood
    assert isinstance(likelihood, NegativeBinomial)
    if not rate:
        assert likelihood.duplication_rate is None
        assert torch.equal(likelihood.log_inverse_dispersion, before)
        return
    assert likelihood.duplication_rate is not None
    assert likelihood.duplication_rate.item() == pytest.approx(rate, abs=0.05)
    assert likelihood.mean_exponent.item() == pytest.approx(0.4, abs=0.15)  # as without duplicates


def test_duplicates_have_a_switch(simulated: tuple[CountAutoencoder, ad.AnnData, torch.Tensor]) -> None:
    network, cells, latent = simulated
    fitted = deepcopy(network)
    block = _fit_dispersions(fitted, _doubled(cells, 0.3), latent, duplicates=False)
    fit_duplicates(fitted, [block], ALONE, trained=dispersions_of(network))
    assert fitted.likelihood.duplication_rate is None
