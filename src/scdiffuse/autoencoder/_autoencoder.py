"""Counts to latents and back to counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse.autoencoder._counts import read_counts
from scdiffuse.autoencoder._network import AutoencoderConfig, Decoder, Encoder
from scdiffuse.autoencoder.likelihoods import NegativeBinomial, OutlierNegativeBinomial

__all__ = ["CountAutoencoder", "GeneFactors", "Latent", "Posterior", "draw_in_blocks", "in_blocks"]

_LIKELIHOODS = {"burst": OutlierNegativeBinomial, "negative_binomial": NegativeBinomial}
_BLOCK = 128  # rows decoded at once, always as many: the last bits of a product depend on its shape


class Posterior(NamedTuple):
    """What is known of the latents of cells."""

    mean: Tensor
    """Shape ``(B, D)``."""
    std: Tensor
    """Shape ``(B, D)``."""


class GeneFactors(NamedTuple):
    """Factors of the shares of genes, for some of the cells."""

    factors: NDArray[np.float32]
    """Shape ``(U, G)``, positive."""
    row: NDArray[np.int64]
    """Row of `factors` of each cell, shape ``(B,)``; -1 leaves a cell as it is."""

    def of(self, fractions: NDArray[np.float32], cells: slice) -> NDArray[np.float32]:
        """Multiply the shares of some of the cells, and bring each row to a sum of 1 again; they are changed."""
        row = self.row[cells]
        asked = row >= 0
        if asked.any():
            tilted = fractions[asked] * self.factors[row[asked]]
            fractions[asked] = tilted / tilted.sum(axis=1, keepdims=True)
        return fractions


class Latent(Protocol):
    """A space that cells are encoded to and drawn from; all that diffusion and generation know of it."""

    @property
    def n_genes(self) -> int:
        """Number of genes ``G``."""

    def encode(self, counts: sp.csr_matrix) -> Posterior:
        """Infer the latents of cells with counts ``(B, G)``."""

    def fractions(self, latent: Tensor) -> NDArray[np.float32]:
        """Find the expected share of each gene, shape ``(B, G)``, for latents ``(B, D)``."""

    def decode(
        self,
        latent: Tensor,
        library_size: NDArray[np.int64],
        keys: NDArray[np.uint64],
        *,
        gene_factors: GeneFactors | None = None,
    ) -> sp.csr_matrix:
        """Draw counts ``(B, G)`` for latents ``(B, D)``, each cell with its library size and the key of its stream."""


class CountAutoencoder(nn.Module):
    """A variational autoencoder of counts, in which no cell depends on another.

    Parameters
    ----------
    fractions
        Mean share of each gene in the training cells, shape ``(G,)``, positive.
    config
        Widths, likelihood and shrinkage.
    encoder, decoder
        Networks to use in place of new ones.

    References
    ----------
    Kingma & Welling 2014, https://arxiv.org/abs/1312.6114, eq. 3 (the bound).
    """

    def __init__(
        self,
        fractions: Tensor,
        config: AutoencoderConfig,
        *,
        encoder: nn.Module | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder or Encoder(fractions.numel(), config)
        self.decoder = decoder or Decoder(fractions, config)
        self.likelihood = _LIKELIHOODS[config.likelihood](fractions.numel())

    @property
    def n_genes(self) -> int:
        """Number of genes ``G``."""
        return self.decoder.bias.numel()

    def terms(
        self,
        counts: sp.csr_matrix,
        noise: Tensor,
        weights: Tensor,
        *,
        seen: sp.csr_matrix | None = None,
        prior_mean: Tensor | None = None,
        outliers: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Compute the two terms of the bound with one draw of the latents, summed over cells.

        Parameters
        ----------
        counts
            Counts, shape ``(B, G)``.
        noise
            Standard normal numbers, shape ``(B, D)``.
        weights
            Weight of each cell, shape ``(B,)``.
        seen
            What the encoder sees of the cells; all of `counts` unless given.
        prior_mean
            Where the latents of these cells are expected, shape ``(B, D)``; at 0 unless given.
        outliers
            Whether the likelihood may take counts for outliers.

        Returns
        -------
        Minus the log probability of the counts and the divergence from the prior, each ``()`` in nats.
        """
        latent, divergence = self.infer(counts, noise, seen=seen, prior_mean=prior_mean)
        cells = read_counts(counts, latent.device)
        nll = self.likelihood.nll(self.decoder(latent), cells, weights, outliers=outliers)
        return nll, (weights * divergence).sum()

    def infer(
        self,
        counts: sp.csr_matrix,
        noise: Tensor,
        *,
        seen: sp.csr_matrix | None = None,
        prior_mean: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw latents from their posterior.

        Parameters
        ----------
        counts, noise, seen, prior_mean
            As in `terms`.

        Returns
        -------
        Latents, shape ``(B, D)``, and the divergence of the posterior from the prior, shape ``(B,)``, in nats.
        """
        mean, log_variance = self.encoder(counts if seen is None else seen)
        away = mean if prior_mean is None else mean - prior_mean
        divergence = 0.5 * (away.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
        return mean + (0.5 * log_variance).exp() * noise, divergence

    @torch.no_grad()
    def encode(self, counts: sp.csr_matrix) -> Posterior:
        """Infer the latents of cells.

        Parameters
        ----------
        counts
            Counts, shape ``(B, G)``.

        Returns
        -------
        Mean and standard deviation of the latents.
        """
        mean, log_variance = self.encoder(counts)
        return Posterior(mean, (0.5 * log_variance).exp())

    @torch.no_grad()
    def fractions(self, latent: Tensor) -> NDArray[np.float32]:
        """Find the expected share of each gene.

        Parameters
        ----------
        latent
            Latent codes, shape ``(B, D)``.

        Returns
        -------
        Shares, shape ``(B, G)``, rows summing to 1.
        """
        return in_blocks(lambda rows: torch.softmax(self.decoder(rows), dim=1), latent, width=self.n_genes)

    def decode(
        self,
        latent: Tensor,
        library_size: NDArray[np.int64],
        keys: NDArray[np.uint64],
        *,
        gene_factors: GeneFactors | None = None,
    ) -> sp.csr_matrix:
        """Draw counts for latents.

        Parameters
        ----------
        latent
            Latent codes, shape ``(B, D)``.
        library_size
            Counts a cell shall have, shape ``(B,)``.
        keys
            Key of the random stream of each cell, shape ``(B,)``.
        gene_factors
            Factors of the shares of genes; none if not given.

        Returns
        -------
        Counts, shape ``(B, G)``, ``int32``.
        """
        return draw_in_blocks(
            lambda fractions, rows: self.likelihood.sample(fractions, library_size[rows], keys[rows]),
            latent,
            space=self,
            gene_factors=gene_factors,
        )


@torch.no_grad()
def in_blocks(network: Callable[[Tensor], Tensor], latent: Tensor, *, width: int) -> NDArray[np.float32]:
    """Apply a network to blocks of always as many rows, so that no cell depends on how many others there are.

    Parameters
    ----------
    network
        From latents, shape ``(B, D)``, to values, shape ``(B, width)``.
    latent
        Latent codes, shape ``(N, D)``.
    width
        Values a cell.

    Returns
    -------
    Values, shape ``(N, width)``.
    """
    padded = latent.new_zeros(_BLOCK, latent.shape[1])
    blocks = []
    for begin in range(0, len(latent), _BLOCK):
        rows = latent[begin : begin + _BLOCK]
        padded[: len(rows)] = rows
        blocks.append(network(padded)[: len(rows)].cpu().numpy())
    if len(blocks) == 1:
        return blocks[0]
    return np.concatenate(blocks) if blocks else np.empty((0, width), np.float32)


def draw_in_blocks(
    draw: Callable[[NDArray[np.float32], slice], sp.csr_matrix],
    latent: Tensor,
    *,
    space: Latent,
    gene_factors: GeneFactors | None,
) -> sp.csr_matrix:
    """Draw counts block by block, in memory for the shares of one.

    Parameters
    ----------
    draw
        From the shares of some of the cells, and which they are, to their counts.
    latent
        Latent codes, shape ``(N, D)``.
    space
        Finds the shares.
    gene_factors
        Factors of the shares, if any.

    Returns
    -------
    Counts, shape ``(N, G)``.
    """
    blocks = []
    for begin in range(0, max(1, len(latent)), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        fractions = space.fractions(latent[rows])
        blocks.append(draw(fractions if gene_factors is None else gene_factors.of(fractions, rows), rows))
    return sp.vstack(blocks, format="csr")
