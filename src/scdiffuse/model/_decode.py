"""The way from latents to counts: mean expression of a combination, gene factors, counts drawn."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.random import cell_keys, cell_normals
from scdiffuse.autoencoder import Tilt
from scdiffuse.calibration import Tilts
from scdiffuse.cells import ConditionTable
from scdiffuse.diffusion import SAMPLED_AT_ONCE, condition_tensors, sample
from scdiffuse.model._networks import Parts

__all__ = ["decode", "mean_expression", "tilts_of"]


def mean_expression(parts: Parts, asked: ConditionTable) -> NDArray[np.float64]:
    """Find the mean expression fraction of each gene that the model as learnt gives a combination of conditions.

    Parameters
    ----------
    parts
        The fitted model.
    asked
        The combination, one row.

    Returns
    -------
    Fractions, shape ``(G,)``, summing to 1; over the same noise for every combination.
    """
    denoiser, device = parts.denoiser, parts.latent_mean.device
    cells = np.arange(SAMPLED_AT_ONCE, dtype=np.int64)
    noise = torch.from_numpy(cell_normals(0, "expected shares", cells, denoiser.n_latent))
    conditions = condition_tensors(asked.take(np.zeros(len(cells), dtype=np.int64)))
    latents = sample(denoiser, noise.to(device), conditions.to(device), n_steps=denoiser.config.n_steps)
    codes, _ = parts.to_latent(latents)
    shares: NDArray[np.float64] = parts.autoencoder.shares(codes).mean(axis=0, dtype=np.float64)
    return shares


def tilts_of(parts: Parts, *, power: float = 1.0) -> Tilts | None:
    """Prepare the gene factors of combinations never or hardly seen in training.

    Parameters
    ----------
    parts
        The fitted model.
    power
        Of the factors; 0 for cells without conditions.

    Returns
    -------
    `None` where no combination has any.
    """
    if parts.expected is None or power == 0:
        return None
    return Tilts(expected=parts.expected, generated=lambda asked: mean_expression(parts, asked), power=power)


def decode(
    parts: Parts,
    latents: Tensor,
    *,
    seed: int,
    stream: str,
    noise_ids: NDArray[np.integer],
    library_sizes: NDArray[np.int64] | None,
    tilt: Tilt | None = None,
) -> sp.csr_matrix:
    """Draw the counts of cells from their latents.

    Parameters
    ----------
    parts
        The fitted model.
    latents
        What the diffusion made, shape ``(B, D + 1)``.
    seed, stream, noise_ids
        Name the random stream of each cell; `noise_ids` has shape ``(B,)``.
    library_sizes
        Counts a cell, shape ``(B,)``; `None` takes those that the diffusion made.
    tilt
        Factors of the expression fractions of genes; none if not given.

    Returns
    -------
    Counts, shape ``(B, G)``, ``int32``.
    """
    codes, own = parts.to_latent(latents)
    sizes = own if library_sizes is None else library_sizes
    return parts.autoencoder.decode(codes, sizes, cell_keys(seed, stream, noise_ids), tilt=tilt)
