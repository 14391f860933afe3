"""Latents of cells."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.resources import explain_memory
from scdiffuse.generator._base import GeneratorBase
from scdiffuse.model import ENCODED_AT_ONCE, encode, open_given

__all__ = ["EncodeMixin"]


class EncodeMixin(GeneratorBase):
    """The part of `CellGenerator` that embeds cells."""

    def encode(self, adata: ad.AnnData | str | Path, *, layer: str | None = None) -> NDArray[np.float32]:
        """Embed cells: infer their latents.

        Parameters
        ----------
        adata
            Cells with raw counts of the model's genes; other genes are ignored.
        layer
            Layer with raw counts; ``X`` if not given.

        Returns
        -------
        Posterior means, shape ``(N, D)``, in units of the training cells' standard deviation.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        GenesError
            Genes of the model are missing from the data.
        CountsError
            The values are not raw counts.
        """
        networks = self._fitted("encode").networks
        source = open_given(adata, self._metadata, layer=layer)
        with explain_memory("Encode fewer cells at a time."):
            found = encode(networks, source.blocks(ENCODED_AT_ONCE), n_cells=source.n_cells)
        mean, std = networks.latent_mean[:-1].cpu(), networks.latent_std[:-1].cpu()
        latents: NDArray[np.float32] = ((found.means - mean) / std).numpy()
        return latents
