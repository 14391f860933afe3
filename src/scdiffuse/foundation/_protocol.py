"""The protocol of pretrained latent spaces."""

from __future__ import annotations

from typing import Any, Protocol

import pandas as pd

from scdiffuse.autoencoder import Latent
from scdiffuse.cells import Source

__all__ = ["Foundation"]


class Foundation(Protocol):
    """A pretrained latent space that the user chooses."""

    obsm_key: str | None
    """Entry of `obsm` that holds the latents, if any."""

    def choose_genes(self, var: pd.DataFrame) -> list[str] | None:
        """Return the genes of the data that the latent space can use, or `None` for all."""

    def describe(self, source: Source) -> dict[str, Any]:
        """Return metadata for ``config.json``: kind, name, width, and everything that `build_latent` needs."""

    def fill(self, latent: Latent, var: pd.DataFrame) -> None:
        """Copy pretrained weights into the module that `build_latent` built for these genes."""
