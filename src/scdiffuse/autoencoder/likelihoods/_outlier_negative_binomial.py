"""Negative binomial likelihood of counts with a heavy-tailed outlier component."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse.autoencoder._counts import SparseCounts
from scdiffuse.autoencoder.likelihoods._config import DispersionConfig
from scdiffuse.autoencoder.likelihoods._dense import dense_terms
from scdiffuse.autoencoder.likelihoods._draw import OutlierComponent, draw_counts
from scdiffuse.autoencoder.likelihoods._log_ratio import outlier_log_ratio
from scdiffuse.autoencoder.likelihoods._negative_binomial import NegativeBinomial

__all__ = ["OutlierNegativeBinomial"]


class OutlierNegativeBinomial(NegativeBinomial):
    r"""Negative binomial with an outlier component: isolated counts far above the state of their cell.

    In UMI data most genes are Poisson around the state of their cell, but for isolated counts of ten times the mean and
    more, one in thousands. A negative binomial can only explain such counts by a dispersion that is wrong for all other
    cells. Reads have such counts throughout. Here a gene has a Poisson number of outliers, of mean
    :math:`\beta_g = \rho_g \mu_g`, each of :math:`1 + s_g` counts on average. Its expected counts are
    :math:`\mu_g (1 + \rho_g (1 + s_g))`, which is its fraction of the library size. Given at least one outlier,

    .. math:: x_g - 1 \sim \mathrm{NB}(m_g,\; m_g^2 / q_g),

    with the moments of the sum of the negative binomial and geometric outliers, see `outlier_log_ratio`.
    :math:`\log \rho_g` and :math:`\log s_g` have Gaussian priors.

    Parameters
    ----------
    n_genes
        Number of genes ``G``.
    config
        Starts and priors of dispersion parameters; the defaults unless given.
    """

    def __init__(self, n_genes: int, config: DispersionConfig | None = None) -> None:
        super().__init__(n_genes, config)
        self.log_outlier_rate = nn.Parameter(torch.full((n_genes,), self._start.log_outlier_rate))
        self.log_outlier_size = nn.Parameter(torch.full((n_genes,), self._start.log_outlier_size))

    def nll_per_cell(self, logits: Tensor, cells: SparseCounts, *, outliers: bool = True) -> Tensor:
        """Compute the negative log-likelihood of the counts of each cell.

        Parameters
        ----------
        logits
            Unnormalised log expression fractions, shape ``(B, G)``.
        cells
            The non-zero counts of the cells.
        outliers
            Whether the outlier component is on; without it, this is the plain negative binomial.

        Returns
        -------
        Negative log-likelihood in nats, shape ``(B,)``.
        """
        if not outliers:
            return super().nll_per_cell(logits, cells)
        rate = self.log_outlier_rate.exp()
        log_plain_fraction = -torch.log1p(rate * (1 + self.log_outlier_size.exp()))
        zero_cost, log_mean = dense_terms(logits, self.log_inverse_dispersion, rate, log_plain_fraction, cells)
        log_ratio = outlier_log_ratio(
            log_mean, self.log_inverse_dispersion, self.log_outlier_rate, self.log_outlier_size, cells
        )
        return zero_cost.index_add(0, cells.rows, -log_ratio)

    def penalty(self) -> Tensor:
        """Return the negative log prior of rate and size of outliers, in nats for the whole data set."""
        prior = self._start
        offset = torch.stack(
            [self.log_outlier_rate - prior.log_outlier_rate, self.log_outlier_size - prior.log_outlier_size]
        )
        return 0.5 * self.config.outlier_precision * offset.square().sum()

    @torch.no_grad()
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
        Counts, shape ``(B, G)``, rows summing to `library_size`.
        """
        rate = self.log_outlier_rate.detach().double().exp().cpu().numpy()
        size = self.log_outlier_size.detach().double().exp().cpu().numpy()
        return draw_counts(
            fractions,
            library_size,
            inverse_dispersion=self._inverse_dispersion(),
            outlier_component=OutlierComponent(rate, size),
            keys=keys,
        )

    def _outlier_parameters(self, *, outliers: bool) -> tuple[Tensor, Tensor] | tuple[None, None]:
        return (self.log_outlier_rate, self.log_outlier_size) if outliers else (None, None)
