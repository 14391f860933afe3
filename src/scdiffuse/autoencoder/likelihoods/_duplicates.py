"""Counts of molecules that may be counted more than once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from scdiffuse.autoencoder._counts import SparseCounts

__all__ = ["LogRatio", "duplicated_log_ratio"]

LogRatio = Callable[[Tensor, Tensor, SparseCounts], Tensor]
"""From the logs of mean and inverse dispersion at each count to log-likelihood ratios against zero."""

_MANY = 16  # counts above which their number of molecules is taken for what is expected


def duplicated_log_ratio(  # noqa: PLR0917 - as likelihoods take them
    log_ratio: LogRatio, log_mean: Tensor, log_inverse_dispersion: Tensor, cells: SparseCounts, rate: Tensor
) -> Tensor:
    r"""Compute log-likelihood ratios of counts against zero where molecules have duplicates.

    The number :math:`n` of molecules has the distribution of `log_ratio`, and each is counted once and a Poisson number
    of times more, of mean :math:`d`, the duplication rate:

    .. math:: \frac{P(x)}{P(0)} = \sum_{k=0}^{x - 1} \frac{P(n = x - k)}{P(n = 0)}\,
              \mathrm{Poisson}\left(k;\, d\,(x - k)\right) .

    Counts above 16 are taken for as many molecules as they are expected to be, :math:`x / (1 + d)`.

    Parameters
    ----------
    log_ratio
        Likelihood of the molecules.
    log_mean, log_inverse_dispersion
        Logs of the expected molecules and of their inverse dispersion at each count, shape ``(nnz,)``.
    cells
        The counts, at least 1.
    rate
        Duplication rate, shape ``(1,)``, positive.

    Returns
    -------
    Log ratios, shape ``(nnz,)``, differentiable.
    """
    x = cells.counts
    is_many = x > _MANY
    found = torch.empty_like(log_mean)

    def ratio(at: Tensor, counts: Tensor) -> Tensor:
        return log_ratio(log_mean[at], log_inverse_dispersion[at], cells._replace(counts=counts, genes=cells.genes[at]))

    (at,) = is_many.nonzero(as_tuple=True)
    n = x[at] / (1 + rate)
    fixed = n.detach()
    slope = (ratio(at, fixed + 0.5) - ratio(at, fixed - 0.5)).detach()
    found = found.index_put((at,), ratio(at, fixed) + slope * (n - fixed) - torch.log1p(rate))
    (at,) = (~is_many).nonzero(as_tuple=True)
    found = found.index_put((at,), ratio(at, x[at]) - x[at] * rate)
    for k in range(1, int(x[at].max().item()) if len(at) else 0):
        (at,) = ((x > k) & ~is_many).nonzero(as_tuple=True)
        n = x[at] - k
        chance = k * (rate * n).log() - rate * n - torch.lgamma(n.new_tensor(k + 1.0))
        found = found.index_put((at,), torch.logaddexp(found[at], ratio(at, n) + chance))
    return found
