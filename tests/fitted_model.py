"""Simulated cells of three types, settings that fit them in a second, and a fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

from scdiffuse.generator import CellGenerator, load
from scdiffuse.model import AttachedClassifier, AutoencoderConfig, DiffusionConfig, ModelConfig, Networks, TrainConfig

N_CELLS, N_GENES = 150, 25


def networks_of(model: CellGenerator) -> Networks:
    """Return all tensors of a fitted model."""
    assert model._model is not None
    return model._model.networks


def classifiers_of(model: CellGenerator) -> dict[str, AttachedClassifier]:
    """Return the classifiers of a fitted model, with their networks."""
    assert model._model is not None
    return model._model.classifiers


def assert_same_uns(x: Mapping[str, Any], y: Mapping[str, Any]) -> None:
    """Compare what cells say of where they come from: plain dictionaries of numbers, text and arrays."""
    assert x.keys() == y.keys()
    for name, value in x.items():
        if isinstance(value, Mapping):
            assert_same_uns(value, y[name])
        else:
            np.testing.assert_array_equal(value, y[name], err_msg=name)


def twin(model: CellGenerator, *, classifiers: bool = False) -> CellGenerator:
    """Return a model of the same networks with classifiers of its own, none at first unless told."""
    assert model._model is not None
    made = CellGenerator.__new__(CellGenerator)
    vars(made).update(vars(model))
    made._model = replace(model._model, classifiers=dict(model._model.classifiers) if classifiers else {})
    return made


@pytest.fixture(scope="session")
def simulated() -> ad.AnnData:
    """Cells of three types, some without a label, at five days; read only."""
    draw = np.random.default_rng(0)
    types = np.arange(N_CELLS) % 3
    programmes = draw.gamma(1.0, 3.0, (3, N_GENES)) + 0.2
    counts = draw.poisson(programmes[types] * draw.gamma(5.0, 0.2, (N_CELLS, 1)))
    counts[:, 0] += 1
    labels = np.array(["T", "B", "NK"], dtype=object)[types]
    labels[::25] = None
    day = np.where(np.arange(N_CELLS) % 30 == 7, np.nan, np.arange(N_CELLS) % 5 * 0.5)
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(labels, categories=["T", "NK", "absent", "B"]),
            "treated": np.arange(N_CELLS) % 2 == 0,
            "day": day,
        },
        index=[f"cell-{at}" for at in range(N_CELLS)],
    )
    var = pd.DataFrame({"symbol": [f"S{at}" for at in range(N_GENES)]}, index=[f"gene-{at}" for at in range(N_GENES)])
    return ad.AnnData(X=sp.csr_matrix(counts, dtype=np.float32), obs=obs, var=var)


@pytest.fixture(scope="session")
def small() -> ModelConfig:
    """Networks and runs as small as they can be and still learn."""
    training = TrainConfig(batch_size=32, min_steps=24, n_validations=4, learning_rate=0.02, decay=0.8)
    return ModelConfig(
        autoencoder=AutoencoderConfig(n_latent=3, n_hidden=12),
        autoencoder_training=training,
        diffusion=DiffusionConfig(width=16, depth=1, embedding_width=8, solver_steps=4, ode_steps=4),
        diffusion_training=training,
    )


@pytest.fixture(scope="session")
def fitted(simulated: ad.AnnData, small: ModelConfig) -> CellGenerator:
    """A model with a condition of each kind; read only."""
    model = CellGenerator(simulated, conditions=["cell_type", "treated"], continuous=["day"], config=small)
    return model.fit(progress=False)


@pytest.fixture
def folder(fitted: CellGenerator, tmp_path: Path) -> Path:
    """The fitted model on disk."""
    return fitted.save(tmp_path / "model")


@pytest.fixture(scope="session")
def bare(simulated: ad.AnnData, small: ModelConfig) -> CellGenerator:
    """A model without conditions; read only."""
    return CellGenerator(simulated, config=small).fit(max_epochs=1, progress=False)


@pytest.fixture
def normal(folder: Path) -> CellGenerator:
    """A model whose latents are exactly normal, with unit variance around the mean of their conditions."""
    model = load(folder)
    denoiser = networks_of(model).denoiser
    for linear in (denoiser.write, denoiser.gain, denoiser.shift):
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    denoiser.conditional_mean.weights *= 10.0
    return model
