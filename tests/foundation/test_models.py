"""Models on latents that were learnt elsewhere: fitted, saved, loaded, resumed, guided by the same calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch
from tests.fitted_model import networks_of
from torch import nn

from scdiffuse import Guidance
from scdiffuse._core.errors import GenesError, ModelFolderError, ScdiffuseWarning, SettingError, UnknownNameError
from scdiffuse.foundation import DecodedLatent, Embedding, Foundation, SCimilarity
from scdiffuse.generator import CellGenerator, load
from scdiffuse.model import ModelConfig
from scdiffuse.model._markdown import as_markdown

WIDTH = 4


@pytest.fixture(scope="session")
def similarity_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published encoder of twenty of the genes, and of some that the data lack."""
    folder = tmp_path_factory.mktemp("published") / "model_v9"
    folder.mkdir()
    genes = sorted([*(f"gene-{at}" for at in range(20)), "other-1", "other-2"])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = nn.Sequential(nn.Dropout(), nn.Linear(len(genes), 8), nn.BatchNorm1d(8), nn.PReLU())
        state = nn.ModuleDict({"network": nn.Sequential(first, nn.Linear(8, WIDTH))}).state_dict()
    torch.save({"state_dict": state}, folder / "encoder.ckpt")
    (folder / "gene_order.tsv").write_text("\n".join(genes))
    (folder / "layer_sizes.json").write_text(json.dumps({key: list(value.shape) for key, value in state.items()}))
    return folder


@pytest.fixture(scope="session")
def embedded(simulated: ad.AnnData) -> ad.AnnData:
    """The simulated cells with an embedding far from the origin; read only."""
    adata = simulated.copy()
    logs = np.log1p(adata.X.toarray())
    adata.obsm["X_pca"] = (logs @ np.random.default_rng(0).normal(size=(25, WIDTH))) * 7 + 100
    return adata


@pytest.fixture(scope="session", params=["embedding", "similarity"])
def latent(request: pytest.FixtureRequest, similarity_folder: Path) -> Foundation:
    """A latent space of each kind."""
    return Embedding("X_pca") if request.param == "embedding" else SCimilarity(similarity_folder)


@pytest.fixture(scope="session")
def model(embedded: ad.AnnData, small: ModelConfig, latent: Foundation) -> CellGenerator:
    """A fitted model on it; read only."""
    return CellGenerator(embedded, conditions=["cell_type"], config=small, latent=latent).fit(progress=False)


def _generated(model: CellGenerator) -> ad.AnnData:
    made = model.generate(60, seed=3, progress=False)
    assert isinstance(made, ad.AnnData)
    return made


def test_a_loaded_model_needs_nothing_of_elsewhere(model: CellGenerator, embedded: ad.AnnData, tmp_path: Path) -> None:
    loaded = load(model.save(tmp_path / "model"))
    assert (_generated(loaded).X != _generated(model).X).nnz == 0
    np.testing.assert_array_equal(loaded.encode(embedded), model.encode(embedded))
    assert loaded.summary() == model.summary()


def test_latents_are_standardised(model: CellGenerator, embedded: ad.AnnData) -> None:
    latents = model.encode(embedded)
    assert latents.shape == (150, WIDTH)
    np.testing.assert_allclose(latents.mean(axis=0), 0.0, atol=1e-3)
    np.testing.assert_allclose(latents.std(axis=0), 1.0, rtol=1e-3)


def _fitted_to(embedding: np.ndarray[Any, Any], embedded: ad.AnnData, small: ModelConfig) -> CellGenerator:
    cells = embedded.copy()
    cells.obsm["X_pca"] = embedding
    return CellGenerator(cells, config=small, latent=Embedding("X_pca")).fit(progress=False)


