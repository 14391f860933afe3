"""Count likelihoods: what a cell's counts look like, given the share of each gene and the library size."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffusion.autoencoder._draw import BurstRates, draw_counts
from scdiffusion.autoencoder._gains import burst_gain, plain_gain
from scdiffusion.autoencoder._misfit import compiled_misfit, is_compiled_for
from scdiffusion.autoencoder._terms import Counted, dense_terms

__all__ = ["UMIS", "BurstNegativeBinomial", "Likelihood", "NegativeBinomial", "Shapes", "shapes_of"]

_READS = 4.0  # counts that a gene has each time it is found, from which on counts are reads


class Shapes(NamedTuple):
    """Where the shapes of all genes begin, by the names of the parameters."""

    log_size: float
    """Log of the inverse dispersion."""
    log_burst_rate: float
    """Log of the bursts a count."""
    log_burst_size: float
    """Log of the counts a burst."""


UMIS = Shapes(5.0, -6.5, 2.5)
"""Nearly Poisson, so that latents explain first and dispersion takes what they leave; isolated bursts."""


def shapes_of(clump: float) -> Shapes:
    """Choose where shapes begin.

    Molecules are counted one by one. Reads of one molecule come together, so that a gene is either missed or has many,
    and a start near Poisson stays where it began: its gradient says nothing about what lies that far.

    Parameters
    ----------
    clump
        Counts that a usual gene has each time it is found: hardly more than 1 for molecules, dozens for reads.
    """
    return UMIS if clump < _READS else Shapes(-1.5, -3.0, math.log(clump))


class Likelihood(Protocol):
    """A distribution of counts with its own parameters for each gene."""

    def start(self, shapes: Shapes) -> None:
        """Set the parameters of all genes to where they begin."""

    def neg_log_prob(self, logits: Tensor, cells: Counted, *, outliers: bool = True) -> Tensor:
        """Score counts; `logits` has shape ``(B, G)``, the result ``(B,)`` is in nats a cell."""

    def misfit(self, logits: Tensor, cells: Counted, weights: Tensor, *, outliers: bool = True) -> Tensor:
        """Sum what `neg_log_prob` says over cells with weights ``(B,)``; the result is ``()``."""

    def penalty(self) -> Tensor:
        """Return minus the log prior of the parameters, in nats for the whole data set."""

    def sample(
        self, shares: NDArray[np.float32], library_size: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> sp.csr_matrix:
        """Draw counts; `shares` has shape ``(B, G)``, `library_size` and the `keys` of the cells' streams ``(B,)``."""


