"""Latent space and count decoder of models saved by scvi-tools."""

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
    """Layers of linear maps and ReLUs, with batch norms folded into the maps and optional layer norms.

    Parameters
    ----------
    n_first
        Width of the input.
    widths
        Widths of the layers.
    n_batches
        Sets of biases, one for each batch.
    layer_norm
        Whether a layer norm follows each map.
    """

    def __init__(self, n_first: int, widths: Sequence[int], *, n_batches: int, layer_norm: bool) -> None:
        super().__init__()
        self.layer_norm = layer_norm
        shapes = list(pairwise([n_first, *widths]))
        self.weights = nn.ParameterList(torch.zeros(read, write) for read, write in shapes)
        self.biases = nn.ParameterList(torch.zeros(n_batches, write) for _, write in shapes)

    def forward(self, x: Tensor | sp.csr_matrix, batch: int = 0) -> Tensor:
        """Apply the layers.

        Parameters
        ----------
        x
            Values, shape ``(B, n_first)``, dense or sparse.
        batch
            Set of biases to use.

        Returns
        -------
        Features, shape ``(B, widths[-1])``.
        """
        h = x
        for weight, bias in zip(self.weights, self.biases, strict=True):
            product = gene_product(h, weight) if sp.issparse(h) else h @ weight
            h = product + bias[batch]
            h = nn.functional.layer_norm(h, h.shape[-1:]) if self.layer_norm else h
            h = torch.relu(h)
        features: Tensor = h
        return features


class ScviLatent(nn.Module):
    r"""Encoder and count decoder of an ``SCVI`` or ``SCANVI`` model, as they were trained.

    .. math:: z \mid x \sim \mathcal{N}(m(h), e^{v(h)} + 10^{-4}), \quad h = f(\log(1 + x)), \qquad
              x_g \mid z, \ell \sim \mathrm{NB}(\ell\, \mathrm{softmax}(g(z))_g,\; r_g)

    with zero inflation of each gene if the model has it. If the model has several batches and none is chosen,
    expression fractions are means over batches.

    Parameters
    ----------
    n_genes
        Number of genes ``G``.
    metadata
        Metadata that `ScviModel.describe` returns.

    References
    ----------
    Lopez et al. 2018, https://doi.org/10.1038/s41592-018-0229-2.
    """

    def __init__(self, n_genes: int, metadata: Mapping[str, Any]) -> None:
        super().__init__()
        encoded, decoded, width = metadata["encoder_widths"], metadata["decoder_widths"], metadata["width"]
        self.n_batches = len(metadata["batches"])
        self.encoder = Stack(n_genes, encoded, n_batches=1, layer_norm=metadata["encoder_layer_norm"])
        self.mean = nn.Linear(encoded[-1], width)
        self.log_variance = nn.Linear(encoded[-1], width)
        self.decoder = Stack(width, decoded, n_batches=self.n_batches, layer_norm=metadata["decoder_layer_norm"])
        self.scale = nn.Linear(decoded[-1], n_genes)
        self.dropout = nn.Linear(decoded[-1], n_genes) if metadata["likelihood"] == "zinb" else None
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
        """Compute the expression fraction of each gene, before zero inflation.

        Parameters
        ----------
        latent
            Latent codes, shape ``(B, D)``.

        Returns
        -------
        Expression fractions, shape ``(B, G)``, rows summing to 1.
        """
        return self._mean_over_batches(self._fractions, latent)

    @torch.no_grad()
    def mean_fractions(self, latent: Tensor) -> NDArray[np.float32]:
        """Compute the fraction of the counts that each gene has on average, after zero inflation.

        Parameters
        ----------
        latent
            Latent codes, shape ``(B, D)``.

        Returns
        -------
        Fractions, shape ``(B, G)``, rows summing to 1.
        """
        fractions = self.fractions(latent)
        if self.dropout is None:
            return fractions
        detected = fractions * self._mean_over_batches(self._kept, latent)
        found: NDArray[np.float32] = detected / detected.sum(axis=1, keepdims=True)
        return found

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
            Library size of each cell, shape ``(B,)``.
        keys
            Key of the random stream of each cell, shape ``(B,)``.
        gene_factors
            Factors of the expression fractions of genes; none if not given.

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
        """Draw zero inflation, if the model has it; the fractions are changed in place."""
        if self.dropout is None or not len(latent):
            return fractions
        kept = self._mean_over_batches(self._kept, latent)
        for fraction, chance, rng in zip(fractions, kept, keyed_generators(keys), strict=True):
            detected = np.where(rng.random(self.n_genes) < chance, fraction, 0.0)
            fraction[:] = detected / detected.sum() if detected.any() else fraction / fraction.sum()
        return fractions

    def _mean_over_batches(self, network: Callable[..., Tensor], latent: Tensor) -> NDArray[np.float32]:
        """Apply a network for each batch and return the mean, shape ``(B, G)``."""
        means = [
            in_blocks(partial(network, batch=batch), latent, width=self.n_genes) for batch in range(self.n_batches)
        ]
        mean: NDArray[np.float32] = np.mean(means, axis=0)
        return mean

    def _fractions(self, latent: Tensor, batch: int) -> Tensor:
        return torch.softmax(self.scale(self.decoder(latent, batch)), dim=1)

    def _kept(self, latent: Tensor, batch: int) -> Tensor:
        """Probability of each gene not to be a dropout."""
        h = self.decoder(latent, batch)
        return torch.ones(len(h), self.n_genes) if self.dropout is None else torch.sigmoid(-self.dropout(h))