def test_the_unit_of_an_embedding_changes_no_cell(embedded: ad.AnnData, small: ModelConfig) -> None:
    embedding = embedded.obsm["X_pca"].astype(np.float32)
    plain, tiny = (_fitted_to(embedding * unit, embedded, small) for unit in (1.0, 2.0**-30))
    assert (_generated(tiny).X != _generated(plain).X).nnz == 0


@pytest.mark.parametrize("value", [0.0, 0.1, -1000.1])
def test_errors_in_a_constant_column_stay_as_small_as_in_others(
    embedded: ad.AnnData, small: ModelConfig, value: float
) -> None:
    embedding = embedded.obsm["X_pca"].copy()
    embedding[:, 1] = value
    networks = networks_of(_fitted_to(embedding, embedded, small))
    assert isinstance(networks.autoencoder, DecodedLatent)
    unit = networks.latent_std[:-1] / networks.autoencoder.decoder.code_std
    torch.testing.assert_close(unit, torch.ones(WIDTH), rtol=1e-4, atol=0.0)


def test_the_decoder_learns_what_latents_say_of_counts(model: CellGenerator, embedded: ad.AnnData) -> None:
    _, _, loss = model.history["autoencoder"][-1]
    assert loss < model.history["autoencoder"][0][2] - 0.5
    networks = networks_of(model)
    counts = embedded.X[:90].toarray()
    raw = torch.from_numpy(model.encode(embedded)[:90]) * networks.latent_std[:-1] + networks.latent_mean[:-1]
    fractions = networks.autoencoder.fractions(raw)
    observed = counts / counts.sum(axis=1, keepdims=True)
    constant = ((observed - observed.mean(axis=0)) ** 2).sum()
    assert ((observed - fractions) ** 2).sum() < 0.9 * constant


def test_generated_cells_have_the_genes_of_the_training_cells_and_the_sizes_requested(model: CellGenerator) -> None:
    made = _generated(model)
    assert list(made.var_names) == list(model.genes)
    sized = model.generate(5, library_size=77, progress=False)
    assert isinstance(sized, ad.AnnData)
    assert np.asarray(sized.X.sum(axis=1)).ravel().tolist() == [77] * 5


def test_a_fit_that_was_stopped_goes_on(
    model: CellGenerator, embedded: ad.AnnData, small: ModelConfig, latent: Foundation, tmp_path: Path
) -> None:
    again = CellGenerator(embedded, conditions=["cell_type"], config=small, latent=latent)
    with pytest.MonkeyPatch.context() as patch:
        steps = iter(range(9))
        from scdiffuse.foundation import DecoderTask

        loss = DecoderTask.loss

        def pressed(self: DecoderTask, cells: object, rng: object, *, progress: float = 1.0) -> torch.Tensor:
            if next(steps, None) is None:
                raise KeyboardInterrupt
            return loss(self, cells, rng, progress=progress)  # type: ignore[arg-type]

        patch.setattr(DecoderTask, "loss", pressed)
        again.fit(tmp_path / "run", progress=False)
    assert load(tmp_path / "run").was_stopped
    with pytest.warns(ScdiffuseWarning, match="stopped before the diffusion learnt anything"):
        assert _generated(load(tmp_path / "run")).shape == (60, 25)
    again.fit(tmp_path / "run", resume=True, progress=False)
    assert (_generated(again).X != _generated(model).X).nnz == 0
    other = CellGenerator(embedded, conditions=["cell_type"], config=small)
    with pytest.raises(ModelFolderError, match="was begun with other settings"):
        other.fit(tmp_path / "run", resume=True)
    if isinstance(latent, Embedding):
        turned = embedded.copy()
        turned.obsm["X_pca"] = -turned.obsm["X_pca"]
        other = CellGenerator(turned, conditions=["cell_type"], config=small, latent=latent)
        with pytest.raises(ModelFolderError, match="was begun with other data"):
            other.fit(tmp_path / "run", resume=True)


