"""The autoencoder: counts to latents and back to counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse.autoencoder._config import AutoencoderConfig
from scdiffuse.autoencoder._counts import read_counts
from scdiffuse.autoencoder._network import Decoder, Encoder
from scdiffuse.autoencoder.likelihoods import LIKELIHOODS, CountLikelihood

__all__ = ["CountAutoencoder", "GeneFactors", "Latent", "Posterior", "draw_in_blocks", "in_blocks"]

_BLOCK = 128  # rows decoded at once, always as many: the last bits of a product depend on its size


class Posterior(NamedTuple):
    """Gaussian posterior of the latents of cells."""

    mean: Tensor
    """Shape ``(B, D)``."""
    std: Tensor
    """Shape ``(B, D)``."""


class GeneFactors(NamedTuple):
    """Factors of the expression fractions of genes, for some of the cells."""

    factors: NDArray[np.float32]
    """Shape ``(U, G)``, positive."""
    row: NDArray[np.int64]
    """Row of `factors` for each cell, shape ``(B,)``; -1 leaves a cell unchanged."""

    def apply(self, fractions: NDArray[np.float32], cells: slice) -> NDArray[np.float32]:
        """Multiply the expression fractions of some of the cells in place, and scale each row to a sum of 1 again."""
        row = self.row[cells]
        has_factors = row >= 0
        if has_factors.any():
            scaled = fractions[has_factors] * self.factors[row[has_factors]]
            fractions[has_factors] = scaled / scaled.sum(axis=1, keepdims=True)
        return fractions

    @staticmethod
    def between(
        start: GeneFactors | None, target: GeneFactors | None, weight: NDArray[np.float32]
    ) -> GeneFactors | None:
        """Interpolate the logs of the factors at both ends, `None` for none, by the weight of the target, ``(B,)``."""
        one = start or target
        if one is None:
            return None
        n_genes = one.factors.shape[1]
        none = GeneFactors(np.empty((0, n_genes), np.float32), np.full(len(weight), -1))
        ends = [end or none for end in (start, target)]
        pairs, row = np.unique(np.stack([*(end.row for end in ends), weight], axis=1), axis=0, return_inverse=True)
        first, second = (
            np.concatenate([end.factors, np.ones((1, n_genes), np.float32)])[rows]  # the last one is that of -1
            for end, rows in zip(ends, pairs[:, :2].T.astype(np.int64), strict=True)
        )
        power = pairs[:, 2:].astype(np.float32)
        return GeneFactors(first ** (1 - power) * second**power, row.ravel())


class Latent(Protocol):
    """A latent space as diffusion and generation see it: cells are encoded to it and drawn from it."""

    @property
    def n_genes(self) -> int:
        """Number of genes ``G``."""

    def encode(self, counts: sp.csr_matrix) -> Posterior:
        """Infer the latents of cells with counts ``(B, G)``."""

    def fractions(self, latent: Tensor) -> NDArray[np.float32]:
        """Compute the expression fraction of each gene, shape ``(B, G)``, for latents ``(B, D)``."""

    def mean_fractions(self, latent: Tensor) -> NDArray[np.float32]:
        """Compute the mean fraction of the counts of each gene, shape ``(B, G)``, for latents ``(B, D)``."""

    def decode(
        self,
        latent: Tensor,
        library_size: NDArray[np.int64],
        keys: NDArray[np.uint64],
        *,
        gene_factors: GeneFactors | None = None,
    ) -> sp.csr_matrix:
        """Draw counts ``(B, G)`` for latents ``(B, D)``; each cell has a library size and a random stream."""


class CountAutoencoder(nn.Module):
    """Variational autoencoder of counts, in which no cell depends on another.

    Parameters
    ----------
    fractions
        Mean expression fraction of each gene in the training cells, shape ``(G,)``, positive.
    config
        Widths, likelihood and initial values.
    encoder, decoder
        Networks to use instead of new ones.

    References
    ----------
    Kingma & Welling 2014, https://arxiv.org/abs/1312.6114, eq. 3 (the ELBO).
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
        self.likelihood: CountLikelihood = LIKELIHOODS[config.likelihood](fractions.numel(), config.dispersion)

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
        """Compute the two terms of the ELBO with one draw of the latents, summed over cells.

        Parameters
        ----------
        counts
            Counts, shape ``(B, G)``.
        noise
            Standard normal numbers, shape ``(B, D)``.
        weights
            Weight of each cell, shape ``(B,)``.
        seen
            Counts that the encoder sees, such as thinned ones; `counts` unless given.
        prior_mean
            Mean of the prior of these cells' latents, shape ``(B, D)``; 0 unless given.
        outliers
            Whether the outlier component of the likelihood is on.

        Returns
        -------
        Negative log-likelihood and KL divergence from the prior, each of shape ``()``, in nats.
        """
        latent, kl = self.infer(counts, noise, seen=seen, prior_mean=prior_mean)
        cells = read_counts(counts, latent.device)
        nll = self.likelihood.nll(self.decoder(latent), cells, weights, outliers=outliers)
        return nll, (weights * kl).sum()

    def infer(
        self,
        counts: sp.csr_matrix,
        noise: Tensor,
        *,
        seen: sp.csr_matrix | None = None,
        prior_mean: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw the latents of cells from their posterior.

        Parameters
        ----------
        counts, noise, seen, prior_mean
            As in `terms`.

        Returns
        -------
        Latents, shape ``(B, D)``, and KL divergence of the posterior from the prior, shape ``(B,)``, in nats.
        """
        mean, log_variance = self.encoder(counts if seen is None else seen)
        offset = mean if prior_mean is None else mean - prior_mean
        kl = 0.5 * (offset.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
        return mean + (0.5 * log_variance).exp() * noise, kl

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
        """Compute the expression fraction of each gene.

        Parameters
        ----------
        latent
            Latent codes, shape ``(B, D)``.

        Returns
        -------
        Expression fractions, shape ``(B, G)``, rows summing to 1.
        """
        return in_blocks(lambda rows: torch.softmax(self.decoder(rows), dim=1), latent, width=self.n_genes)

    mean_fractions = fractions

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
            Counts of each cell, shape ``(B,)``.
        keys
            Key of the random stream of each cell, shape ``(B,)``.
        gene_factors
            Factors of the expression fractions; none unless given.

        Returns
        -------
        Counts, shape ``(B, G)``, ``int32``.
        """
        shift = self._dispersion_shift(latent)

        def draw(fractions: NDArray[np.float32], rows: slice) -> sp.csr_matrix:
            of_cells = fractions, library_size[rows], keys[rows]
            if shift is None:
                return self.likelihood.sample(*of_cells)
            return self.likelihood.sample(*of_cells, shift=shift[rows])  # type: ignore[call-arg]

        return draw_in_blocks(
            draw,
            latent,
            space=self,
            gene_factors=gene_factors,
        )

    def _dispersion_shift(self, latent: Tensor) -> NDArray[np.float32] | None:
        """Compute the shift of each cell's dispersions, shape ``(N,)``, for a likelihood that takes it."""
        if not self.likelihood.takes_shift:
            return None
        return in_blocks(lambda rows: self.decoder.dispersion_shift(rows)[:, None], latent, width=1)[:, 0]


@torch.no_grad()
def in_blocks(network: Callable[[Tensor], Tensor], latent: Tensor, *, width: int) -> NDArray[np.float32]:
    """Apply a network to blocks of a fixed number of rows, so that no cell depends on the number of other cells.

    Parameters
    ----------
    network
        From latents, shape ``(B, D)``, to values, shape ``(B, width)``.
    latent
        Latent codes, shape ``(N, D)``.
    width
        Values of each cell.

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
    """Draw counts block by block, so that the expression fractions of one block are in memory at a time.

    Parameters
    ----------
    draw
        From the expression fractions of some of the cells, and their positions, to their counts.
    latent
        Latent codes, shape ``(N, D)``.
    space
        Latent space, which computes the expression fractions.
    gene_factors
        Factors of the expression fractions, if any.

    Returns
    -------
    Counts, shape ``(N, G)``.
    """
    blocks = []
    for begin in range(0, max(1, len(latent)), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        fractions = space.fractions(latent[rows])
        blocks.append(draw(fractions if gene_factors is None else gene_factors.apply(fractions, rows), rows))
    return sp.vstack(blocks, format="csr")
