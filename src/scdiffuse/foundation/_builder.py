"""Pretrained latent spaces, built again from what a saved model says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from scdiffuse.autoencoder import AutoencoderConfig, CountAutoencoder
from scdiffuse.foundation._embedding import CarriedCodes
from scdiffuse.foundation._latents import DecodedLatent, freeze
from scdiffuse.foundation._scimilarity import SCimilarityEncoder
from scdiffuse.foundation._scvi_network import ScviLatent

__all__ = ["LATENTS", "build_latent"]

Builder = Callable[[Mapping[str, Any], Tensor, AutoencoderConfig], CountAutoencoder | ScviLatent]


def _scvi(facts: Mapping[str, Any], fractions: Tensor, config: AutoencoderConfig) -> ScviLatent:
    return freeze(ScviLatent(fractions.numel(), facts))


def _scimilarity(facts: Mapping[str, Any], fractions: Tensor, config: AutoencoderConfig) -> DecodedLatent:
    encoder = SCimilarityEncoder(fractions.numel(), facts["widths"])
    return DecodedLatent(encoder if facts["fine_tune"] else freeze(encoder), fractions, config)


def _embedding(facts: Mapping[str, Any], fractions: Tensor, config: AutoencoderConfig) -> DecodedLatent:
    return DecodedLatent(CarriedCodes(facts["obsm_key"], facts["width"]), fractions, config)


LATENTS: dict[str, Builder] = {"scvi": _scvi, "scimilarity": _scimilarity, "embedding": _embedding}
"""What builds each kind of pretrained latent space."""


def build_latent(
    facts: Mapping[str, Any], *, fractions: Tensor, config: AutoencoderConfig
) -> CountAutoencoder | ScviLatent:
    """Build a pretrained latent space, without the weights that come from elsewhere.

    Parameters
    ----------
    facts
        What `Foundation.describe` returned.
    fractions
        Mean expression fraction of each gene in the training cells, shape ``(G,)``, positive.
    config
        Widths and likelihood.

    Returns
    -------
    A module; all its tensors are saved with the model.

    Raises
    ------
    KeyError
        There is no such kind.
    """
    return LATENTS[facts["kind"]](facts, fractions, config)
