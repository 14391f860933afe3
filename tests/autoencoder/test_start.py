"""Gene programmes that linear loadings start at: found where planted, dropped where other cells do not confirm them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from scdiffuse.autoencoder import AutoencoderConfig, CountAutoencoder, gene_programmes, start_at_programmes
from scdiffuse.cells import open_source

_N_GENES = 150
_EFFECT = np.where(np.arange(_N_GENES) < 25, 0.5, 0.0)


def _cells(n: int, *, effect: NDArray[np.float64], seed: int) -> sp.csr_matrix:
    """Draw Poisson counts; a programme of standard normal scores moves the logs of genes by `effect`."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((n, 1))
    rates = np.exp(rng.normal(0, 0.3, (n, 1)))
    return sp.csr_matrix(rng.poisson(rates * np.exp(scores * effect)).astype(np.float32))


@pytest.fixture
def planted() -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """Cells with one programme of 25 genes: 600 to learn from, 2,000 to confirm it."""
    return _cells(600, effect=_EFFECT, seed=0), _cells(2000, effect=_EFFECT, seed=1)


def test_a_planted_programme_is_found_with_its_effect(planted: tuple[sp.csr_matrix, sp.csr_matrix]) -> None:
    first = gene_programmes(*planted, most=5)[0]
    first *= np.sign(first @ _EFFECT)
    assert np.corrcoef(first, _EFFECT)[0, 1] > 0.9
    assert first[:25].mean() - first[25:].mean() == pytest.approx(0.5, rel=0.3)


def test_what_other_cells_do_not_confirm_is_dropped(planted: tuple[sp.csr_matrix, sp.csr_matrix]) -> None:
    training, others = planted
    trusting, careful = (gene_programmes(training, cells, most=20) for cells in (training, others))
    before, after = (np.linalg.norm(found, axis=1) for found in (trusting, careful))
    assert after[0] > 0.8 * before[0]
    assert np.mean(after[1:] ** 2) < 0.25 * np.mean(before[1:] ** 2)
    assert (careful == 0).all(axis=1).any()


def test_shrinkage_is_that_of_a_gaussian_prior(planted: tuple[sp.csr_matrix, sp.csr_matrix]) -> None:
    counts = np.asarray(planted[0].sum(axis=0)).ravel()
    free, shrunk = (gene_programmes(*planted, most=1, shrinkage=shrinkage)[0] for shrinkage in (0.0, 300.0))
    np.testing.assert_allclose(shrunk, free * counts / (counts + 300), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("n_training", "n_validation"), [(600, 1), (8, 100), (1, 1)])
def test_few_cells_give_few_programmes(
    planted: tuple[sp.csr_matrix, sp.csr_matrix], n_training: int, n_validation: int
) -> None:
    training, others = planted
    found = gene_programmes(training[:n_training], others[:n_validation], most=20)
    assert found.shape == (min(20, n_training - 1), _N_GENES)
    assert np.isfinite(found).all()
    assert n_validation > 1 or (found == 0).all()  # one cell confirms nothing


def test_genes_and_cells_without_counts_have_no_programmes(planted: tuple[sp.csr_matrix, sp.csr_matrix]) -> None:
    training, others = (sp.csr_matrix(cells.toarray()) for cells in planted)
    training, others = training.tolil(), others.tolil()
    training[:, 3], others[:, 3], training[7] = 0, 0, 0
    found = gene_programmes(training.tocsr(), others.tocsr(), most=5)
    assert np.isfinite(found).all()
    assert (found[:, 3] == 0).all()


@pytest.mark.parametrize("is_on", [True, False])
def test_loadings_start_at_programmes_unless_switched_off(
    planted: tuple[sp.csr_matrix, sp.csr_matrix], *, is_on: bool
) -> None:
    config = AutoencoderConfig(n_latent=3, n_hidden=8, programme_start=is_on)
    network = CountAutoencoder(torch.full((_N_GENES,), 1 / _N_GENES), config)
    before = network.decoder.loadings.detach().clone()
    source = open_source(ad.AnnData(sp.vstack(planted, format="csr")))
    start_at_programmes(network, source, training=np.arange(600), validation=np.arange(600, 2600))
    added = (network.decoder.loadings - before).detach().numpy()
    expected = gene_programmes(*planted, most=3, shrinkage=config.shrinkage) if is_on else np.zeros((3, _N_GENES))
    np.testing.assert_allclose(added, expected, atol=1e-6)


def test_memory_bounds_the_cells_that_are_looked_at(planted: tuple[sp.csr_matrix, sp.csr_matrix]) -> None:
    config = AutoencoderConfig(n_latent=20, n_hidden=8, n_start_counts=10 * _N_GENES)
    network = CountAutoencoder(torch.full((_N_GENES,), 1 / _N_GENES), config)
    before = network.decoder.loadings.detach().clone()
    source = open_source(ad.AnnData(sp.vstack(planted, format="csr")))
    start_at_programmes(network, source, training=np.arange(600), validation=np.arange(600, 2600))
    assert torch.equal(network.decoder.loadings[9:], before[9:])  # ten cells have nine programmes
