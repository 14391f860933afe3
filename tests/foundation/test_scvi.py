"""Models of scvi-tools: latents, shares and counts of the networks that were saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from tests.fitted_model import networks_of
from torch import Tensor

from scdiffuse._core.errors import GenesError, ModelFolderError, UnknownNameError
from scdiffuse._core.random import cell_keys
from scdiffuse.autoencoder import AutoencoderConfig
from scdiffuse.cells import Source, open_source
from scdiffuse.foundation import ScviModel, build_latent
from scdiffuse.foundation._scvi_network import ScviLatent
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig, mean_expression

Saver = Any


def _opened(saved: ScviModel, adata: ad.AnnData) -> tuple[ScviLatent, Source]:
    genes = saved.choose_genes(adata.var)
    source = open_source(adata, genes=genes)
    facts = json.loads(json.dumps(saved.describe(source)))
    latent = build_latent(facts, fractions=torch.ones(source.n_genes), config=AutoencoderConfig())
    saved.fill(latent, source.var)
    assert isinstance(latent, ScviLatent)
    return latent, source


SHAPES: list[tuple[tuple[str, ...], bool]] = [(("x",), True), (("x", "y"), True), (("x", "y", "z"), False)]


@pytest.mark.parametrize("shape", SHAPES)
def test_latents_and_fractions_are_those_of_the_saved_networks(
    save_scvi: Saver, adata: ad.AnnData, known_counts: Tensor, shape: tuple[tuple[str, ...], bool]
) -> None:
    batches, norm = shape
    folder, network = save_scvi(batches, norm=norm, gene_likelihood="nb")
    latent, source = _opened(ScviModel(folder, batch=batches[-1]), adata)
    posterior = latent.encode(source.rows(np.arange(60)))
    with torch.no_grad():
        mean, variance = network.encode(known_counts)
        fractions, _ = network.decode(mean, len(batches) - 1)
    np.testing.assert_allclose(posterior.mean, mean, rtol=0, atol=1e-5)
    np.testing.assert_allclose(posterior.std, variance.sqrt(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(latent.fractions(mean), fractions, rtol=0, atol=1e-5)
    np.testing.assert_allclose(latent.likelihood.log_inverse_dispersion, network.px_r.detach(), rtol=1e-6)


def test_without_a_choice_fractions_are_the_mean_over_batches(save_scvi: Saver, adata: ad.AnnData) -> None:
    folder, network = save_scvi(("x", "y"))
    latent, _ = _opened(ScviModel(folder), adata)
    z = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = (network.decode(z, 0)[0] + network.decode(z, 1)[0]) / 2
    np.testing.assert_allclose(latent.fractions(z), expected, rtol=0, atol=1e-6)


def test_a_subset_of_the_genes_keeps_its_proportions(save_scvi: Saver, adata: ad.AnnData, known_counts: Tensor) -> None:
    folder, network = save_scvi()
    kept = [at for at in range(30) if at not in {2, 5}]
    latent, source = _opened(ScviModel(folder), adata[:, kept].copy())
    counts = known_counts.clone()
    counts[:, [2, 5]] = 0
    with torch.no_grad():
        mean, _ = network.encode(counts)
        fractions = network.decode(mean, 0)[0][:, [at for at in kept if at < 12]]
    np.testing.assert_allclose(latent.encode(source.rows(np.arange(60))).mean, mean, rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        latent.fractions(mean), fractions / fractions.sum(dim=1, keepdim=True), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("likelihood", ["zinb", "nb", "poisson"])
def test_counts_have_their_library_size_and_the_mean_of_the_model(
    save_scvi: Saver, adata: ad.AnnData, likelihood: str
) -> None:
    folder, network = save_scvi(gene_likelihood=likelihood)
    latent, _ = _opened(ScviModel(folder), adata)
    n = 4000
    z = torch.zeros(n, 3)
    sizes = np.full(n, 60)
    counts = latent.decode(z, sizes, cell_keys(0, "counts", np.arange(n))).toarray()
    assert (counts.sum(axis=1) == 60).all()
    with torch.no_grad():
        fractions, zero = network.decode(z[:1], 0)
    if likelihood == "zinb":
        draw = np.random.default_rng(0)
        kept = fractions.numpy() * (draw.random((200_000, 12)) >= zero.numpy())
        kept[kept.sum(axis=1) == 0] = fractions.numpy()
        expected = (kept / kept.sum(axis=1, keepdims=True)).mean(axis=0)
        np.testing.assert_array_less(zero.numpy()[0] - 0.05, (counts == 0).mean(axis=0))
    else:
        expected = fractions.numpy()[0]
    np.testing.assert_allclose(counts.mean(axis=0) / 60, expected, atol=0.012)


def test_mean_fractions_are_those_after_zero_inflation(save_scvi: Saver, adata: ad.AnnData) -> None:
    folder, network = save_scvi(("x", "y"))
    latent, _ = _opened(ScviModel(folder, batch="y"), adata)
    z = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        fractions, zero = network.decode(z, 1)
    expected = fractions * (1 - zero)
    np.testing.assert_allclose(latent.mean_fractions(z), expected / expected.sum(dim=1, keepdim=True), rtol=1e-5)
    plain, _ = _opened(ScviModel(save_scvi(gene_likelihood="nb")[0]), adata)
    np.testing.assert_array_equal(plain.mean_fractions(z), plain.fractions(z))


def test_what_a_combination_decodes_to_is_compared_with_counts_after_zero_inflation(
    save_scvi: Saver, adata: ad.AnnData, small: ModelConfig
) -> None:
    model = CellGenerator(adata, conditions=["cell_type"], config=small, latent=ScviModel(save_scvi()[0]))
    networks = networks_of(model.fit(max_epochs=1, progress=False))
    assert isinstance(networks.autoencoder, ScviLatent)
    assert networks.autoencoder.dropout is not None
    networks.autoencoder.dropout.bias[3] = 50.0  # a gene that is never detected
    asked = model.conditions.encode(pd.DataFrame([{"cell_type": "B"}]))
    mean = mean_expression(networks, asked, seed=0)
    assert mean[3] == pytest.approx(0.0, abs=1e-9)
    assert mean.sum() == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("likelihood", ["zinb", "nb"])
def test_a_cell_ignores_its_batch_mates(save_scvi: Saver, adata: ad.AnnData, likelihood: str) -> None:
    folder, _ = save_scvi(("x", "y"), gene_likelihood=likelihood)
    latent, _ = _opened(ScviModel(folder), adata)
    z, sizes, cells = torch.randn(140, 3, generator=torch.Generator().manual_seed(0)), np.full(140, 50), np.arange(140)
    whole = latent.decode(z, sizes, cell_keys(0, "counts", cells))
    part = latent.decode(z[130:], sizes[130:], cell_keys(0, "counts", cells[130:]))
    assert (whole[130:] != part).nnz == 0
    assert latent.decode(z[:0], sizes[:0], np.empty(0, np.uint64)).shape == (0, 12)


def test_nothing_is_left_to_train(save_scvi: Saver, adata: ad.AnnData) -> None:
    latent, _ = _opened(ScviModel(save_scvi()[0]), adata)
    assert not list(latent.parameters())
    assert latent.state_dict()


def test_the_genes_are_those_of_the_model_in_the_order_of_the_data(save_scvi: Saver, adata: ad.AnnData) -> None:
    saved = ScviModel(save_scvi()[0])
    assert saved.choose_genes(adata[:, ::-1].var) == [f"gene-{at}" for at in range(11, -1, -1)]
    with pytest.raises(GenesError, match=r"^0 of the 18 genes of the data are among the 12"):
        saved.choose_genes(adata[:, 12:].var)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"gene_likelihood": "normal"}, "its `gene_likelihood` is 'normal'"),
        ({"dispersion": "gene-batch"}, "its `dispersion` is 'gene-batch'"),
        ({"latent_distribution": "ln"}, "its `latent_distribution` is 'ln'"),
        ({"encode_covariates": True}, "its `encode_covariates` is True"),
        ({"model": "TOTALVI"}, "it holds a model of the class `TOTALVI`"),
    ],
)
def test_models_that_cannot_be_read_are_refused(save_scvi: Saver, settings: dict[str, Any], words: str) -> None:
    folder, _ = save_scvi(**settings)
    with pytest.raises(ModelFolderError, match=rf"cannot be used as latents: {words}; expected .* use `foundation.Emb"):
        ScviModel(folder)


def test_other_covariates_are_reported(save_scvi: Saver) -> None:
    folder, _ = save_scvi(("x", "y"))
    held = torch.load(folder / "model.pt", weights_only=False)
    key = "decoder.px_decoder.fc_layers.Layer 0.0.weight"
    held["model_state_dict"][key] = torch.ones(8, 3 + 2 + 4)
    torch.save(held, folder / "model.pt")
    with pytest.raises(ModelFolderError, match="its networks read more than counts and a batch, such as other"):
        ScviModel(folder)


def test_genes_of_one_name_are_reported(save_scvi: Saver) -> None:
    folder, _ = save_scvi()
    held = torch.load(folder / "model.pt", weights_only=False)
    held["var_names"][5] = held["var_names"][2]
    torch.save(held, folder / "model.pt")
    with pytest.raises(ModelFolderError, match="its 12 `var_names` are 11 different names; expected"):
        ScviModel(folder)


def test_weights_of_a_training_that_diverged_are_reported(save_scvi: Saver) -> None:
    folder, _ = save_scvi()
    held = torch.load(folder / "model.pt", weights_only=False)
    held["model_state_dict"]["px_r"][4] = torch.nan
    torch.save(held, folder / "model.pt")
    with pytest.raises(ModelFolderError, match=r"`px_r` of `model.pt` in .* holds NaN or infinite values; expected"):
        ScviModel(folder)


def test_a_batch_that_is_not_there_gets_a_guess(save_scvi: Saver) -> None:
    folder, _ = save_scvi(("donor-1", "donor-2"))
    with pytest.raises(UnknownNameError, match=r"`batch` 'donor1' is not .* one of .* Did you mean 'donor-1'"):
        ScviModel(folder, batch="donor1")


def test_an_incomplete_file_is_reported(save_scvi: Saver) -> None:
    folder, _ = save_scvi()
    torch.save({"model_state_dict": {}}, folder / "model.pt")
    with pytest.raises(ModelFolderError, match=r"`model.pt` lacks 'attr_dict'; expected"):
        ScviModel(folder)


class _Trap:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.path),)


def test_code_in_a_model_is_not_run(save_scvi: Saver, tmp_path: Path) -> None:
    folder, _ = save_scvi()
    torch.save({"attr_dict": _Trap(str(tmp_path / "sprung"))}, folder / "model.pt")
    with pytest.raises(
        ModelFolderError, match=r"cannot be read as weights .*; expected what scvi-tools wrote. Nothing"
    ):
        ScviModel(folder)
    assert not (tmp_path / "sprung").exists()
