"""The part of a count likelihood that touches every gene."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scdiffuse.autoencoder._counts import Counted

__all__ = ["dense_terms"]


class _DenseTerms(torch.autograd.Function):
    """Fused forward and backward of the terms over all genes; five passes over ``(B, G)`` instead of twenty."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes by position
        ctx: Any,  # noqa: ANN401
        logits: Tensor,
        log_inverse_dispersion: Tensor,
        outlier_rate: Tensor,
        log_part: Tensor,
        cells: Counted,
    ) -> tuple[Tensor, Tensor]:
        log_scale = cells.totals.log() - torch.logsumexp(logits, dim=1, keepdim=True)
        rows = cells.rows
        flat = rows * logits.shape[1] + cells.genes
        log_mean = logits.view(-1)[flat] + log_scale.view(-1)[rows] + log_part[cells.genes]
        mean = (logits + log_scale).add_(log_part).exp_()
        size = log_inverse_dispersion.exp()
        log_ratio = (mean / size).log1p_()
        ctx.save_for_backward(mean, log_ratio, size, outlier_rate, flat, log_part.exp(), cells.totals)
        return log_ratio @ size + mean @ outlier_rate, log_mean

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:  # noqa: ANN401
        grad_cell, grad_nonzero = grads
        mean, log_ratio, size, outlier_rate, flat, part, totals = ctx.saved_tensors
        share = mean / (mean + size)
        grad_rate = grad_cell @ mean
        grad_size = size * (grad_cell @ (log_ratio - share))
        grad = share.mul_(size).addcmul_(mean, outlier_rate).mul_(grad_cell[:, None])
        grad.view(-1).index_add_(0, flat, grad_nonzero)
        grad_part = grad.sum(dim=0)
        if ctx.needs_input_grad[0]:
            grad.addcmul_(mean / part, grad.sum(dim=1, keepdim=True) / totals, value=-1)
        return grad, grad_size, grad_rate, grad_part, None


def dense_terms(  # noqa: PLR0917 - four tensors and what they are of
    logits: Tensor, log_inverse_dispersion: Tensor, outlier_rate: Tensor, log_part: Tensor, cells: Counted
) -> tuple[Tensor, Tensor]:
    r"""Sum what a cell without any count would cost, and find the means at the non-zeros.

    With shares :math:`p = \mathrm{softmax}(\text{logits})` and means :math:`\mu = p \ell f` for a library size
    :math:`\ell` and the part :math:`f` of a gene's counts that is of no burst,

    .. math:: -\log P(x = 0) = \sum_g r_g \log(1 + \mu_g / r_g) + \rho_g \mu_g .

    Parameters
    ----------
    logits
        Unnormalised log shares, shape ``(B, G)``.
    log_inverse_dispersion
        Log of the inverse dispersion :math:`r`, shape ``(G,)``.
    outlier_rate
        Bursts a count, :math:`\rho`, shape ``(G,)``; zeros for none.
    log_part
        Log of the part of counts that is of no burst, :math:`\log f`, shape ``(G,)``; zeros without bursts.
    cells
        The non-zero counts of the cells.

    Returns
    -------
    The sum, shape ``(B,)``, and :math:`\log \mu` at the non-zeros, shape ``(nnz,)``; both differentiable.
    """
    zero_cost, log_mean = _DenseTerms.apply(logits, log_inverse_dispersion, outlier_rate, log_part, cells)  # type: ignore[no-untyped-call]
    return zero_cost, log_mean
