"""Negative binomial likelihood of counts with a heavy-tailed outlier component."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scdiffuse.autoencoder._counts import SparseCounts
from scdiffuse.autoencoder.likelihoods._config import DispersionConfig
from scdiffuse.autoencoder.likelihoods._draw import OutlierComponent
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

    with the moments of the sum of Poisson counts of mean :math:`\mu_g` and geometric outliers, see `outlier_log_ratio`.
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

    def penalty(self) -> Tensor:
        """Return the negative log prior of rate and size of outliers, in nats for the whole data set."""
        prior = self._start
        offset = torch.stack(
            [self.log_outlier_rate - prior.log_outlier_rate, self.log_outlier_size - prior.log_outlier_size]
        )
        return 0.5 * self.config.outlier_precision * offset.square().sum()

    def precisions(self) -> dict[str, float]:
        """Return the precision of the Gaussian prior on each parameter of a gene in the final fit, by its name."""
        outliers = ("log_outlier_rate", "log_outlier_size")
        return super().precisions() | dict.fromkeys(outliers, self.config.outlier_precision)

    def _outlier_terms(self, *, outliers: bool) -> tuple[Tensor, Tensor]:
        if not outliers:
            return super()._outlier_terms(outliers=outliers)
        rate = self.log_outlier_rate.exp()
        return rate, -torch.log1p(rate * (1 + self.log_outlier_size.exp()))

    def _log_ratio(self, log_mean: Tensor, log_r: Tensor, cells: SparseCounts, *, outliers: bool) -> Tensor:
        if not outliers:
            return super()._log_ratio(log_mean, log_r, cells, outliers=outliers)
        return outlier_log_ratio(log_mean, log_r, self.log_outlier_rate, self.log_outlier_size, cells)

    def _outlier_parameters(self, *, outliers: bool) -> tuple[Tensor, Tensor] | tuple[None, None]:
        return (self.log_outlier_rate, self.log_outlier_size) if outliers else (None, None)

    def _outlier_component(self) -> OutlierComponent:
        logs = (self.log_outlier_rate, self.log_outlier_size)
        return OutlierComponent(*(one.detach().double().exp().cpu().numpy() for one in logs))
