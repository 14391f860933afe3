"""Build pretrained latent spaces from their metadata; a new kind adds one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from scdiffuse.autoencoder import AutoencoderConfig, CountAutoencoder
from scdiffuse.foundation._embedding import EmbeddingReader
from scdiffuse.foundation._latents import DecodedLatent, freeze
from scdiffuse.foundation._scimilarity import SCimilarityEncoder
from scdiffuse.foundation._scvi_network import ScviLatent

__all__ = ["LATENTS", "build_latent"]

Builder = Callable[[Mapping[str, Any], Tensor, AutoencoderConfig], CountAutoencoder | ScviLatent]


def _scvi(metadata: Mapping[str, Any], fractions: Tensor, config: AutoencoderConfig) -> ScviLatent:
    return freeze(ScviLatent(fractions.numel(), metadata))


def _scimilarity(metadata: Mapping[str, Any], fractions: Tensor, config: AutoencoderConfig) -> DecodedLatent:
    encoder = SCimilarityEncoder(fractions.numel(), metadata["widths"])
    encoder = encoder if metadata["fine_tune"] else freeze(encoder)
    return DecodedLatent(encoder, fractions, config, encoder_rate=metadata["encoder_rate"])


def _embedding(metadata: Mapping[str, Any], fractions: Tensor, config: AutoencoderConfig) -> DecodedLatent:
    return DecodedLatent(EmbeddingReader(metadata["obsm_key"], metadata["width"]), fractions, config)


LATENTS: dict[str, Builder] = {"scvi": _scvi, "scimilarity": _scimilarity, "embedding": _embedding}
"""Builders of pretrained latent spaces, by kind."""


def build_latent(
    metadata: Mapping[str, Any], *, fractions: Tensor, config: AutoencoderConfig
) -> CountAutoencoder | ScviLatent:
    """Build a pretrained latent space, without its pretrained weights.

    Parameters
    ----------
    metadata
        Metadata that `Foundation.describe` returns.
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
    return LATENTS[metadata["kind"]](metadata, fractions, config)
