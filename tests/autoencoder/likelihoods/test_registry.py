"""A new likelihood needs two methods and a name: it fits without compiled loops, starts or priors of its own."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.stats import poisson
from torch import Tensor

from scdiffuse._core.random import cell_keys
from scdiffuse.autoencoder import (
    LIKELIHOODS,
    AutoencoderConfig,
    AutoencoderTask,
    CountAutoencoder,
    CountLikelihood,
    SparseCounts,
    read_counts,
)
from scdiffuse.autoencoder.likelihoods import draw_counts
from scdiffuse.cells import open_source
from scdiffuse.train import Run, TrainConfig, TrainState, train


class Poisson(CountLikelihood):
    """Counts without overdispersion."""

    def nll_per_cell(self, logits: Tensor, cells: SparseCounts, *, outliers: bool = True) -> Tensor:
        log_mean = torch.log_softmax(logits, dim=1) + cells.totals.log()
        log_ratio = cells.counts * log_mean[cells.rows, cells.genes] - torch.lgamma(cells.counts + 1)
        return log_mean.exp().sum(dim=1).index_add(0, cells.rows, -log_ratio)

    def sample(
        self, fractions: NDArray[np.float32], library_size: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> sp.csr_matrix:
        nearly_poisson = np.full(self.n_genes, 1e9)
        return draw_counts(
            fractions, library_size, inverse_dispersion=nearly_poisson, outlier_component=None, keys=keys
        )


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> AutoencoderConfig:
    """Settings that name a likelihood registered by one line."""
    monkeypatch.setitem(LIKELIHOODS, "poisson", Poisson)
    return AutoencoderConfig(n_latent=2, n_hidden=8, likelihood="poisson")


def test_a_registered_likelihood_is_fitted_and_drawn_from_by_name(adata: ad.AnnData, config: AutoencoderConfig) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = CountAutoencoder(torch.full((adata.n_vars,), 0.1), config)
    network.likelihood.initialise(1.5)
    task = AutoencoderTask(network, open_source(adata), training=np.arange(50), validation=np.arange(50, 60))
    before = task.validate()
    training = TrainConfig(batch_size=32)
    state = TrainState.start(task, training)
    train(state, Run(stage="autoencoder", config=training, n_steps=60, seed=0, progress=False))
    task.fit_dispersions()
    assert task.validate() < before - 1.0
    sizes = np.arange(20, 30)
    drawn = network.decode(torch.zeros(10, 2), sizes, cell_keys(0, "counts", np.arange(10)))
    np.testing.assert_array_equal(np.asarray(drawn.sum(axis=1)).ravel(), sizes)


def test_defaults_sum_over_weighted_cells_and_have_a_flat_prior(counts: sp.csr_matrix) -> None:
    likelihood, logits = Poisson(counts.shape[1]), torch.zeros(counts.shape)
    cells, weights = read_counts(counts, torch.device("cpu")), torch.linspace(0.0, 1.0, counts.shape[0])
    mean = np.asarray(counts.sum(axis=1)) / counts.shape[1]
    expected = -(
        weights.numpy()[:, None] * poisson.logpmf(counts.toarray(), np.maximum(mean, 1 / counts.shape[1]))
    ).sum()
    assert likelihood.nll(logits, cells, weights).item() == pytest.approx(expected, rel=1e-5)
    assert likelihood.penalty().item() == 0.0
