"""Fits on pretrained latents that begin with a model of other cells."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import torch
from tests.fitted_model import networks_of

from scdiffuse.foundation import DecodedLatent, DecoderTask, Embedding, SCimilarity
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig


def _decoder_of(model: CellGenerator) -> torch.nn.Module:
    latent = networks_of(model).autoencoder
    assert isinstance(latent, DecodedLatent)
    return latent.decoder


def test_a_decoder_begins_as_the_other_model_has_learnt_it(
    simulated: ad.AnnData, small: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = simulated.copy()
    cells.obsm["X_pca"] = np.log1p(cells.X.toarray()) @ np.random.default_rng(0).normal(size=(25, 3))
    first = CellGenerator(cells, config=small, latent=Embedding("X_pca")).fit(max_epochs=1, progress=False)
    alike = cells[cells.obs["cell_type"] == "B"].copy()  # another mean and another spread
    second = CellGenerator(alike, config=small, latent=Embedding("X_pca"))
    begin: list[float] = []

    def stopped(self: DecoderTask, *given: object, **named: object) -> torch.Tensor:
        begin.extend(group["begin"] for group in self.parameter_groups())
        raise KeyboardInterrupt

    monkeypatch.setattr(DecoderTask, "loss", stopped)
    second.fit(init_from=first, progress=False)
    codes = torch.from_numpy(alike.obsm["X_pca"]).float()
    ours, theirs = (_decoder_of(model)(codes).softmax(dim=1) for model in (second, first))
    torch.testing.assert_close(ours, theirs)
    assert set(begin) == {0.0}  # nothing starts late


def test_an_encoder_that_was_frozen_is_tuned(
    simulated: ad.AnnData, small: ModelConfig, similarity_folder: Path
) -> None:
    cells = simulated[:, :12].copy()
    first = CellGenerator(cells, config=small, latent=SCimilarity(similarity_folder)).fit(max_epochs=1, progress=False)
    second = CellGenerator(simulated, config=small, latent=SCimilarity(similarity_folder, fine_tune=True))
    second.fit(init_from=first, max_epochs=1, progress=False)
    before, after = (networks_of(model).autoencoder.state_dict() for model in (first, second))
    assert (after["encoder.gene_weight"][:12] != before["encoder.gene_weight"]).any()
    torch.testing.assert_close(after["encoder.gene_weight"][:12], before["encoder.gene_weight"], rtol=0, atol=0.1)
