"""The terms of a negative binomial likelihood that every gene has, whatever its count."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scdiffuse.autoencoder._counts import SparseCounts

__all__ = ["dense_terms", "varying_dense_terms"]

_LOWEST_LOG, _HIGHEST_LOG = -12.0, 40.0  # of inverse dispersions that vary; beyond, counts are constant or Poisson


class _DenseTerms(torch.autograd.Function):
    """Fused forward and backward of the terms over all genes; five passes over ``(B, G)`` instead of twenty."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes by position
        ctx: Any,  # noqa: ANN401
        logits: Tensor,
        log_inverse_dispersion: Tensor,
        outlier_rate: Tensor,
        log_plain_fraction: Tensor,
        cells: SparseCounts,
    ) -> tuple[Tensor, Tensor]:
        log_scale = cells.totals.log() - torch.logsumexp(logits, dim=1, keepdim=True)
        rows = cells.rows
        flat = rows * logits.shape[1] + cells.genes
        log_mean = logits.view(-1)[flat] + log_scale.view(-1)[rows] + log_plain_fraction[cells.genes]
        mean = (logits + log_scale).add_(log_plain_fraction).exp_()
        inverse_dispersion = log_inverse_dispersion.exp()
        log_ratio = (mean / inverse_dispersion).log1p_()
        plain_fraction = log_plain_fraction.exp()
        saved = (mean, log_ratio, inverse_dispersion, outlier_rate, flat, plain_fraction, cells.totals)
        ctx.save_for_backward(*saved)
        return log_ratio @ inverse_dispersion + mean @ outlier_rate, log_mean

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:  # noqa: ANN401
        grad_cell, grad_nonzero = grads
        mean, log_ratio, inverse_dispersion, outlier_rate, flat, plain_fraction, totals = ctx.saved_tensors
        weight = mean / (mean + inverse_dispersion)
        grad_rate = grad_cell @ mean
        grad_inverse_dispersion = inverse_dispersion * (grad_cell @ (log_ratio - weight))
        grad = weight.mul_(inverse_dispersion).addcmul_(mean, outlier_rate).mul_(grad_cell[:, None])
        grad.view(-1).index_add_(0, flat, grad_nonzero)
        grad_plain_fraction = grad.sum(dim=0)
        if ctx.needs_input_grad[0]:
            grad.addcmul_(mean / plain_fraction, grad.sum(dim=1, keepdim=True) / totals, value=-1)
        return grad, grad_inverse_dispersion, grad_rate, grad_plain_fraction, None


def dense_terms(  # noqa: PLR0917 - passed on by position
    logits: Tensor,
    log_inverse_dispersion: Tensor,
    outlier_rate: Tensor,
    log_plain_fraction: Tensor,
    cells: SparseCounts,
) -> tuple[Tensor, Tensor]:
    r"""Compute the negative log-likelihood of cells without counts, and the means at the non-zero counts.

    With expression fractions :math:`p = \mathrm{softmax}(\text{logits})` and means :math:`\mu = p \ell f` for a library
    size :math:`\ell` and the fraction :math:`f` of a gene's expected counts that are not outliers,

    .. math:: -\log P(x = 0) = \sum_g r_g \log(1 + \mu_g / r_g) + \rho_g \mu_g .

    Parameters
    ----------
    logits
        Unnormalised log expression fractions, shape ``(B, G)``.
    log_inverse_dispersion
        Log of the inverse dispersion :math:`r`, shape ``(G,)``.
    outlier_rate
        Outliers per expected count, :math:`\rho`, shape ``(G,)``; zeros turn outliers off.
    log_plain_fraction
        Log of the fraction of expected counts that are not outliers, :math:`\log f`, shape ``(G,)``.
    cells
        The non-zero counts of the cells.

    Returns
    -------
    The sum, shape ``(B,)``, and :math:`\log \mu` at the non-zeros, shape ``(nnz,)``; both differentiable.
    """
    zero_cost, log_mean = _DenseTerms.apply(logits, log_inverse_dispersion, outlier_rate, log_plain_fraction, cells)  # type: ignore[no-untyped-call]
    return zero_cost, log_mean


def varying_dense_terms(  # noqa: PLR0917 - passed on by position
    logits: Tensor,
    log_inverse_dispersion: Tensor,
    outlier_rate: Tensor,
    log_plain_fraction: Tensor,
    cells: SparseCounts,
    mean_exponent: Tensor,
    shift: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Compute what `dense_terms` computes where dispersions vary between cells.

    The inverse dispersion of a gene in a cell of shift :math:`u` is :math:`r_g \mu_g^b e^u`.

    Parameters
    ----------
    logits, log_inverse_dispersion, outlier_rate, log_plain_fraction, cells
        As in `dense_terms`.
    mean_exponent
        The exponent :math:`b`, shape ``(1,)``.
    shift
        The shift :math:`u` of each cell, shape ``(B,)``.

    Returns
    -------
    The negative log-likelihood of cells without counts, shape ``(B,)``, and at the non-zeros :math:`\log \mu` and the
    log of the inverse dispersion, each of shape ``(nnz,)``; all differentiable.
    """
    log_mean = torch.log_softmax(logits, dim=1) + cells.totals.log() + log_plain_fraction
    log_r = log_inverse_dispersion + mean_exponent * log_mean + shift[:, None]
    log_r = log_r.clamp(_LOWEST_LOG, _HIGHEST_LOG)
    mean, r = log_mean.exp(), log_r.exp()
    zero_cost = (r * torch.log1p(mean / r)).sum(dim=1) + mean @ outlier_rate
    at = cells.rows, cells.genes
    return zero_cost, log_mean[at], log_r[at]
