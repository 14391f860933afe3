"""What the stages of a fit compute between the networks."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from tests.fitted_model import networks_of

from scdiffuse.calibration import CalibrationConfig
from scdiffuse.cells import Blocks
from scdiffuse.cells._rows import MemorySource
from scdiffuse.fitting import _stages, read_data
from scdiffuse.fitting._log import FitLog
from scdiffuse.fitting._stages import FitContext, fit_autoencoder, set_latent_scale
from scdiffuse.generator import CellGenerator
from scdiffuse.model import EncodedCells, ModelConfig, ModelMetadata, Networks


@pytest.fixture
def fit(simulated: ad.AnnData, small: ModelConfig) -> FitContext:
    """A fit that has not begun, and keeps nothing on disk."""
    data = read_data(simulated, conditions=(), continuous=(), layer=None, min_cells=10, calibration=CalibrationConfig())
    metadata = ModelMetadata(config=small, conditions=data.conditions, var=data.var, data=data.summary())
    n_genes = data.source.n_genes
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fractions = torch.full((n_genes,), 1 / n_genes)
        networks = Networks(small, conditions=data.conditions, fractions=fractions, training=data.table.distinct())
    log = FitLog(None, networks, metadata, metadata.record(seed=0, max_epochs=None), begun=False)
    return FitContext(networks=networks, data=data, config=small, seed=0, log=log, progress=False)


def test_standardised_latents_have_mean_zero_and_variance_one(fit: FitContext) -> None:
    draws = torch.Generator().manual_seed(0)
    means = torch.randn(50_000, 3, generator=draws) * torch.tensor([3.0, 0.1, 1.0]) + 5.0
    stds = torch.full((50_000, 3), 0.5)
    library_sizes = np.random.default_rng(0).lognormal(7.0, 0.5, 50_000).round()
    networks = fit.networks
    networks.library_size_score.learn(library_sizes)
    set_latent_scale(networks, EncodedCells(means, stds, torch.from_numpy(library_sizes)))
    drawn = means + stds * torch.randn(means.shape, generator=draws)
    found = torch.cat([drawn, torch.from_numpy(networks.library_size_score.of(library_sizes))[:, None].float()], dim=1)
    standard = (found - networks.latent_mean) / networks.latent_std
    torch.testing.assert_close(standard.mean(dim=0), torch.zeros(4), rtol=0, atol=0.02)
    torch.testing.assert_close(standard.var(dim=0), torch.ones(4), rtol=0.02, atol=0)


def test_library_sizes_come_back_from_the_latent(fit: FitContext, simulated: ad.AnnData) -> None:
    fit.networks.library_size_score.learn(fit.data.library_sizes)
    totals = np.asarray(simulated.X.sum(axis=1)).ravel()
    vectors = torch.zeros(150, 4)
    vectors[:, -1] = torch.from_numpy(fit.networks.library_size_score.of(totals))
    _, library_sizes = fit.networks.split(vectors)
    assert library_sizes.tolist() == totals.astype(int).tolist()
    vectors[0, -1], vectors[1, -1] = 1e6, -1e6
    _, library_sizes = fit.networks.split(vectors)
    assert library_sizes[:2].tolist() == [totals.max(), totals.min()]


def test_training_and_validation_cells_are_apart(fit: FitContext) -> None:
    training, held = fit.split()
    assert sorted([*training, *held]) == list(range(150))
    assert len(held) == 15


def test_buffers_that_were_announced_are_not_read_after_the_training(
    fit: FitContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_read, rows = [0], MemorySource.rows

    def counted(self: MemorySource, indices: NDArray[np.integer]) -> sp.csr_matrix:
        n_read[0] += len(indices)
        return rows(self, indices)

    monkeypatch.setattr(MemorySource, "rows", counted)
    monkeypatch.setattr(_stages, "_train", lambda *_, **__: False)  # it stops early
    fit_autoencoder(replace(fit, blocks=Blocks(5, 2), max_epochs=100), None)
    n_training, n_held = map(len, fit.split())
    config = fit.config.autoencoder
    assert min(config.n_mean_cells, config.dispersion.n_cells) > n_training
    n_ahead = 3 * 32  # two buffers in memory and one that is being read, of a step at most
    assert n_read[0] <= n_held + 2 * n_training + n_ahead


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
    assert {value.dtype for value in networks_of(rounded).parameters()} == {torch.float32}
