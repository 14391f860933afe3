"""An entry of `obsm` as the latent space."""

from __future__ import annotations

from typing import Any

import pandas as pd
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from scdiffuse._core.errors import SettingError
from scdiffuse.autoencoder import Latent
from scdiffuse.cells import Source, SourceWithEmbedding

__all__ = ["Embedding", "EmbeddingReader"]


class Embedding:
    """Use an entry of `obsm` as latents, and learn to decode counts from it.

    The method that computed the embedding is not part of the model, so that cells to encode need the same entry.

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
        """Use all genes of the data."""
        return None

    def describe(self, source: Source) -> dict[str, Any]:
        """Return the metadata to save with a model.

        Parameters
        ----------
        source
            Cells with the embedding.
        """
        width = source.embedding.shape[1] if isinstance(source, SourceWithEmbedding) else 0
        return {"kind": "embedding", "name": self.obsm_key, "obsm_key": self.obsm_key, "width": int(width)}

    def fill(self, latent: Latent, var: pd.DataFrame) -> None:
        """Do nothing: an embedding has no weights."""


class EmbeddingReader(nn.Module):
    """Read the embedding that counts have.

    Parameters
    ----------
    obsm_key
        Entry of `obsm`, for messages.
    width
        Width ``D`` of the embedding.
    """

    def __init__(self, obsm_key: str, width: int) -> None:
        super().__init__()
        self.obsm_key = obsm_key
        self.width = width

    def forward(self, counts: sp.csr_matrix) -> tuple[Tensor, Tensor]:
        """Return the embedding, shape ``(B, D)``, and log variances of minus infinity.

        Parameters
        ----------
        counts
            Counts with an embedding.

        Raises
        ------
        SettingError
            They have no embedding, or one of another width.
        """
        embedding = getattr(counts, "embedding", None)
        if embedding is None:
            msg = f"The latents of this model are `obsm[{self.obsm_key!r}]`, which these cells do not have;"
            raise SettingError(msg + " expected cells with that entry. Counts alone cannot be encoded.")
        if embedding.shape[1] != self.width:
            msg = (
                f"`obsm[{self.obsm_key!r}]` has {embedding.shape[1]} columns; expected the {self.width} of the training"
            )
            raise SettingError(msg + " cells. Embed these cells together with those, or in the same way.")
        codes = torch.from_numpy(embedding)
        return codes, torch.full_like(codes, -torch.inf)
