"""The way from latents to counts: mean expression of a combination, gene factors, counts drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse._core.random import cell_keys, cell_normals
from scdiffuse.autoencoder import GeneFactors
from scdiffuse.calibration import GeneFactorTable
from scdiffuse.cells import ConditionTable
from scdiffuse.diffusion import SAMPLED_AT_ONCE, condition_tensors, sample
from scdiffuse.model._networks import Networks

__all__ = ["decode", "gene_factor_table", "mean_expression"]


def mean_expression(networks: Networks, asked: ConditionTable, *, seed: int) -> NDArray[np.float64]:
    """Find the mean expression fraction of each gene that the model as learnt gives a combination of conditions.

    Cells weigh by their library size, as they do in the pseudobulks that the mean is compared with.

    Parameters
    ----------
    networks
        The fitted model.
    asked
        The combination, one row.
    seed
        Seed of the fit.

    Returns
    -------
    Fractions, shape ``(G,)``, summing to 1; over the same noise for every combination.
    """
    denoiser, device = networks.denoiser, networks.latent_mean.device
    cells = np.arange(SAMPLED_AT_ONCE, dtype=np.int64)
    noise = torch.from_numpy(cell_normals(seed, "expected shares", cells, denoiser.n_latent))
    conditions = condition_tensors(asked.take(np.zeros(len(cells), dtype=np.int64)))
    latents = sample(denoiser, noise.to(device), conditions.to(device), solver_steps=denoiser.config.solver_steps)
    codes, sizes = networks.split(latents)
    fractions = networks.autoencoder.mean_fractions(codes)
    weighted = np.einsum("c,cg->g", sizes, fractions, dtype=np.float64)  # without a copy in double precision
    return np.asarray(weighted / sizes.sum())


def gene_factor_table(networks: Networks, *, seed: int, power: float = 1.0) -> GeneFactorTable | None:
    """Prepare the gene factors of combinations never or hardly seen in training.

    Parameters
    ----------
    networks
        The fitted model.
    seed
        Seed of the fit.
    power
        Of the factors; 0 for cells without conditions.

    Returns
    -------
    `None` where no combination has any.
    """
    if networks.expected is None or power == 0:
        return None
    return GeneFactorTable(
        expected=networks.expected,
        generated=lambda asked: mean_expression(networks, asked, seed=seed),
        power=power,
    )


def decode(
    networks: Networks,
    latents: Tensor,
    *,
    seed: int,
    stream: str,
    noise_ids: NDArray[np.integer],
    library_sizes: NDArray[np.int64] | Callable[[NDArray[np.int64]], NDArray[np.int64]] | None,
    gene_factors: GeneFactors | None = None,
) -> sp.csr_matrix:
    """Draw the counts of cells from their latents.

    Parameters
    ----------
    networks
        The fitted model.
    latents
        What the diffusion made, shape ``(B, D + 1)``.
    seed, stream, noise_ids
        Name the random stream of each cell; `noise_ids` has shape ``(B,)``.
    library_sizes
        Counts a cell, shape ``(B,)``; or a function of those that the diffusion made; `None` takes these.
    gene_factors
        Factors of the expression fractions of genes; none if not given.

    Returns
    -------
    Counts, shape ``(B, G)``, ``int32``.

    Raises
    ------
    SettingError
        Latents are not finite.
    """
    n_bad = int((~latents.isfinite()).any(dim=1).sum())
    if n_bad:
        msg = f"{n_bad} of {len(latents)} cells have latents that are not finite; expected numbers."
        raise SettingError(msg + " Lower the scale of `guidance`. If it is 1, the weights of the model are damaged.")
    codes, own = networks.split(latents)
    if library_sizes is None:
        library_sizes = own
    elif callable(library_sizes):
        library_sizes = library_sizes(own)
    return networks.autoencoder.decode(
        codes, library_sizes, cell_keys(seed, stream, noise_ids), gene_factors=gene_factors
    )
