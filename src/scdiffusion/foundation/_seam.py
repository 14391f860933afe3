"""What a latent space of elsewhere has to offer, and how a saved one is built again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pandas as pd
from torch import Tensor

from scdiffusion.autoencoder import AutoencoderConfig, CountAutoencoder, Latent
from scdiffusion.cells import Source
from scdiffusion.foundation._embedding import CarriedCodes
from scdiffusion.foundation._latents import DecodedLatent, freeze
from scdiffusion.foundation._scimilarity import SCimilarityEncoder
from scdiffusion.foundation._scvi_network import ScviLatent

__all__ = ["Foundation", "build_latent"]


class Foundation(Protocol):
    """A latent space that a user brings."""

    obsm_key: str | None
    """Entry of `obsm` that the latents are, if they are one."""

    def choose_genes(self, var: pd.DataFrame) -> list[str] | None:
        """Name the genes of the data that can be used, or `None` for any."""

    def describe(self, source: Source) -> dict[str, Any]:
        """Return what ``config.json`` shall say: kind, name, width, and all that `build_latent` needs."""

    def fill(self, latent: Latent, var: pd.DataFrame) -> None:
        """Put the weights into what `build_latent` built for these genes."""


def build_latent(
    facts: Mapping[str, Any] | None, *, shares: Tensor, config: AutoencoderConfig
) -> CountAutoencoder | ScviLatent:
    """Build a latent space, without the weights that come from elsewhere.

    Parameters
    ----------
    facts
        What `Foundation.describe` returned; `None` for an autoencoder of our own.
    shares
        Mean share of each gene in the training cells, shape ``(G,)``, positive.
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
    if facts is None:
        return CountAutoencoder(shares, config)
    kind = facts["kind"]
    if kind == "scvi":
        return freeze(ScviLatent(shares.numel(), facts))
    if kind == "scimilarity":
        encoder = SCimilarityEncoder(shares.numel(), facts["widths"])
        return DecodedLatent(encoder if facts["fine_tune"] else freeze(encoder), shares, config)
    if kind == "embedding":
        return DecodedLatent(CarriedCodes(facts["obsm_key"], facts["width"]), shares, config)
    raise KeyError(kind)
