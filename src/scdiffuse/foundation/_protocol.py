"""What a latent space that was learnt elsewhere offers."""

from __future__ import annotations

from typing import Any, Protocol

import pandas as pd

from scdiffuse.autoencoder import Latent
from scdiffuse.cells import Source

__all__ = ["Foundation"]


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
