"""What the stages of a fit compute between the networks."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import torch

from scdiffuse.cells import Conditions, open_source
from scdiffuse.fitting._stages import Fit
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig
from scdiffuse.model._networks import Networks


@pytest.fixture
def fit(simulated: ad.AnnData, small: ModelConfig) -> Fit:
    """A fit that has not begun."""
    conditions = Conditions(categorical={}, continuous={})
    table, cells = conditions.encode(simulated.obs), np.arange(simulated.n_obs)
    source = open_source(simulated)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shares = torch.full((source.n_genes,), 1 / source.n_genes)
        networks = Networks(small, conditions=conditions, fractions=shares, training=table.distinct())
    return Fit(networks=networks, source=source, cells=cells, table=table, config=small, seed=0, progress=False)


def test_standardised_latents_have_mean_zero_and_variance_one(fit: Fit) -> None:
    draws = torch.Generator().manual_seed(0)
    means = torch.randn(50_000, 4, generator=draws) * torch.tensor([3.0, 0.1, 1.0, 2.0]) + 5.0
    stds = torch.full((50_000, 4), 0.5)
    fit._standardise(means, stds)
    drawn = means + stds * torch.randn(means.shape, generator=draws)
    standard = (drawn - fit.networks.latent_mean) / fit.networks.latent_std
    torch.testing.assert_close(standard.mean(dim=0), torch.zeros(4), rtol=0, atol=0.02)
    torch.testing.assert_close(standard.var(dim=0), torch.ones(4), rtol=0.02, atol=0)


def test_library_sizes_come_back_from_the_latent(fit: Fit, simulated: ad.AnnData) -> None:
    fit.measure_sizes()
    totals = np.asarray(simulated.X.sum(axis=1)).ravel()
    vectors = torch.zeros(150, 4)
    vectors[:, -1] = torch.from_numpy(fit.networks.sizes.of(totals))
    _, sizes = fit.networks.to_latent(vectors)
    assert sizes.tolist() == totals.astype(int).tolist()
    vectors[0, -1], vectors[1, -1] = 1e6, -1e6
    _, sizes = fit.networks.to_latent(vectors)
    assert sizes[:2].tolist() == [totals.max(), totals.min()]


def test_training_and_validation_cells_are_apart(fit: Fit) -> None:
    training, held = fit._split()
    assert sorted([*training, *held]) == list(range(150))
    assert len(held) == 15


def test_fewer_bits_learn_nearly_the_same(simulated: ad.AnnData, small: ModelConfig) -> None:
    tree = small.to_dict()
    for stage in ("autoencoder_training", "diffusion_training"):
        tree[stage]["precision"] = "bf16"
    exact = CellGenerator(simulated, config=small).fit(progress=False)
    rounded = CellGenerator(simulated, config=ModelConfig.from_dict(tree)).fit(progress=False)
    for stage, curve in exact.history.items():
        losses, others = (np.array(one)[:, 2] for one in (curve, rounded.history[stage]))
        np.testing.assert_allclose(others, losses, rtol=0.02)
        assert not np.array_equal(others, losses)
    assert rounded._networks is not None
    assert {value.dtype for value in rounded._networks.parameters()} == {torch.float32}
