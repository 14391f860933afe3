"""Negative binomial with a heavy-tailed outlier component."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse.autoencoder._counts import Counted
from scdiffuse.autoencoder.likelihoods._dense import dense_terms
from scdiffuse.autoencoder.likelihoods._draw import OutlierComponent, draw_counts
from scdiffuse.autoencoder.likelihoods._log_ratio import outlier_log_ratio
from scdiffuse.autoencoder.likelihoods._negative_binomial import NegativeBinomial
from scdiffuse.autoencoder.likelihoods._protocol import UMI_START

__all__ = ["OutlierNegativeBinomial"]


class OutlierNegativeBinomial(NegativeBinomial):
    r"""Negative binomial in which a count now and then comes as a burst.

    In real UMI data most genes are Poisson around the state of their cell but for a few isolated counts, one in
    thousands, of ten times the mean and more. A negative binomial can only take them in by a dispersion that is wrong
    for all other cells. Reads come in such clumps throughout. Here a gene has a Poisson number of bursts, of mean
    :math:`\beta_g = \rho_g \mu_g`, each of :math:`1 + s_g` counts on average, so that its counts are expected to be
    :math:`\mu_g (1 + \rho_g (1 + s_g))`, which is its share of the library. With any burst,

    .. math:: x_g - 1 \sim \mathrm{NB}(m_g,\; m_g^2 / q_g),

    with the moments of the sum of what was there and geometric bursts, see `outlier_log_ratio`.
    :math:`\log \rho_g` and :math:`\log s_g` have Gaussian priors.

    Parameters
    ----------
    n_genes
        Number of genes ``G``.
    """

    _prior_precision = 2.0

    def __init__(self, n_genes: int) -> None:
        super().__init__(n_genes)
        self.log_outlier_rate = nn.Parameter(torch.full((n_genes,), UMI_START.log_outlier_rate))
        self.log_outlier_size = nn.Parameter(torch.full((n_genes,), UMI_START.log_outlier_size))

    def nll_per_cell(self, logits: Tensor, cells: Counted, *, outliers: bool = True) -> Tensor:
        """Score counts under the shares that the logits stand for.

        Parameters
        ----------
        logits
            Unnormalised log shares, shape ``(B, G)``.
        cells
            The non-zero counts of the cells.
        outliers
            Whether counts may be outliers of the state of their cell, where the distribution knows such.

        Returns
        -------
        Minus the log probability in nats, shape ``(B,)``.
        """
        if not outliers:
            return super().nll_per_cell(logits, cells)
        rate = self.log_outlier_rate.exp()
        log_part = -torch.log1p(rate * (1 + self.log_outlier_size.exp()))  # of a gene's counts, those of no burst
        zero_cost, log_mean = dense_terms(logits, self.log_inverse_dispersion, rate, log_part, cells)
        log_ratio = outlier_log_ratio(
            log_mean, self.log_inverse_dispersion, self.log_outlier_rate, self.log_outlier_size, cells
        )
        return zero_cost.index_add(0, cells.rows, -log_ratio)

    def penalty(self) -> Tensor:
        """Return minus the log prior of the parameters, in nats for the whole data set."""
        prior = self._started
        far = torch.stack(
            [self.log_outlier_rate - prior.log_outlier_rate, self.log_outlier_size - prior.log_outlier_size]
        )
        return 0.5 * self._prior_precision * far.square().sum()

    @torch.no_grad()
    def sample(
        self, fractions: NDArray[np.float32], library_size: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> sp.csr_matrix:
        """Draw counts.

        Parameters
        ----------
        fractions
            Share of each gene, shape ``(B, G)``, rows summing to 1.
        library_size
            Counts a cell shall have, shape ``(B,)``.
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
            size=self._inverse_dispersions(),
            outlier_component=OutlierComponent(rate, size),
            keys=keys,
        )

    def _outlier_parameters(self, *, outliers: bool) -> tuple[Tensor, Tensor] | tuple[None, None]:
        return (self.log_outlier_rate, self.log_outlier_size) if outliers else (None, None)
