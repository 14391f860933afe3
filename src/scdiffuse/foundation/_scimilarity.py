"""Read SCimilarity models, without that package."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from scdiffuse._core.errors import ModelFolderError, SettingError
from scdiffuse._core.files import sha256
from scdiffuse.autoencoder import Latent, gene_product
from scdiffuse.cells import Source, match_genes, require_shared
from scdiffuse.foundation._files import LICENCE, read_checkpoint, require_files, require_finite
from scdiffuse.foundation._latents import DecodedLatent

__all__ = ["SCimilarity", "SCimilarityEncoder"]

_KIND = "SCimilarity"
_FILES = ("encoder.ckpt", "gene_order.tsv", "layer_sizes.json")
_TARGET_SUM = 1e4
_NORM_EPSILON = 1e-5


class SCimilarity:
    """Use the latents of a SCimilarity model, and learn to decode counts from them.

    Genes are matched by symbol in `var_names`, else in any column of text of `var`. Genes that
    the folder does not have add nothing to the latents unless `fine_tune` learns their weights. The decoder of the
    folder returns log values instead of counts and is not used.

    Parameters
    ----------
    folder
        A published model; ``encoder.ckpt``, ``gene_order.tsv`` and ``layer_sizes.json`` are read once.
    fine_tune
        Train the encoder with a low learning rate instead of keeping its latents.
    encoder_rate
        Learning rate of the encoder relative to that of the decoder, if `fine_tune`.
    min_shared
        Fraction of the shorter list of genes that data and folder must share.

    Raises
    ------
    ModelFolderError
        A file is missing or damaged, or of another layout.
    SettingError
        `encoder_rate` is not positive.

    References
    ----------
    Heimberg et al. 2024, https://doi.org/10.1038/s41586-024-08411-y.
    """

    obsm_key: str | None = None

    def __init__(
        self, folder: str | Path, *, fine_tune: bool = False, encoder_rate: float = 0.05, min_shared: float = 0.5
    ) -> None:
        if not encoder_rate > 0:
            msg = f"`encoder_rate` must be positive, got {encoder_rate}; 0.05 suits most data."
            raise SettingError(msg + " Leave `fine_tune` out to keep the encoder as it is.")
        place = Path(folder)
        require_files(place, _FILES, kind=_KIND)
        self._tensors = _read_tensors(place)
        self._stacks = _stacks(self._tensors, place)
        self.genes: tuple[str, ...] = _read_genes(place, n=self._stacks[0]["weight"].shape[1])
        """Symbols of the genes of the folder."""
        self._fine_tune = fine_tune
        self._encoder_rate = float(encoder_rate)
        self._min_shared = min_shared
        self._name, self._hash = place.name, sha256(place / "encoder.ckpt")

    def choose_genes(self, var: pd.DataFrame) -> list[str] | None:
        """Use all genes of the data, if enough are shared.

        Parameters
        ----------
        var
            Genes of the data.

        Raises
        ------
        GenesError
            Data and folder share too few genes.
        """
        found = match_genes(var, self.genes)
        require_shared(found, var=var, genes=self.genes, name=f"the model {self._name!r}", least=self._min_shared)
        return None

    def describe(self, source: Source) -> dict[str, Any]:
        """Return the metadata to save with a model.

        Parameters
        ----------
        source
            The training cells.
        """
        widths = [int(stack["bias"].numel()) for stack in self._stacks]
        return {
            "kind": "scimilarity",
            "name": self._name,
            "sha256": self._hash,
            "licence": LICENCE,
            "width": widths[-1],
            "widths": widths,
            "fine_tune": self._fine_tune,
            "encoder_rate": self._encoder_rate,
            "n_known": len(self.genes),
            "n_shared": int((match_genes(source.var, self.genes) >= 0).sum()),
        }

    @torch.no_grad()
    def fill(self, latent: Latent, var: pd.DataFrame) -> None:
        """Copy the pretrained weights of some genes into a latent space.

        Parameters
        ----------
        latent
            Module that `build_latent` built.
        var
            Genes of the latent space.
        """
        if not isinstance(latent, DecodedLatent) or not isinstance(latent.encoder, SCimilarityEncoder):
            raise TypeError(type(latent))
        encoder, found = latent.encoder, match_genes(var, self.genes)
        first, *others = self._stacks
        shared = torch.from_numpy(found >= 0)
        encoder.shared.copy_(shared)
        encoder.gene_weight[shared] = first["weight"].float().T[found[found >= 0]]
        encoder.gene_bias.copy_(first["bias"])
        for slope, stack in zip(encoder.slopes, self._stacks[:-1], strict=True):
            slope.copy_(stack["slope"])
        for weight, bias, stack in zip(encoder.weights, encoder.biases, others, strict=True):
            weight.copy_(stack["weight"])
            bias.copy_(stack["bias"])


class SCimilarityEncoder(nn.Module):
    r"""Encode counts as unit vectors: linear maps and leaky ReLUs, with batch norms folded into the maps.

    .. math:: z = h_L / \lVert h_L \rVert, \qquad h_0 = \log(1 + 10^4\, x / \textstyle\sum_{g\,\text{shared}} x_g)

    Parameters
    ----------
    n_genes
        Number of genes ``G``.
    widths
        Widths of the layers, that of the latent last.
    """

    shared: Tensor

    def __init__(self, n_genes: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.gene_weight = nn.Parameter(torch.zeros(n_genes, widths[0]))
        self.gene_bias = nn.Parameter(torch.zeros(widths[0]))
        self.weights = nn.ParameterList(torch.zeros(write, read) for read, write in pairwise(widths))
        self.biases = nn.ParameterList(torch.zeros(write) for write in widths[1:])
        self.slopes = nn.ParameterList(torch.zeros(1) for _ in widths[1:])
        self.register_buffer("shared", torch.zeros(n_genes, dtype=torch.bool))

    def forward(self, counts: sp.csr_matrix) -> tuple[Tensor, Tensor]:
        """Encode cells.

        Parameters
        ----------
        counts
            Counts, shape ``(B, G)``.

        Returns
        -------
        Codes of length 1, shape ``(B, D)``, and log variances of minus infinity.
        """
        h = gene_product(self._normalise(counts), self.gene_weight) + self.gene_bias
        h = nn.functional.prelu(h, self.slopes[0])
        for weight, bias, slope in zip(self.weights, self.biases, [*self.slopes[1:], None], strict=True):
            product = nn.functional.linear(h, weight, bias)
            h = product if slope is None else nn.functional.prelu(product, slope)
        codes = nn.functional.normalize(h, dim=1)
        return codes, torch.full_like(codes, -torch.inf)

    def _normalise(self, counts: sp.csr_matrix) -> sp.csr_matrix:
        """Scale to 10,000 counts of the shared genes, and take ``log1p``."""
        totals = np.maximum(counts @ self.shared.cpu().numpy().astype(np.float64), 1.0)
        data = np.log1p(counts.data * np.repeat(_TARGET_SUM / totals, np.diff(counts.indptr)))
        return sp.csr_matrix((data.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape)


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """Read the weights and check their sizes against those in the folder."""
    tensors = read_checkpoint(folder / "encoder.ckpt", kind=_KIND).get("state_dict")
    sizes = _read_json(folder / "layer_sizes.json")
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise _other(folder, "`encoder.ckpt` holds no `state_dict` of tensors")
    for key, size in sizes.items():
        if key not in tensors or list(tensors[key].shape) != list(size):
            found = list(tensors[key].shape) if key in tensors else "missing"
            raise _other(folder, f"`{key}` in `encoder.ckpt` is {found} and {list(size)} in `layer_sizes.json`")
    require_finite(tensors, folder / "encoder.ckpt")
    return {key: tensor.double() for key, tensor in tensors.items()}


def _stacks(tensors: Mapping[str, Tensor], folder: Path) -> list[dict[str, Tensor]]:
    """Find the linear map of each layer, fold its batch norm into it, and find its slope."""
    layers: dict[int, dict[str, dict[str, Tensor]]] = {}
    for key, tensor in tensors.items():
        named = re.fullmatch(r"network\.(\d+)\.(?:(\d+)\.)?(\w+)", key)
        if named is None:
            raise _other(folder, f"`encoder.ckpt` holds `{key}`")
        layers.setdefault(int(named[1]), {}).setdefault(named[2] or "", {})[named[3]] = tensor
    stacks = [_fold(list(layers[at].values())) for at in sorted(layers)]
    chained = all(len(stack) and "weight" in stack for stack in stacks) and all(
        upper["weight"].shape[1] == lower["weight"].shape[0] for lower, upper in pairwise(stacks)
    )
    if len(stacks) < 2 or not chained or any("slope" not in stack for stack in stacks[:-1]):
        raise _other(folder, "the layers in `encoder.ckpt` do not follow one another")
    return stacks


def _fold(modules: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Write a linear map and the batch norm behind it as one linear map."""
    stack: dict[str, Tensor] = {}
    for tensors in modules:
        weight = tensors.get("weight", torch.zeros(()))
        if weight.ndim == 2:
            stack |= {"weight": weight, "bias": tensors["bias"]}
        elif "running_var" in tensors and "weight" in stack:
            scale = weight / (tensors["running_var"] + _NORM_EPSILON).sqrt()
            shift = tensors["bias"] - scale * tensors["running_mean"]
            stack |= {"weight": stack["weight"] * scale[:, None], "bias": stack["bias"] * scale + shift}
        elif weight.numel() == 1:
            stack["slope"] = weight
    return stack


def _read_genes(folder: Path, *, n: int) -> tuple[str, ...]:
    names = tuple((folder / "gene_order.tsv").read_text(encoding="utf-8").split())
    if len(names) != n or len(set(names)) != n:
        raise _other(folder, f"`gene_order.tsv` names {len(set(names)):,} genes and `encoder.ckpt` reads {n:,}")
    return names


def _read_json(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _other(path.parent, f"`{path.name}` is damaged ({error})") from error
    if not isinstance(tree, dict):
        raise _other(path.parent, f"`{path.name}` holds a {type(tree).__name__}")
    return tree


def _other(folder: Path, trouble: str) -> ModelFolderError:
    msg = f"{str(folder)!r} is not a published SCimilarity model: {trouble}; expected the layout"
    return ModelFolderError(msg + " of its encoder. Copy the whole folder again from where it was published.")
