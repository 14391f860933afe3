"""Latents of cells."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError
from scdiffuse._core.resources import explain_memory
from scdiffuse.cells import Source
from scdiffuse.generator._base import GeneratorBase
from scdiffuse.model import ENCODED_AT_ONCE, Networks, encode, open_given

__all__ = ["EncodeMixin", "infer_latents"]


def infer_latents(networks: Networks, source: Source) -> NDArray[np.float32]:
    """Infer the latents of all cells, standardised.

    Parameters
    ----------
    networks
        The fitted model.
    source
        The cells, genes of the model in its order.

    Returns
    -------
    Posterior means, shape ``(N, D)``, in units of the training cells' standard deviation.
    """
    found = encode(networks, source.blocks(ENCODED_AT_ONCE), n_cells=source.n_cells)
    mean, std = networks.latent_mean[:-1].cpu(), networks.latent_std[:-1].cpu()
    latents: NDArray[np.float32] = ((found.means - mean) / std).numpy()
    return latents


class EncodeMixin(GeneratorBase):
    """The part of `CellGenerator` that embeds cells."""

    def encode(
        self, adata: ad.AnnData | str | Path, *, layer: str | None = None, key_added: str | None = None
    ) -> NDArray[np.float32]:
        """Embed cells: infer their latents.

        Parameters
        ----------
        adata
            Cells with raw counts of the model's genes; other genes are ignored.
        layer
            Layer with raw counts; if not given, ``X``, or the one place that holds counts.
        key_added
            Entry of ``adata.obsm`` to write them into too, such as ``"X_scdiffuse"`` for
            ``sc.pp.neighbors(adata, use_rep="X_scdiffuse")``; `adata` is otherwise left as it is.

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
        SettingError
            `key_added` is given, and `adata` is a path.
        """
        networks = self._fitted("encode").networks
        if key_added is not None and not isinstance(adata, ad.AnnData):
            msg = f"`key_added` is {key_added!r} and `adata` a path; expected an AnnData to write latents into."
            raise SettingError(msg + " Read the cells with `anndata.read_h5ad` first, or leave `key_added` out.")
        source = open_given(adata, self._metadata, layer=layer)
        with explain_memory("Encode fewer cells at a time."):
            latents = infer_latents(networks, source)
        if key_added is not None and isinstance(adata, ad.AnnData):
            adata.obsm[key_added] = latents
        return latents
