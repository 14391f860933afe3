"""The training task: repeatable, every weight in one group, thinning that only takes away."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch

from scdiffusion._core.random import Draws, generator
from scdiffusion.autoencoder import AutoencoderConfig, AutoencoderTask, CountAutoencoder
from scdiffusion.autoencoder._task import thin
from scdiffusion.cells import open_source


@pytest.fixture
def task(adata: ad.AnnData) -> AutoencoderTask:
    """Fifty cells to learn from and ten to stop by."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = CountAutoencoder(torch.full((adata.n_vars,), 0.1), AutoencoderConfig(n_latent=2, n_hidden=8))
    return AutoencoderTask(network, open_source(adata), training=np.arange(50), validation=np.arange(50, 60))


def test_the_loss_depends_on_cells_and_draws_alone(task: AutoencoderTask) -> None:
    cells = np.array([3, 1, 44])
    losses = [task.loss(cells, Draws.of(generator(seed), 3)).item() for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_validation_draws_the_same_each_time(task: AutoencoderTask) -> None:
    assert task.validate() == task.validate()


def test_every_weight_is_in_one_group(task: AutoencoderTask) -> None:
    grouped = [id(weight) for group in task.parameter_groups() for weight in group["params"]]
    assert sorted(grouped) == sorted(id(weight) for weight in task.module.parameters())


def test_a_few_steps_lower_the_validation_loss(task: AutoencoderTask) -> None:
    before = task.validate()
    optimiser = torch.optim.Adam(task.module.parameters(), lr=0.01)
    for step in range(60):
        optimiser.zero_grad()
        task.loss(np.arange(50), Draws.of(generator(step), 50)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert task.validate() < before - 1.0


def test_thinning_only_takes_counts_away(counts: sp.csr_matrix) -> None:
    thinned = thin(counts, 0.6, draws=Draws.of(generator(0), 60))
    assert ((counts - thinned).toarray() >= 0).all()
    kept = thinned.sum() / counts.sum()
    assert kept == pytest.approx(0.7, abs=0.07)  # the mean of 1 - 0.6 u
    assert thinned.data.min() > 0


def test_no_thinning_keeps_every_count(counts: sp.csr_matrix) -> None:
    assert (thin(counts, 0.0, draws=Draws.of(generator(0), 60)) != counts).nnz == 0
