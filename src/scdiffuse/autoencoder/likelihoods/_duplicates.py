"""Counts of molecules, some of which are counted twice."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from scdiffuse.autoencoder._counts import SparseCounts

__all__ = ["LogRatio", "duplicated_log_ratio"]

LogRatio = Callable[[Tensor, Tensor, SparseCounts], Tensor]
"""From the logs of mean and inverse dispersion at each count to log-likelihood ratios against zero."""

_MANY = 32  # counts above which their number of molecules is taken for what is expected


def duplicated_log_ratio(  # noqa: PLR0917 - as likelihoods take them
    log_ratio: LogRatio, log_mean: Tensor, log_inverse_dispersion: Tensor, cells: SparseCounts, rate: Tensor
) -> Tensor:
    r"""Compute log-likelihood ratios of counts against zero where a molecule is counted twice with the chance `rate`.

    For the number :math:`n` of molecules, whose distribution is that of `log_ratio`, and the duplication rate
    :math:`d`,

    .. math:: \frac{P(x)}{P(0)} = \sum_{k=0}^{\lfloor x / 2 \rfloor} \frac{P(n = x - k)}{P(n = 0)}
              \binom{x - k}{k} d^k (1 - d)^{x - 2 k} .

    Counts above 32 say nothing about duplicates: they are :math:`x / (1 + d)` molecules.

    Parameters
    ----------
    log_ratio
        Likelihood of the molecules.
    log_mean, log_inverse_dispersion
        Logs of the expected molecules and of their inverse dispersion at each count, shape ``(nnz,)``.
    cells
        The counts, at least 1.
    rate
        Duplication rate, shape ``(1,)``, between 0 and 1.

    Returns
    -------
    Log ratios, shape ``(nnz,)``, differentiable.
    """
    x = cells.counts
    fixed = rate.detach()
    molecules = torch.where(x > _MANY, x / (1 + fixed), x)
    counted_once = log_ratio(log_mean, log_inverse_dispersion, cells._replace(counts=molecules))
    found = counted_once + torch.where(x > _MANY, -fixed.log1p(), x * torch.log1p(-rate))
    few = x[x <= _MANY]
    for k in range(1, int(few.max().item() if len(few) else 0) // 2 + 1):
        (at,) = ((x >= 2 * k) & (x <= _MANY)).nonzero(as_tuple=True)
        n = x[at] - k
        ways = torch.lgamma(n + 1) - torch.lgamma(n - k + 1) - torch.lgamma(n.new_tensor(k + 1.0))
        chance = ways + k * rate.log() + (n - k) * torch.log1p(-rate)
        counted_twice = log_ratio(
            log_mean[at], log_inverse_dispersion[at], cells._replace(counts=n, genes=cells.genes[at])
        )
        found = found.index_put((at,), torch.logaddexp(found[at], counted_twice + chance))
    return found
