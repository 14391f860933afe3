"""The least time of a step: exact counts of a small model."""

from __future__ import annotations

from dataclasses import replace

import pytest
from benchmarks.least_time import Rates, Work, measure_rates, work_of_steps
from benchmarks.studies.cost_law import Size, simulate

from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig, TrainConfig


@pytest.fixture(scope="module")
def fitted() -> CellGenerator:
    brief = TrainConfig(min_steps=1, n_validations=1)
    config = replace(ModelConfig(), autoencoder_training=brief, diffusion_training=brief)
    cells = simulate(Size(genes=60, found=30, batch=8), n_cells=200)
    return CellGenerator(cells, conditions=["label"], min_cells=0, config=config).fit(max_epochs=1, progress=False)


def test_seconds_are_products_and_bytes_one_after_the_other() -> None:
    assert Work(6.0, 10.0).seconds(Rates(2.0, 5.0)) == pytest.approx(5.0)
    assert min(measure_rates()) > 1e6


def test_work_grows_with_cells_and_found_genes_as_it_should(fitted: CellGenerator) -> None:
    config = fitted.config.autoencoder
    few, more, wide = (work_of_steps(fitted, found=found, batch=batch) for found, batch in ((3, 8), (3, 16), (5, 8)))
    assert more["autoencoder"].operations == 2 * few["autoencoder"].operations
    assert more["diffusion"].operations == 2 * few["diffusion"].operations
    extra = wide["autoencoder"].operations - few["autoencoder"].operations
    assert extra == 8 * 4 * 2 * config.n_hidden  # cells, forwards and backwards, genes
    logits = more["autoencoder"].bytes - few["autoencoder"].bytes
    assert logits == 4 * 6 * 8 * len(fitted.genes)
    assert more["diffusion"].bytes == few["diffusion"].bytes
