"""Published encoders: the same latents as a plain network, whatever the genes of the data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scdiffuse._core.errors import GenesError, ModelFolderError, SettingError
from scdiffuse.autoencoder import AutoencoderConfig
from scdiffuse.cells import open_source
from scdiffuse.foundation import DecodedLatent, SCimilarity, build_latent


def _latent(folder: Path, adata: ad.AnnData, **arguments: Any) -> DecodedLatent:
    saved = SCimilarity(folder, **arguments)
    saved.choose_genes(adata.var)
    facts = json.loads(json.dumps(saved.describe(open_source(adata))))
    config = AutoencoderConfig(n_latent=facts["width"], n_hidden=4)
    latent = build_latent(facts, fractions=torch.ones(adata.n_vars), config=config)
    saved.fill(latent, adata.var)
    assert isinstance(latent, DecodedLatent)
    return latent


def _expected(published: nn.Module, known: Tensor) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        logs = torch.log1p(known / known.sum(dim=1, keepdim=True) * 1e4)
        found: np.ndarray[Any, Any] = published(logs).numpy()
        return found


def _encode(latent: DecodedLatent, adata: ad.AnnData) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = latent.encode(open_source(adata).rows(np.arange(adata.n_obs))).mean.numpy()
    return found


def test_latents_are_those_of_the_published_encoder(
    similarity_folder: Path, published: nn.Module, adata: ad.AnnData, known_counts: Tensor
) -> None:
    found = _encode(_latent(similarity_folder, adata), adata)
    np.testing.assert_allclose(found, _expected(published, known_counts), rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("change", ["order", "missing", "symbols in a column"])
def test_genes_are_aligned_by_name(
    similarity_folder: Path, published: nn.Module, adata: ad.AnnData, known_counts: Tensor, change: str
) -> None:
    if change == "order":
        adata = adata[:, ::-1].copy()
    elif change == "missing":
        adata = adata[:, [at for at in range(30) if at not in {2, 5}]].copy()
        known_counts = known_counts.clone()
        known_counts[:, [2, 5]] = 0
    else:
        adata.var["feature_name"] = adata.var_names.to_numpy()
        adata.var_names = [f"ENSG{at:011d}.1" for at in range(30)]
    found = _encode(_latent(similarity_folder, adata), adata)
    np.testing.assert_allclose(found, _expected(published, known_counts), rtol=0, atol=1e-5)


def test_a_code_is_known_without_doubt(similarity_folder: Path, adata: ad.AnnData) -> None:
    posterior = _latent(similarity_folder, adata).encode(open_source(adata).rows(np.arange(5)))
    assert (posterior.std == 0).all()


def test_a_frozen_encoder_has_nothing_to_train(similarity_folder: Path, adata: ad.AnnData) -> None:
    frozen, tuned = (_latent(similarity_folder, adata, fine_tune=tune) for tune in (False, True))
    assert not list(frozen.encoder.parameters())
    assert frozen.is_frozen
    assert frozen.state_dict().keys() == tuned.state_dict().keys()
    assert not tuned.is_frozen


def test_new_genes_begin_silent_and_are_learnt_when_tuned(similarity_folder: Path, adata: ad.AnnData) -> None:
    latent = _latent(similarity_folder, adata, fine_tune=True)
    weight = dict(latent.encoder.named_parameters())["gene_weight"]
    assert (weight[12:] == 0).all()
    assert (weight[:12] != 0).any(dim=1).all()
    rows = open_source(adata).rows(np.arange(60))
    latent.decoder.loadings.data.normal_(generator=torch.Generator().manual_seed(0))
    nll, divergence = latent.terms(rows, torch.zeros(60, 5), torch.ones(60))
    nll.backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert (weight.grad[12:] != 0).any(dim=1).all()
    assert divergence == 0


def test_the_rate_of_an_encoder_is_a_positive_number_that_can_be_saved(
    similarity_folder: Path, adata: ad.AnnData
) -> None:
    assert _latent(similarity_folder, adata, fine_tune=True, encoder_rate=np.float32(0.5)).encoder_rate == 0.5
    with pytest.raises(SettingError, match=r"`encoder_rate` must be positive, got -0.05; 0.05 suits .* Leave"):
        SCimilarity(similarity_folder, fine_tune=True, encoder_rate=-0.05)


def test_too_few_shared_genes_are_refused(similarity_folder: Path, adata: ad.AnnData) -> None:
    adata.var_names = [f"Mouse-{at}" if at > 3 else name for at, name in enumerate(adata.var_names)]
    with pytest.raises(
        GenesError, match=r"^4 of the 30 genes of the data are among the 12 of the model 'model_v9'; expected "
        r"at least 50% .* such as 'gene-0', 'gene-1', 'gene-2', the model 'gene-0'.* Give names"
    ):  # fmt: skip
        _latent(similarity_folder, adata)
    _latent(similarity_folder, adata, min_shared=0.3)


@pytest.mark.parametrize("name", ["encoder.ckpt", "gene_order.tsv", "layer_sizes.json"])
def test_a_missing_file_is_named(similarity_folder: Path, name: str) -> None:
    (similarity_folder / name).unlink()
    with pytest.raises(
        ModelFolderError, match=rf"has no file `{name}`; expected a folder written by .* Copy the whole"
    ):
        SCimilarity(similarity_folder)


def test_a_folder_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFolderError, match=r"is not a folder; expected one written by SCimilarity.* Check the path"
    ):
        SCimilarity(tmp_path / "nowhere")


def test_settings_and_decoder_may_be_missing(similarity_folder: Path) -> None:
    (similarity_folder / "hyperparameters.json").unlink()
    assert SCimilarity(similarity_folder).genes[0] == "gene-0"


def _other_width(folder: Path) -> None:
    (folder / "layer_sizes.json").write_text(json.dumps({"network.2.weight": [5, 8]}))


def _fewer_genes(folder: Path) -> None:
    (folder / "gene_order.tsv").write_text("a\nb")


def _other_keys(folder: Path) -> None:
    torch.save({"state_dict": {"layers.weight": torch.ones(2, 2)}}, folder / "encoder.ckpt")
    (folder / "layer_sizes.json").write_text("{}")


def test_weights_that_are_no_numbers_are_reported(similarity_folder: Path) -> None:
    held = torch.load(similarity_folder / "encoder.ckpt", weights_only=True)
    held["state_dict"]["network.1.1.weight"][0, 0] = torch.inf
    torch.save(held, similarity_folder / "encoder.ckpt")
    with pytest.raises(ModelFolderError, match=r"`network.1.1.weight` of `encoder.ckpt` in .* holds NaN or infinite"):
        SCimilarity(similarity_folder)


def _no_state(folder: Path) -> None:
    torch.save({"weights": {}}, folder / "encoder.ckpt")


def _broken_chain(folder: Path) -> None:
    held = torch.load(folder / "encoder.ckpt", weights_only=True)["state_dict"]
    held["network.2.weight"] = torch.ones(5, 3)
    torch.save({"state_dict": held}, folder / "encoder.ckpt")
    (folder / "layer_sizes.json").write_text("{}")


def _damaged_sizes(folder: Path) -> None:
    (folder / "layer_sizes.json").write_text("{")


def _list_of_sizes(folder: Path) -> None:
    (folder / "layer_sizes.json").write_text("[]")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_other_width, r"`network.2.weight` in `encoder.ckpt` is \[5, 7\] and \[5, 8\] in `layer_sizes.json`"),
        (_fewer_genes, "`gene_order.tsv` names 2 genes and `encoder.ckpt` reads 12"),
        (_other_keys, "`encoder.ckpt` holds `layers.weight`"),
        (_no_state, "`encoder.ckpt` holds no `state_dict`"),
        (_broken_chain, "do not follow one another"),
        (_damaged_sizes, "`layer_sizes.json` is damaged"),
        (_list_of_sizes, "`layer_sizes.json` holds a list"),
    ],
)
def test_another_layout_is_reported(similarity_folder: Path, change: Callable[[Path], None], words: str) -> None:
    change(similarity_folder)
    with pytest.raises(ModelFolderError, match=rf"{words}.*; expected the layout.* Copy the whole folder"):
        SCimilarity(similarity_folder)


class _Trap:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.path),)


def test_code_in_a_checkpoint_is_not_run(similarity_folder: Path, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    torch.save({"state_dict": {"network.0.1.weight": _Trap(str(trap))}}, similarity_folder / "encoder.ckpt")
    with pytest.raises(
        ModelFolderError, match=r"cannot be read as weights .*; expected what SCimilarity wrote. Nothing"
    ):
        SCimilarity(similarity_folder)
    assert not trap.exists()


@pytest.mark.parametrize("held", [b"", b"junk", b"PK\x03\x04"])
def test_a_damaged_checkpoint_is_reported(similarity_folder: Path, held: bytes) -> None:
    (similarity_folder / "encoder.ckpt").write_bytes(held)
    with pytest.raises(ModelFolderError, match=r"cannot be read as weights .* Copy it again, or write it anew"):
        SCimilarity(similarity_folder)


def test_a_checkpoint_of_something_else_is_reported(similarity_folder: Path) -> None:
    torch.save([1, 2], similarity_folder / "encoder.ckpt")
    with pytest.raises(ModelFolderError, match=r"`encoder.ckpt` in .* holds a list; expected the weights"):
        SCimilarity(similarity_folder)