def test_cells_on_disk_keep_their_codes_in_every_step(
    embedded: ad.AnnData, small: ModelConfig, latent: Foundation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.write_h5ad(tmp_path / "cells.h5ad")
    widths, infer = set(), DecodedLatent.infer

    def noted(self: DecodedLatent, counts: Any, *given: Any, **named: Any) -> Any:
        codes = getattr(counts, "embedding", None)
        widths.add(0 if codes is None else codes.shape[1])
        return infer(self, counts, *given, **named)

    monkeypatch.setattr(DecodedLatent, "infer", noted)
    model = CellGenerator(tmp_path / "cells.h5ad", config=small, latent=latent, progress=False)
    model.fit(max_epochs=1, progress=False)
    assert widths == {WIDTH}


def test_the_card_names_what_latents_come_from(model: CellGenerator, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model")
    description = json.loads((folder / "config.json").read_text())["settings"]["latent"]
    card = (folder / "README.md").read_text()
    if description["kind"] == "embedding":
        assert as_markdown("Latents: obsm 'X_pca', 4 wide.") in card
    else:
        assert (description["name"], description["n_shared"], len(description["sha256"])) == ("model_v9", 20, 64)
        assert (
            f"'model_v9' (sha256 {description['sha256'][:16]}), 4 wide; 20 of its 22 genes shared. Weights are under"
            in card
        )


def test_a_tuned_encoder_is_saved_as_it_became(
    embedded: ad.AnnData, small: ModelConfig, similarity_folder: Path, tmp_path: Path
) -> None:
    latent = SCimilarity(similarity_folder, fine_tune=True)
    model = CellGenerator(embedded, config=small, latent=latent).fit(progress=False)
    weight = dict(networks_of(model).autoencoder.named_parameters())["encoder.gene_weight"]
    assert (weight[20:] != 0).any(dim=1).all()
    loaded = load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.encode(embedded), model.encode(embedded))


def test_cells_without_the_embedding_cannot_be_encoded(
    embedded: ad.AnnData, simulated: ad.AnnData, small: ModelConfig
) -> None:
    model = CellGenerator(embedded, config=small, latent=Embedding("X_pca")).fit(max_epochs=1, progress=False)
    with pytest.raises(
        UnknownNameError, match=r"`obsm` of the data has no 'X_pca', which the latents of this model are"
    ):
        model.encode(simulated)
    wide = embedded.copy()
    wide.obsm["X_pca"] = np.ones((150, 9))
    with pytest.raises(SettingError, match=r"has 9 columns; expected the 4 of the training cells"):
        model.encode(wide)
    with pytest.raises(UnknownNameError, match="has no 'X_umap'"):
        CellGenerator(embedded, config=small, latent=Embedding("X_umap"))


def test_genes_of_another_organism_are_refused(
    simulated: ad.AnnData, small: ModelConfig, similarity_folder: Path
) -> None:
    other = simulated.copy()
    other.var_names = [name.upper() for name in other.var_names]
    with pytest.raises(GenesError, match=r"^0 of the 25 genes of the data are among the 22 of the model 'model_v9'"):
        CellGenerator(other, config=small, latent=SCimilarity(similarity_folder))


def test_cells_are_guided_and_predicted_on_any_latents(
    model: CellGenerator, embedded: ad.AnnData, tmp_path: Path
) -> None:
    loaded = load(model.save(tmp_path / "model"))
    loaded.add_classifier("treated", embedded, max_epochs=1, progress=False)
    guided = loaded.generate(10, guidance=Guidance(toward={"treated": True}), progress=False)
    assert isinstance(guided, ad.AnnData)
    assert guided.shape == (10, 25)
    moved = loaded.predict(embedded[:10].copy(), {"cell_type": "B"}, progress=False)
    assert moved.obs["cell_type"].tolist() == ["B"] * 10
    assert np.asarray(moved.X.sum(axis=1)).ravel().tolist() == np.asarray(embedded.X[:10].sum(axis=1)).ravel().tolist()
