"""Fits that begin with a model of other data: what is carried over, and what is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import torch
from tests.fitted_model import networks_of

from scdiffuse._core.errors import GenesError, ModelFolderError, NotFittedError, SettingError
from scdiffuse.fitting._warm_start import Origin, compare_models, inherit
from scdiffuse.foundation import Embedding
from scdiffuse.generator import CellGenerator, load
from scdiffuse.model import ModelConfig, Networks


@pytest.fixture
def others(simulated: ad.AnnData) -> ad.AnnData:
    """Cells of other genes and labels, fifteen genes and one label of them shared, in another order."""
    adata = simulated[:, ::-1].copy()
    adata.var_names = [name if at < 15 else f"new-{at}" for at, name in enumerate(adata.var_names)]
    adata.obs["cell_type"] = adata.obs["cell_type"].cat.rename_categories({"T": "T cell", "NK": "NK cell"})
    return adata


@pytest.fixture
def origin(fitted: CellGenerator) -> Origin:
    """The fitted model to begin with."""
    return Origin(networks_of(fitted), fitted._metadata)


def _begun(adata: ad.AnnData, origin: Origin, config: ModelConfig) -> tuple[CellGenerator, Networks]:
    """Build the networks of a new model and carry over what is known."""
    model = CellGenerator(adata, conditions=["cell_type"], continuous=["day"], config=config)
    assert model._data is not None
    with torch.random.fork_rng():
        torch.manual_seed(5)
        fractions = torch.arange(1.0, 26.0) / 325
        networks = Networks(
            config, conditions=model.conditions, fractions=fractions, training=model._data.table.distinct()
        )
    inherit(networks, origin, model._metadata)
    return model, networks


def test_what_belongs_to_a_gene_goes_to_the_gene_of_that_name(
    others: ad.AnnData, origin: Origin, small: ModelConfig
) -> None:
    _, networks = _begun(others, origin, small)
    ours, theirs = networks.autoencoder.state_dict(), origin.networks.autoencoder.state_dict()
    back = list(range(24, 9, -1))
    for name in ("encoder.gene_weight", "likelihood.log_inverse_dispersion", "likelihood.log_outlier_rate"):
        assert torch.equal(ours[name][:15], theirs[name][back])
    for name in ("decoder.loadings", "decoder.nonlinear_loadings"):
        assert torch.equal(ours[name][:, :15], theirs[name][:, back])
    assert (ours["encoder.gene_weight"][15:] == 0).all()
    assert (ours["decoder.loadings"][:, 15:] != 0).all()


def test_shared_genes_keep_their_part_of_all_counts(others: ad.AnnData, origin: Origin, small: ModelConfig) -> None:
    _, networks = _begun(others, origin, small)
    ours = networks.autoencoder.state_dict()["decoder.bias"].softmax(0)
    theirs = origin.networks.autoencoder.state_dict()["decoder.bias"][list(range(24, 9, -1))].softmax(0)
    torch.testing.assert_close(ours[:15].sum(), torch.tensor(120 / 325))
    torch.testing.assert_close(ours[:15] / ours[:15].sum(), theirs)
    torch.testing.assert_close(ours[15:], torch.arange(16.0, 26.0) / 325)


def test_what_belongs_to_no_gene_is_carried_whole(others: ad.AnnData, origin: Origin, small: ModelConfig) -> None:
    _, networks = _begun(others, origin, small)
    ours, theirs = networks.state_dict(), origin.networks.state_dict()
    for name in ("autoencoder.encoder.body.2.weight", "autoencoder.decoder.body.0.weight", "denoiser.read.weight"):
        assert torch.equal(ours[name], theirs[name])


def test_labels_are_carried_by_name(others: ad.AnnData, origin: Origin, small: ModelConfig) -> None:
    model, networks = _begun(others, origin, small)
    assert model.conditions.categorical["cell_type"] == ("T cell", "NK cell", "B")
    ours = networks.state_dict()["denoiser.conditions.labels.0.weight"]
    theirs = origin.networks.state_dict()["denoiser.conditions.labels.0.weight"]
    known = origin.metadata.conditions.categorical["cell_type"]
    assert torch.equal(ours[2], theirs[known.index("B")])
    assert torch.equal(ours[3], theirs[len(known)])
    assert (ours[:2] == 0).all()
    numbers = "denoiser.conditions.numbers.0.weight"
    assert torch.equal(networks.state_dict()[numbers], origin.networks.state_dict()[numbers])


def test_the_same_data_begin_where_the_other_model_ended(
    simulated: ad.AnnData, fitted: CellGenerator, small: ModelConfig
) -> None:
    model = CellGenerator(simulated, conditions=["cell_type", "treated"], continuous=["day"], config=small)
    model.fit(init_from=fitted, progress=False)
    for stage in ("autoencoder", "diffusion"):
        assert model.history[stage][0][2] < fitted.history[stage][0][2]


def test_a_folder_serves_like_the_model_and_the_card_says_so(
    others: ad.AnnData, folder: Path, fitted: CellGenerator, small: ModelConfig, tmp_path: Path
) -> None:
    first, second = (CellGenerator(others, conditions=["cell_type"], config=small) for _ in range(2))
    first.fit(init_from=fitted, progress=False, max_epochs=1)
    second.fit(tmp_path / "run", init_from=folder, progress=False, max_epochs=1)
    made, again = (model.generate(30, progress=False) for model in (first, load(tmp_path / "run")))
    assert isinstance(made, ad.AnnData)
    assert isinstance(again, ad.AnnData)
    assert (made.X != again.X).nnz == 0
    line = r"fitted to 150 cells x 25 genes, of which 15 are shared; with its diffusion."
    model_hash = fitted._metadata.fingerprint(networks_of(fitted))
    assert f"Started from model {model_hash}, {line}" in second.summary()
    assert line in (tmp_path / "run" / "README.md").read_text()
    second.fit(progress=False, max_epochs=1)
    assert "Started from" not in second.summary()


def test_resuming_needs_the_same_start(
    simulated: ad.AnnData, fitted: CellGenerator, small: ModelConfig, tmp_path: Path
) -> None:
    model = CellGenerator(simulated, config=small)
    model.fit(tmp_path / "run", init_from=fitted, progress=False, max_epochs=1)
    with pytest.raises(ModelFolderError, match="was begun with other `init_from` than are given now"):
        model.fit(tmp_path / "run", resume=True, progress=False, max_epochs=1)
    model.fit(tmp_path / "run", resume=True, init_from=fitted, progress=False, max_epochs=1)


def test_a_diffusion_of_another_width_is_left_behind(simulated: ad.AnnData, origin: Origin, small: ModelConfig) -> None:
    config = replace(small, diffusion=replace(small.diffusion, width=8))
    model, networks = _begun(simulated, origin, config)
    assert not compare_models(origin, model._metadata)["diffusion"]
    assert (networks.denoiser.write.weight == 0).all()


def test_an_unfitted_model_is_no_start(simulated: ad.AnnData, small: ModelConfig) -> None:
    model = CellGenerator(simulated, config=small)
    with pytest.raises(NotFittedError, match=r"`init_from` is not fitted; expected a fitted one or its folder. Call"):
        model.fit(init_from=CellGenerator(simulated, config=small))


def test_other_widths_are_refused(simulated: ad.AnnData, fitted: CellGenerator, small: ModelConfig) -> None:
    config = replace(small, autoencoder=replace(small.autoencoder, n_hidden=13))
    with pytest.raises(SettingError, match="was fitted with `n_hidden` 12, and this model has 13; expected the same"):
        CellGenerator(simulated, config=config).fit(init_from=fitted)


def test_other_latents_are_refused(simulated: ad.AnnData, fitted: CellGenerator, small: ModelConfig) -> None:
    adata = simulated.copy()
    adata.obsm["X_pca"] = np.random.default_rng(0).normal(size=(150, 3))
    model = CellGenerator(adata, config=small, latent=Embedding("X_pca"))
    with pytest.raises(
        SettingError, match=r"`init_from` has latents of its own, and this model of the embedding 'X_pca'"
    ):
        model.fit(init_from=fitted)


def test_too_few_shared_genes_are_refused(simulated: ad.AnnData, fitted: CellGenerator, small: ModelConfig) -> None:
    adata = simulated.copy()
    adata.var_names = [f"new-{at}" for at in range(21)] + list(adata.var_names[21:])
    with pytest.raises(
        GenesError,
        match=r"^4 of the 25 genes of the data are among the 25 of the model of `init_from`; expected at least",
    ):
        CellGenerator(adata, config=small).fit(init_from=fitted)
