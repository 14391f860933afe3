"""The way from counts to latents."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.errors import CountsError, ScdiffuseWarning
from scdiffuse.autoencoder import Posterior
from scdiffuse.cells import ConditionTable, Source, check_counts, find_counts, open_source
from scdiffuse.model._metadata import ModelMetadata
from scdiffuse.model._networks import Networks

__all__ = ["ENCODED_AT_ONCE", "EncodedCells", "GivenCells", "encode", "open_given", "read_given"]

ENCODED_AT_ONCE = 1024
"""Cells that are encoded together."""


@dataclass(frozen=True, eq=False)
class EncodedCells:
    """Posteriors of ``N`` cells, not standardised, with their library sizes; in main memory."""

    means: Tensor
    """Posterior means, shape ``(N, D)``."""
    stds: Tensor
    """Posterior standard deviations, shape ``(N, D)``."""
    library_sizes: Tensor
    """Counts of the model's genes, ``float64``, shape ``(N,)``."""

    @property
    def posterior(self) -> Posterior:
        """Means and standard deviations together."""
        return Posterior(self.means, self.stds)


def encode(
    networks: Networks,
    blocks: Iterable[tuple[slice, sp.csr_matrix]],
    *,
    n_cells: int,
    advance: Callable[[int], None] = lambda _: None,
) -> EncodedCells:
    """Infer the latents of cells, block by block.

    Parameters
    ----------
    networks
        The networks of the model.
    blocks
        Where each block stands, and its counts, shape ``(B, G)``, of 1 to `ENCODED_AT_ONCE` cells.
    n_cells
        Number of cells ``N``; rows of blocks that are not visited stay 0.
    advance
        Called with the number of cells of each block, for a progress bar.
    """
    width = len(networks.latent_mean) - 1
    means, stds = torch.zeros(n_cells, width), torch.zeros(n_cells, width)
    library_sizes = torch.zeros(n_cells, dtype=torch.float64)
    for where, counts in blocks:
        n = counts.shape[0]
        # Always as many rows, the last one repeated: the last bits of a product depend on its size.
        whole = counts if n == ENCODED_AT_ONCE else counts[np.arange(ENCODED_AT_ONCE).clip(max=n - 1)]
        posterior = networks.autoencoder.encode(whole)
        means[where], stds[where] = posterior.mean[:n].cpu(), posterior.std[:n].cpu()
        library_sizes[where] = torch.from_numpy(np.asarray(counts.sum(axis=1), dtype=np.float64).ravel())
        advance(n)
    return EncodedCells(means, stds, library_sizes)


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenCells:
    """``N`` cells of a user as the diffusion sees them."""

    obs: pd.DataFrame
    """Columns of the cells, ``N`` rows."""
    table: ConditionTable
    """Conditions of the cells; what `obs` does not have is missing."""
    means: Tensor
    """Posterior means and the score of the library size, standardised, shape ``(N, D + 1)``."""
    stds: Tensor
    """Posterior standard deviations, the same way; 0 for the library size."""
    library_sizes: NDArray[np.int64]
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
            library_sizes=self.library_sizes[rows],
        )


def open_given(adata: ad.AnnData | str | Path, metadata: ModelMetadata, *, layer: str | None) -> Source:
    """Open cells of a user with the genes of a model, in its order, and check that they are raw counts.

    Counts with decimals are rounded where those that the model was fitted to were.

    Parameters
    ----------
    adata
        Cells with raw counts of the model's genes.
    metadata
        The model.
    layer
        Layer with raw counts; ``X`` if not given.

    Raises
    ------
    GenesError
        Genes of the model are missing from the data.
    CountsError
        The values are not raw counts.
    UnknownNameError
        There is no such layer, or no such entry of `obsm` where the latents of the model are one.
    """
    genes = [str(gene) for gene in metadata.var.index]
    rounds = metadata.data.get("round_counts", False)
    adata, layer, message = find_counts(adata, layer=layer, round_counts=rounds)
    if message:
        warnings.warn(message, ScdiffuseWarning, stacklevel=4)
    source = open_source(adata, layer=layer, genes=genes, obsm_key=metadata.config.obsm_key, round_counts=rounds)
    check_counts(source if rounds else adata, layer=layer)
    return source


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
    source = open_given(adata, metadata, layer=layer)
    table = metadata.conditions.encode(source.obs, partial=True)
    cells = encode(networks, source.blocks(ENCODED_AT_ONCE), n_cells=source.n_cells)
    library_sizes = cells.library_sizes.numpy().astype(np.int64)
    if (library_sizes == 0).any():
        n_empty = np.count_nonzero(library_sizes == 0)
        msg = f"{n_empty} of {library_sizes.size} cells have no counts in the {source.n_genes} genes of the"
        raise CountsError(msg + " model; expected at least one count a cell. Leave these cells out.")
    device = networks.latent_mean.device
    posterior = Posterior(cells.means.to(device), cells.stds.to(device))
    means, stds = networks.standardise(posterior, library_sizes)
    return GivenCells(obs=source.obs, table=table, means=means, stds=stds, library_sizes=library_sizes)
