"""A fit that begins with what a model of other data has learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse._core.errors import SettingError
from scdiffuse.autoencoder import CountAutoencoder
from scdiffuse.cells import match_genes, require_shared
from scdiffuse.model import ModelMetadata, Networks, WarmStartRecord

__all__ = ["Origin", "compare_models", "inherit"]

_LEAST_SHARED = 0.2
_GENE_AXES = {
    "encoder.gene_weight": 0,
    "decoder.bias": 0,
    "decoder.loadings": 1,
    "decoder.nonlinear_loadings": 1,
}
_SCALES = {"decoder.code_mean", "decoder.code_std"}  # of pretrained latents, in which the decoder reads them
_FITTED_AT_END = {"likelihood.mean_exponent", "decoder.dispersion_loadings"}


class Origin(NamedTuple):
    """The model to begin with."""

    networks: Networks
    metadata: ModelMetadata


def compare_models(origin: Origin, metadata: ModelMetadata) -> WarmStartRecord:
    """Say what a new model has in common with the one that it begins with, for its card.

    Parameters
    ----------
    origin
        The model to begin with.
    metadata
        The new one.

    Raises
    ------
    GenesError
        They share too few genes.
    SettingError
        Their latents or the widths of their autoencoders differ.
    """
    theirs, ours = origin.metadata.config, metadata.config
    if _identity(theirs.latent) != _identity(ours.latent):
        msg = f"`init_from` has latents of {_identity(theirs.latent)}, and this model of {_identity(ours.latent)};"
        raise SettingError(msg + " expected the same. Give both the same `latent`.")
    for name in ("n_latent", "n_hidden", "n_nonlinear", "likelihood"):
        before, now = getattr(theirs.autoencoder, name), getattr(ours.autoencoder, name)
        if before != now:
            msg = f"`init_from` was fitted with `{name}` {before}, and this model has {now}; expected the same. Pass"
            raise SettingError(msg + " `config` with the settings of that model.")
    names = [str(name) for name in origin.metadata.var.index]
    found = match_genes(metadata.var, names)
    require_shared(found, var=metadata.var, genes=names, name="the model of `init_from`", least=_LEAST_SHARED)
    shapes = ("width", "depth", "embedding_width")
    return {
        "model_hash": origin.metadata.fingerprint(origin.networks),
        "n_cells": origin.metadata.data["n_cells"],
        "n_genes": len(names),
        "n_shared": int((found >= 0).sum()),
        "diffusion": all(getattr(theirs.diffusion, name) == getattr(ours.diffusion, name) for name in shapes),
    }


@torch.no_grad()
def inherit(networks: Networks, origin: Origin, metadata: ModelMetadata) -> None:
    """Put what a model has learnt into the networks of a new one.

    What belongs to a gene goes to the gene of the same name, what belongs to a label to the same label of the same
    condition, and the rest as it is. Genes and labels of the new model alone stay as they began.

    Parameters
    ----------
    networks
        New networks; they are changed.
    origin
        The model to begin with.
    metadata
        The new model, which `compare_models` accepted.
    """
    found = match_genes(metadata.var, [str(name) for name in origin.metadata.var.index])
    _inherit_counts(networks.autoencoder, origin.networks.autoencoder, found)
    shapes = ("width", "depth", "embedding_width")
    theirs, ours = origin.metadata.config.diffusion, metadata.config.diffusion
    if all(getattr(theirs, name) == getattr(ours, name) for name in shapes):
        _inherit_diffusion(networks, origin, metadata)


def _inherit_counts(ours: nn.Module, theirs: nn.Module, found: NDArray[np.int64]) -> None:
    """Carry encoder, decoder and likelihood over, gene by gene."""
    shared = torch.from_numpy(np.flatnonzero(found >= 0))
    at = torch.from_numpy(found[found >= 0])
    scales = [(name, scale) for name, scale in ours.named_buffers() if name in _SCALES]
    weights: dict[str, Tensor] = dict([*ours.named_parameters(), *scales])
    before = theirs.state_dict()  # what is trained now may have been frozen
    for name, weight in weights.items():
        if name in _FITTED_AT_END:
            continue
        axis = _GENE_AXES.get(name, 0 if name.startswith("likelihood.") else None)
        if axis is None:
            weight.copy_(before[name])
            continue
        learnt = before[name].to(weight.device).index_select(axis, at)
        if name == "decoder.bias":  # logits have no zero: keep what the shared genes make of all counts
            learnt = learnt + weight[shared].logsumexp(0) - learnt.logsumexp(0)
        if name == "encoder.gene_weight" and type(ours) is CountAutoencoder:  # new genes carry no information at first
            weight.zero_()
        weight.index_copy_(axis, shared, learnt)


def _inherit_diffusion(networks: Networks, origin: Origin, metadata: ModelMetadata) -> None:
    """Carry the denoiser over, but for the conditions that only one of the two knows."""
    ours, theirs = networks.denoiser, origin.networks.denoiser
    before, weights = dict(theirs.named_parameters()), dict(ours.named_parameters())
    for name, weight in weights.items():
        if not name.startswith(("conditions.labels.", "conditions.numbers.", "conditions.missing_numbers")):
            weight.copy_(before[name])
    learnt = origin.metadata.conditions
    for at, name in enumerate(metadata.conditions.categorical):
        if name in learnt.categorical:
            labels, old = metadata.conditions.trained(name), learnt.trained(name)
            rows = [*(old.index(label) if label in old else -1 for label in labels), len(old)]
            table = before[f"conditions.labels.{list(learnt.categorical).index(name)}.weight"]
            _copy_rows(weights[f"conditions.labels.{at}.weight"], table, rows)
    for at, name in enumerate(metadata.conditions.continuous):
        if name in learnt.continuous:
            old_at = list(learnt.continuous).index(name)
            ours.conditions.missing_numbers[at].copy_(theirs.conditions.missing_numbers[old_at])
            for own, old_weight in zip(
                ours.conditions.numbers[at].parameters(), theirs.conditions.numbers[old_at].parameters(), strict=True
            ):
                own.copy_(old_weight)


def _copy_rows(weight: Tensor, learnt: Tensor, rows: list[int]) -> None:
    """Copy rows of a table; -1 leaves a row as it is."""
    for at, row in enumerate(rows):
        if row >= 0:
            weight[at].copy_(learnt[row])


def _identity(latent: Mapping[str, Any] | None) -> str:
    if latent is None:
        return "its own"
    return f"the {latent['kind']} {latent['name']!r} ({latent.get('sha256', latent['width'])})"