class NegativeBinomial(nn.Module):
    r"""Negative binomial with a dispersion for each gene that can reach Poisson.

    .. math:: x_g \sim \mathrm{NB}(\mu_g = p_g \ell,\; r_g), \qquad \mathrm{var} = \mu_g + \mu_g^2 / r_g .

    Parameters
    ----------
    n_genes
        Number of genes ``G``.

    References
    ----------
    Lopez et al. 2018, https://doi.org/10.1038/s41592-018-0229-2, eq. 4 (negative binomial on shares and library size).
    """

    def __init__(self, n_genes: int) -> None:
        super().__init__()
        self._started = UMIS
        self.log_size = nn.Parameter(torch.full((n_genes,), UMIS.log_size))

    def start(self, shapes: Shapes) -> None:
        """Set the parameters of all genes to where they begin; bursts have their prior there too.

        Parameters
        ----------
        shapes
            The start.
        """
        self._started = shapes
        for name, parameter in self.named_parameters():
            nn.init.constant_(parameter, getattr(shapes, name))

    def neg_log_prob(self, logits: Tensor, cells: Counted, *, outliers: bool = True) -> Tensor:
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
        no_bursts = torch.zeros_like(self.log_size)
        zero_cost, log_mean = dense_terms(logits, self.log_size, no_bursts, no_bursts, cells)
        return zero_cost.index_add(0, cells.rows, -plain_gain(log_mean, self.log_size, cells))

    def misfit(self, logits: Tensor, cells: Counted, weights: Tensor, *, outliers: bool = True) -> Tensor:
        """Score counts and sum over cells, on the main processor in a quarter of the time that `neg_log_prob` takes.

        Parameters
        ----------
        logits, cells
            As `neg_log_prob` has them.
        weights
            Weight of each cell, shape ``(B,)``; no gradient is taken by them.
        outliers
            As `neg_log_prob` has it.

        Returns
        -------
        Minus the log probability in nats, each cell times its weight, shape ``()``.
        """
        if is_compiled_for(logits):
            return compiled_misfit(
                logits, cells, weights, log_size=self.log_size, bursts=self._bursts(outliers=outliers)
            )
        return (weights * self.neg_log_prob(logits, cells, outliers=outliers)).sum()

    def penalty(self) -> Tensor:
        """Return minus the log prior of the parameters: flat."""
        return self.log_size.new_zeros(())

    @torch.no_grad()
    def sample(
        self, shares: NDArray[np.float32], library_size: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> sp.csr_matrix:
        """Draw counts.

        Parameters
        ----------
        shares
            Share of each gene, shape ``(B, G)``, rows summing to 1.
        library_size
            Counts a cell shall have, shape ``(B,)``.
        keys
            Key of the random stream of each cell, shape ``(B,)``.

        Returns
        -------
        Counts, shape ``(B, G)``, rows summing to `library_size`.
        """
        return draw_counts(shares, library_size, size=self._sizes(), bursts=None, keys=keys)

    def _bursts(self, *, outliers: bool) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """Return the logs of rate and size of bursts, if counts may be such."""
        return (None, None)

    def _sizes(self) -> NDArray[np.float64]:
        return self.log_size.detach().double().exp().cpu().numpy()


class BurstNegativeBinomial(NegativeBinomial):
    r"""Negative binomial in which a count now and then comes as a burst.

    In real UMI data most genes are Poisson around the state of their cell but for a few isolated counts, one in
    thousands, of ten times the mean and more. A negative binomial can only take them in by a dispersion that is wrong
    for all other cells. Reads come in such clumps throughout. Here a gene has a Poisson number of bursts, of mean
    :math:`\beta_g = \rho_g \mu_g`, each of :math:`1 + s_g` counts on average, so that its counts are expected to be
    :math:`\mu_g (1 + \rho_g (1 + s_g))`, which is its share of the library. With any burst,

    .. math:: x_g - 1 \sim \mathrm{NB}(m_g,\; m_g^2 / q_g),

    with the moments of the sum of what was there and geometric bursts, see `scdiffusion.autoencoder._gains.burst_gain`.
    :math:`\log \rho_g` and :math:`\log s_g` have Gaussian priors.

    Parameters
    ----------
    n_genes
        Number of genes ``G``.
    """

    _prior_precision = 2.0

    def __init__(self, n_genes: int) -> None:
        super().__init__(n_genes)
        self.log_burst_rate = nn.Parameter(torch.full((n_genes,), UMIS.log_burst_rate))
        self.log_burst_size = nn.Parameter(torch.full((n_genes,), UMIS.log_burst_size))

    def neg_log_prob(self, logits: Tensor, cells: Counted, *, outliers: bool = True) -> Tensor:
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
            return super().neg_log_prob(logits, cells)
        rate = self.log_burst_rate.exp()
        log_part = -torch.log1p(rate * (1 + self.log_burst_size.exp()))  # of a gene's counts, those of no burst
        zero_cost, log_mean = dense_terms(logits, self.log_size, rate, log_part, cells)
        gain = burst_gain(log_mean, self.log_size, self.log_burst_rate, self.log_burst_size, cells)
        return zero_cost.index_add(0, cells.rows, -gain)

    def penalty(self) -> Tensor:
        """Return minus the log prior of the parameters, in nats for the whole data set."""
        prior = self._started
        far = torch.stack([self.log_burst_rate - prior.log_burst_rate, self.log_burst_size - prior.log_burst_size])
        return 0.5 * self._prior_precision * far.square().sum()

    @torch.no_grad()
    def sample(
        self, shares: NDArray[np.float32], library_size: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> sp.csr_matrix:
        """Draw counts.

        Parameters
        ----------
        shares
            Share of each gene, shape ``(B, G)``, rows summing to 1.
        library_size
            Counts a cell shall have, shape ``(B,)``.
        keys
            Key of the random stream of each cell, shape ``(B,)``.

        Returns
        -------
        Counts, shape ``(B, G)``, rows summing to `library_size`.
        """
        rate = self.log_burst_rate.detach().double().exp().cpu().numpy()
        size = self.log_burst_size.detach().double().exp().cpu().numpy()
        return draw_counts(shares, library_size, size=self._sizes(), bursts=BurstRates(rate, size), keys=keys)

    def _bursts(self, *, outliers: bool) -> tuple[Tensor, Tensor] | tuple[None, None]:
        return (self.log_burst_rate, self.log_burst_size) if outliers else (None, None)
