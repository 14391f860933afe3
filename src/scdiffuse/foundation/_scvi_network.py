"""The latent space and the count decoder of models that scvi-tools saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse._core.random import keyed_generators
from scdiffuse.autoencoder import GeneFactors, NegativeBinomial, Posterior, draw_in_blocks, gene_product, in_blocks

__all__ = ["ScviLatent", "Stack"]

_LEAST_VARIANCE = 1e-4


class Stack(nn.Module):
    """Layers of linear maps and rectifiers; batch norms are folded into the maps, a layer norm may follow each.

    Parameters
    ----------
    n_first
        What the first layer reads.
    widths
        Widths of the layers.
    n_ways
        Sets of biases: one for each batch to decode as.
    layer_norm
        Whether each map is followed by a layer norm.
    """

    def __init__(self, n_first: int, widths: Sequence[int], *, n_ways: int, layer_norm: bool) -> None:
        super().__init__()
        self.layer_norm = layer_norm
        shapes = list(pairwise([n_first, *widths]))
        self.weights = nn.ParameterList(torch.zeros(read, write) for read, write in shapes)
        self.biases = nn.ParameterList(torch.zeros(n_ways, write) for _, write in shapes)

    def forward(self, x: Tensor | sp.csr_matrix, way: int = 0) -> Tensor:
        """Apply the layers.

        Parameters
        ----------
        x
            Values, shape ``(B, n_first)``, dense or sparse.
        way
            Which biases to use.

        Returns
        -------
        Features, shape ``(B, widths[-1])``.
        """
        h = x
        for weight, bias in zip(self.weights, self.biases, strict=True):
            product = gene_product(h, weight) if sp.issparse(h) else h @ weight
            h = product + bias[way]
            h = nn.functional.layer_norm(h, h.shape[-1:]) if self.layer_norm else h
            h = torch.relu(h)
        features: Tensor = h
        return features


class ScviLatent(nn.Module):
    r"""Encoder and count decoder of an ``SCVI`` or ``SCANVI`` model, as they were trained.

    .. math:: z \mid x \sim \mathcal{N}(m(h), e^{v(h)} + 10^{-4}), \quad h = f(\log(1 + x)), \qquad
              x_g \mid z, \ell \sim \mathrm{NB}(\ell\, \mathrm{softmax}(g(z))_g,\; r_g)

    with zeros inflated by a chance of each gene where the model says so. Where it knows several batches and none is
    chosen, shares are means over them.

    Parameters
    ----------
    n_genes
        Number of genes ``G``.
    facts
        Widths and choices, as `ScviModel.describe` returned them.

    References
    ----------
    Lopez et al. 2018, https://doi.org/10.1038/s41592-018-0229-2.
    """

    def __init__(self, n_genes: int, facts: Mapping[str, Any]) -> None:
        super().__init__()
        encoded, decoded, width = facts["encoder_widths"], facts["decoder_widths"], facts["width"]
        self.n_ways = len(facts["batches"])
        self.encoder = Stack(n_genes, encoded, n_ways=1, layer_norm=facts["encoder_layer_norm"])
        self.mean = nn.Linear(encoded[-1], width)
        self.log_variance = nn.Linear(encoded[-1], width)
        self.decoder = Stack(width, decoded, n_ways=self.n_ways, layer_norm=facts["decoder_layer_norm"])
        self.share = nn.Linear(decoded[-1], n_genes)
        self.dropout = nn.Linear(decoded[-1], n_genes) if facts["likelihood"] == "zinb" else None
        self.likelihood = NegativeBinomial(n_genes)

    @property
    def n_genes(self) -> int:
        """Number of genes ``G``."""
        return self.likelihood.log_inverse_dispersion.numel()

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
        logs = sp.csr_matrix((np.log1p(counts.data), counts.indices, counts.indptr), shape=counts.shape)
        h = self.encoder(logs)
        return Posterior(self.mean(h), (self.log_variance(h).exp() + _LEAST_VARIANCE).sqrt())

    @torch.no_grad()
    def fractions(self, latent: Tensor) -> NDArray[np.float32]:
        """Find the share of each gene, before zeros are inflated.

        Parameters
        ----------
        latent
            Latent codes, shape ``(B, D)``.

        Returns
        -------
        Shares, shape ``(B, G)``, rows summing to 1.
        """
        return self._mean_over_ways(self._shares, latent)

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

        def draw(fractions: NDArray[np.float32], rows: slice) -> sp.csr_matrix:
            fractions = self._inflated(fractions, latent[rows], keys[rows])
            return self.likelihood.sample(fractions, library_size[rows], keys[rows])

        return draw_in_blocks(draw, latent, space=self, gene_factors=gene_factors)

    def _inflated(
        self, fractions: NDArray[np.float32], latent: Tensor, keys: NDArray[np.uint64]
    ) -> NDArray[np.float32]:
        """Take genes away by chance, where the model has zeros of their own; the shares are changed."""
        if self.dropout is None or not len(latent):
            return fractions
        kept = self._mean_over_ways(self._kept, latent)
        for share, chance, rng in zip(fractions, kept, keyed_generators(keys), strict=True):
            seen = np.where(rng.random(self.n_genes) < chance, share, 0.0)
            share[:] = seen / seen.sum() if seen.any() else share / share.sum()
        return fractions

    def _mean_over_ways(self, network: Callable[..., Tensor], latent: Tensor) -> NDArray[np.float32]:
        """Apply a network as each batch and take the mean, shape ``(B, G)``."""
        ways = [in_blocks(partial(network, way=way), latent, width=self.n_genes) for way in range(self.n_ways)]
        mean: NDArray[np.float32] = np.mean(ways, axis=0)
        return mean

    def _shares(self, latent: Tensor, way: int) -> Tensor:
        return torch.softmax(self.share(self.decoder(latent, way)), dim=1)

    def _kept(self, latent: Tensor, way: int) -> Tensor:
        """Chance of each gene to be seen at all."""
        h = self.decoder(latent, way)
        return torch.ones(len(h), self.n_genes) if self.dropout is None else torch.sigmoid(-self.dropout(h))
