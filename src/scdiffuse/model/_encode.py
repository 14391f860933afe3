"""Cells that a user hands to a fitted model: their latents, conditions and library sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.errors import CountsError
from scdiffuse.autoencoder import Posterior
from scdiffuse.cells import ConditionTable, check_counts, open_source
from scdiffuse.model._metadata import ModelMetadata
from scdiffuse.model._networks import Networks

__all__ = ["GivenCells", "read_given"]

_BLOCK = 1024


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenCells:
    """``N`` cells as the diffusion sees them."""

    obs: pd.DataFrame
    """Their columns, ``N`` rows."""
    table: ConditionTable
    """Their conditions; what `obs` does not say is missing."""
    means: Tensor
    """Posterior means and the score of the library size, standardised, shape ``(N, D + 1)``."""
    stds: Tensor
    """Posterior deviations, the same way; 0 for the library size."""
    sizes: NDArray[np.int64]
    """Counts of the model's genes, shape ``(N,)``."""

    def __len__(self) -> int:
        """Count the cells."""
        return len(self.obs)

    def draw(self, noise: Tensor) -> Tensor:
        """Draw latents from the posteriors, as those that the diffusion learnt from.

        Parameters
        ----------
        noise
            Standard normals, shape ``(N, D + 1)``.

        Returns
        -------
        Latents, shape ``(N, D + 1)``.
        """
        return torch.addcmul(self.means, self.stds, noise.to(self.means))

    def take(self, rows: NDArray[np.integer]) -> GivenCells:
        """Return some of the cells, in the order given."""
        at = torch.from_numpy(np.asarray(rows)).to(self.means.device)
        return GivenCells(
            obs=self.obs.iloc[rows],
            table=self.table.take(rows),
            means=self.means[at],
            stds=self.stds[at],
            sizes=self.sizes[rows],
        )


def read_given(
    adata: ad.AnnData | str | Path, networks: Networks, metadata: ModelMetadata, *, layer: str | None
) -> GivenCells:
    """Encode cells of a user.

    Parameters
    ----------
    adata
        Cells with raw counts of the model's genes.
    networks, metadata
        The fitted model.
    layer
        Layer with raw counts; ``X`` if not given.

    Returns
    -------
    The cells.

    Raises
    ------
    GenesError
        Genes of the model are missing from the data.
    CountsError
        The values are not raw counts, or a cell has none of the model's genes.
    UnknownNameError
        A label of a condition was not trained, or there is no such layer.
    ConditionError
        A continuous condition holds text or infinite numbers.
    """
    genes = [str(gene) for gene in metadata.var.index]
    source = open_source(adata, layer=layer, genes=genes, obsm_key=metadata.config.obsm_key)
    check_counts(adata, layer=layer)
    table = metadata.conditions.encode(source.obs, partial=True)
    posteriors, sizes = [], []
    for _, rows in source.blocks(_BLOCK):
        sizes.append(np.asarray(rows.sum(axis=1)).ravel())
        posteriors.append(networks.autoencoder.encode(rows))
    size = np.concatenate(sizes).astype(np.int64)
    if (size == 0).any():
        msg = f"{np.count_nonzero(size == 0)} of {size.size} cells have no counts in the {source.n_genes} genes of the"
        raise CountsError(msg + " model; expected at least one count a cell. Leave these cells out.")
    whole = Posterior(torch.cat([one.mean for one in posteriors]), torch.cat([one.std for one in posteriors]))
    means, stds = networks.from_posterior(whole, size)
    return GivenCells(obs=source.obs, table=table, means=means, stds=stds, sizes=size)
