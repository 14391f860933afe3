"""Folders in the layouts of other packages, written with networks of our own that follow the published descriptions."""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor, nn

N_GENES = 12
GENES = tuple(f"gene-{at}" for at in range(N_GENES))  # the first genes of the tiny cells, which have thirty


def _shake(network: nn.Module, seed: int) -> nn.Module:
    """Give weights and running statistics values of which none is special."""
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=draws)
                tensor.copy_(noise + 0.5 if "running_var" in name else noise - 0.4)
    return network.eval()


class Published(nn.Module):
    """The encoder as SCimilarity describes it."""

    def __init__(self, n_genes: int, hidden: tuple[int, ...], n_latent: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for at, (read, write) in enumerate(zip((n_genes, *hidden), hidden, strict=False)):
            dropout = nn.Dropout(0.5 if at else 0.4)
            layers.append(nn.Sequential(dropout, nn.Linear(read, write), nn.BatchNorm1d(write), nn.PReLU()))
        self.network = nn.ModuleList([*layers, nn.Linear(hidden[-1], n_latent)])

    def forward(self, logs: Tensor) -> Tensor:
        for layer in self.network:
            logs = layer(logs)
        return nn.functional.normalize(logs, dim=1)


@pytest.fixture
def published() -> Published:
    """An encoder of 12 genes with random weights."""
    made = _shake(Published(N_GENES, (9, 7), 5), seed=0)
    assert isinstance(made, Published)
    return made


@pytest.fixture
def similarity_folder(tmp_path: Path, published: Published) -> Path:
    """That encoder as a published folder."""
    folder = tmp_path / "model_v9"
    folder.mkdir()
    state = published.state_dict()
    torch.save({"state_dict": state}, folder / "encoder.ckpt")
    (folder / "gene_order.tsv").write_text("\n".join(GENES))
    (folder / "layer_sizes.json").write_text(json.dumps({key: list(value.shape) for key, value in state.items()}))
    (folder / "hyperparameters.json").write_text(json.dumps({"latent_dim": 5, "dropout": 0.5}))
    return folder


class Variational(nn.Module):
    """The networks of scVI as scvi-tools names them."""

    def __init__(self, n_genes: int, n_latent: int, n_hidden: int, n_batch: int, *, norm: bool) -> None:
        super().__init__()
        wide = n_batch if n_batch > 1 else 0

        def stack(n_read: int) -> nn.Module:
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            for at, read in enumerate((n_read, n_hidden + (wide if n_read < n_genes else 0))):
                bn = [nn.BatchNorm1d(n_hidden, eps=1e-3)] if norm else []
                layers[f"Layer {at}"] = nn.Sequential(nn.Linear(read, n_hidden), *bn)
            return nn.ModuleDict({"fc_layers": nn.Sequential(layers)})

        self.px_r = nn.Parameter(torch.randn(n_genes))
        self.z_encoder = nn.ModuleDict({
            "encoder": stack(n_genes),
            "mean_encoder": nn.Linear(n_hidden, n_latent),
            "var_encoder": nn.Linear(n_hidden, n_latent),
        })  # fmt: skip
        self.decoder = nn.ModuleDict({
            "px_decoder": stack(n_latent + wide),
            "px_scale_decoder": nn.Sequential(nn.Linear(n_hidden, n_genes)),
            "px_dropout_decoder": nn.Linear(n_hidden, n_genes),
        })  # fmt: skip
        self.wide = wide

    def encode(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the latents."""
        h = torch.log1p(counts)
        for layer in self.z_encoder["encoder"]["fc_layers"]:  # type: ignore[index]
            h = torch.relu(layer(h))
        return self.z_encoder["mean_encoder"](h), self.z_encoder["var_encoder"](h).exp() + 1e-4

    def decode(self, z: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """Return shares and the chance of a zero that is not a count."""
        told = nn.functional.one_hot(torch.full((len(z),), batch), self.wide).float() if self.wide else z[:, :0]
        h = z
        for layer in self.decoder["px_decoder"]["fc_layers"]:  # type: ignore[index]
            h = torch.relu(layer(torch.cat([h, told], dim=1)))
        fractions = torch.softmax(self.decoder["px_scale_decoder"](h), dim=1)
        return fractions, torch.sigmoid(self.decoder["px_dropout_decoder"](h))


Saver = Callable[..., tuple[Path, Variational]]


@pytest.fixture
def save_scvi(tmp_path: Path) -> Saver:
    """Write a folder as scvi-tools saves it, tables and all, and give it with its networks."""

    def save(
        batches: tuple[str, ...] = ("x",), *, norm: bool = True, model: str = "SCVI", **settings: Any
    ) -> tuple[Path, Variational]:
        network = _shake(Variational(N_GENES, 3, 8, len(batches), norm=norm), seed=1)
        assert isinstance(network, Variational)
        fields = {"batch": {"state_registry": {"categorical_mapping": np.array(batches, dtype=object)}}}
        attributes = {
            "init_params_": {"non_kwargs": {"n_hidden": 8, **settings}, "kwargs": {"kwargs": {}}},
            "registry_": {"model_name": model, "field_registries": fields, "more": defaultdict(list, {"a": [1]})},
            "history_": {"loss": pd.DataFrame({"loss": [1.0, 2.0]}, index=pd.Index([0, 1], name="epoch"))},
            "train_indices_": np.arange(3),
        }
        state = {**network.state_dict(), "pyro_param_store": {"params": {}}}
        folder = tmp_path / "scvi"
        folder.mkdir(exist_ok=True)
        held = {"model_state_dict": state, "var_names": np.array(GENES, dtype=object), "attr_dict": attributes}
        torch.save(held, folder / "model.pt")
        return folder, network

    return save


@pytest.fixture
def known_counts(counts: sp.csr_matrix) -> Tensor:
    """The counts of the twelve known genes, dense."""
    return torch.from_numpy(counts[:, :N_GENES].toarray())
