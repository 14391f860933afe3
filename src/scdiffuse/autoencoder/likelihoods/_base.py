"""What a likelihood of counts offers: an extension point with defaults for all but two methods."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse.autoencoder._counts import SparseCounts
from scdiffuse.autoencoder.likelihoods._config import DispersionConfig

__all__ = ["CountLikelihood"]


class CountLikelihood(nn.Module, ABC):
    """A distribution of the counts of a cell, given the expression fraction of each gene and the library size.

    A new likelihood defines `nll_per_cell` and `sample`. Its parameters have one value for each gene, shape ``(G,)``,
    or one for all genes, shape ``(1,)``.

    Parameters
    ----------
    n_genes
        Number of genes ``G``.
    config
        Starts and priors of dispersion parameters; the defaults unless given.
    """

    takes_shift = False
    """Whether `nll` and `sample` take ``shift``, by which the dispersions of a cell differ from those of others."""

    def __init__(self, n_genes: int, config: DispersionConfig | None = None) -> None:
        super().__init__()
        self.n_genes = n_genes
        self.config = config or DispersionConfig()

    def initialise(self, counts_per_detection: float) -> None:
        """Set the parameters to where training starts; by default they stay as they are.

        Parameters
        ----------
        counts_per_detection
            Counts of a typical gene in the cells that it is detected in: little more than 1 for UMIs, dozens for reads.
        """

    def precisions(self) -> dict[str, float]:
        """Return the precision of the Gaussian prior on each parameter of a gene in the final fit, by its name.

        The prior is centred on what all genes together are explained best by.
        """
        return {name: self.config.precision for name, one in self.named_parameters() if one.shape == (self.n_genes,)}

    @abstractmethod
    def nll_per_cell(self, logits: Tensor, cells: SparseCounts, *, outliers: bool = True) -> Tensor:
        """Compute the negative log-likelihood of the counts of each cell.

        Parameters
        ----------
        logits
            Unnormalised log expression fractions, shape ``(B, G)``.
        cells
            The non-zero counts of the cells.
        outliers
            Whether the outlier component is on, in likelihoods that have one.

        Returns
        -------
        Negative log-likelihood in nats, shape ``(B,)``, differentiable.
        """

    def nll(self, logits: Tensor, cells: SparseCounts, weights: Tensor, *, outliers: bool = True) -> Tensor:
        """Sum the negative log-likelihood over cells; a likelihood with compiled loops overrides this method.

        Parameters
        ----------
        logits, cells
            As in `nll_per_cell`.
        weights
            Weight of each cell, shape ``(B,)``, not differentiable.
        outliers
            As in `nll_per_cell`.

        Returns
        -------
        Negative log-likelihood in nats, each cell times its weight, shape ``()``, differentiable.
        """
        return (weights * self.nll_per_cell(logits, cells, outliers=outliers)).sum()

    def penalty(self) -> Tensor:
        """Return the negative log prior of the parameters in nats for the whole data set; by default it is flat."""
        first = next(self.parameters(), None)
        return torch.zeros(()) if first is None else first.new_zeros(())

    @abstractmethod
    def sample(
        self, fractions: NDArray[np.float32], library_size: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> sp.csr_matrix:
        """Draw counts.

        Parameters
        ----------
        fractions
            Expression fraction of each gene, shape ``(B, G)``, rows summing to 1.
        library_size
            Counts of each cell, shape ``(B,)``.
        keys
            Key of the random stream of each cell, shape ``(B,)``.

        Returns
        -------
        Counts, shape ``(B, G)``, ``int32``, rows summing to `library_size`.
        """
