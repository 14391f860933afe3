"""Any embedding of the cells as the latent space."""

from __future__ import annotations

from typing import Any

import pandas as pd
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from scdiffuse._core.errors import SettingError
from scdiffuse.autoencoder import Latent
from scdiffuse.cells import EmbeddedSource, Source

__all__ = ["CarriedCodes", "Embedding"]


class Embedding:
    """Take an entry of `obsm` for the latents, and learn to decode counts from it.

    Whatever made the embedding is not part of the model, so cells to encode must carry the same entry.

    Parameters
    ----------
    obsm_key
        Name of the entry, such as ``"X_pca"``.

    Examples
    --------
    >>> Embedding("X_pca").obsm_key
    'X_pca'
    """

    def __init__(self, obsm_key: str) -> None:
        self.obsm_key: str | None = obsm_key

    def choose_genes(self, var: pd.DataFrame) -> list[str] | None:
        """Leave the choice of genes to the data."""
        return None

    def describe(self, source: Source) -> dict[str, Any]:
        """Say what is saved of it with a model.

        Parameters
        ----------
        source
            Cells that carry the embedding.
        """
        width = source.embedding.shape[1] if isinstance(source, EmbeddedSource) else 0
        return {"kind": "embedding", "name": self.obsm_key, "obsm_key": self.obsm_key, "width": int(width)}

    def fill(self, latent: Latent, var: pd.DataFrame) -> None:
        """Do nothing: an embedding has no weights."""


class CarriedCodes(nn.Module):
    """Read the code that counts carry.

    Parameters
    ----------
    obsm_key
        Where codes come from, for messages.
    width
        Width ``D`` of the codes.
    """

    def __init__(self, obsm_key: str, width: int) -> None:
        super().__init__()
        self.obsm_key = obsm_key
        self.width = width

    def forward(self, counts: sp.csr_matrix) -> tuple[Tensor, Tensor]:
        """Return the codes, shape ``(B, D)``, and log variances of minus infinity.

        Parameters
        ----------
        counts
            Counts with codes.

        Raises
        ------
        SettingError
            They carry none, or codes of another width.
        """
        carried = getattr(counts, "embedding", None)
        if carried is None:
            msg = f"The latents of this model are `obsm[{self.obsm_key!r}]`, which the cells given here do not carry;"
            raise SettingError(msg + " expected cells with that entry. Counts alone cannot be encoded.")
        if carried.shape[1] != self.width:
            msg = f"`obsm[{self.obsm_key!r}]` has {carried.shape[1]} columns; expected the {self.width} of the training"
            raise SettingError(msg + " cells. Embed these cells together with those, or in the same way.")
        codes = torch.from_numpy(carried)
        return codes, torch.full_like(codes, -torch.inf)
