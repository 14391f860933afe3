"""Log-likelihood ratios of non-zero counts against zero, value and gradient in one pass."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from scdiffuse.autoencoder._counts import SparseCounts

__all__ = ["outlier_log_ratio", "plain_log_ratio", "rising", "rising_slope"]

_SHIFT = 4  # Stirling's series is exact to single precision from here on
_LEAST_EXCESS = 1e-6  # variance minus mean: outliers of little more than one count round to less
_FEW = 1e-3  # expected outliers below which the derivative of their conditional number is a series
_LEAST = 1e-30  # expected outliers: keeps the log probability of one finite


def plain_log_ratio(log_mean: Tensor, log_inverse_dispersion: Tensor, cells: SparseCounts) -> Tensor:
    r"""Compute log-likelihood ratios of counts against zero under a negative binomial.

    .. math:: \log \frac{P(x)}{P(0)} = \log \frac{\Gamma(x + r)}{\Gamma(r)\, x!} + x \log \frac{\mu}{\mu + r}

    Parameters
    ----------
    log_mean
        :math:`\log \mu` of each count, shape ``(nnz,)``.
    log_inverse_dispersion
        :math:`\log r` of each count, shape ``(nnz,)``.
    cells
        The counts, at least 1.

    Returns
    -------
    Log ratios, shape ``(nnz,)``, differentiable.
    """
    log_ratio: Tensor = _PlainLogRatio.apply(log_mean, log_inverse_dispersion, cells)  # type: ignore[no-untyped-call]
    return log_ratio


def outlier_log_ratio(  # noqa: PLR0917 - the parameters of a likelihood
    log_mean: Tensor, log_inverse_dispersion: Tensor, log_rate: Tensor, log_outlier_size: Tensor, cells: SparseCounts
) -> Tensor:
    r"""Compute log-likelihood ratios of counts against zero under a negative binomial with outliers.

    With :math:`P_0` the negative binomial, a Poisson number of outliers of mean :math:`\beta = \rho \mu` and
    :math:`a = 1 + s` counts per outlier, a count with at least one outlier has
    :math:`\kappa = \beta / (1 - e^{-\beta})` outliers on average, and

    .. math:: \log \frac{P(x)}{P(0)} = \log \left[ \frac{P_0(x)}{P_0(0)} + \frac{1 - e^{-\beta}}{P_0(0)\, e^{-\beta}}
              \mathrm{NB}(x - 1;\, m,\, m^2 / q) \right]

    with the moments of the sum of the outliers and of Poisson counts in the place of the negative binomial,

    .. math:: m = \mu + \kappa a - 1, \qquad q = \kappa a^2 (2 + \beta - \kappa) - 2 \kappa a + 1 .

    Parameters
    ----------
    log_mean
        :math:`\log \mu` of each count, shape ``(nnz,)``.
    log_inverse_dispersion
        :math:`\log r` of each count, shape ``(nnz,)``.
    log_rate, log_outlier_size
        :math:`\log \rho` and :math:`\log s` of each gene, shape ``(G,)``.
    cells
        The counts, at least 1.

    Returns
    -------
    Log ratios, shape ``(nnz,)``, differentiable.
    """
    log_ratio: Tensor = _OutlierLogRatio.apply(log_mean, log_inverse_dispersion, log_rate, log_outlier_size, cells)  # type: ignore[no-untyped-call]
    return log_ratio


def rising(x: Tensor, r: Tensor) -> Tensor:
    r"""Compute :math:`\log \Gamma(x + r) - \log \Gamma(r)` without cancellation.

    Parameters
    ----------
    x
        Numbers, at least 0, shape ``(*)``.
    r
        Positive numbers, shape ``(*)``.

    Returns
    -------
    Differences, shape ``(*)``: 0 at ``x = 0`` and ``log r`` at ``x = 1``.

    References
    ----------
    Abramowitz & Stegun 1964, eq. 6.1.15 (recurrence) and 6.1.41 (Stirling's series).
    """
    base = r + _SHIFT
    top = base + x
    log_ratio = (base - 0.5) * torch.log1p(x / base) + x * (top.log() - 1.0) + _stirling(top) - _stirling(base)
    ratio = 1.0 + x / r
    for k in range(1, _SHIFT):
        ratio *= 1.0 + x / (r + k)
    return log_ratio.sub_(ratio.log_())


def rising_slope(x: Tensor, r: Tensor) -> Tensor:
    r"""Compute the derivative of `rising` by ``r``, :math:`\psi(x + r) - \psi(r)`.

    Parameters
    ----------
    x, r
        As in `rising`.

    Returns
    -------
    Differences, shape ``(*)``.

    References
    ----------
    Abramowitz & Stegun 1964, eq. 6.3.6 (recurrence) and 6.3.18 (asymptotic series).
    """
    base = r + _SHIFT
    slope = torch.log1p(x / base) + _digamma_rest(base + x) - _digamma_rest(base)
    for k in range(_SHIFT):
        slope += x / ((x + r + k) * (r + k))
    return slope


def _stirling(z: Tensor) -> Tensor:
    inverse = 1.0 / z
    square = inverse * inverse
    return inverse * (1 / 12 - square * (1 / 360 - square / 1260))


def _digamma_rest(z: Tensor) -> Tensor:
    inverse = 1.0 / z
    square = inverse * inverse
    return -0.5 * inverse - square * (1 / 12 - square * (1 / 120 - square / 252))


class _LogRatio(NamedTuple):
    """Log-likelihood ratios and their derivatives by logs, each of shape ``(nnz,)``."""

    value: Tensor
    by_mean: Tensor
    by_inverse_dispersion: Tensor


class _Terms(NamedTuple):
    """Terms that all ratios share."""

    x: Tensor
    log_mean: Tensor
    mean: Tensor
    r: Tensor
    many: Tensor
    """Positions of the counts above 1, a minority."""


def _terms(log_mean: Tensor, log_inverse_dispersion: Tensor, cells: SparseCounts) -> _Terms:
    x = cells.counts.to(log_mean.dtype)
    return _Terms(x, log_mean, log_mean.exp(), log_inverse_dispersion.exp(), (x > 1).nonzero().squeeze(1))


def _plain(terms: _Terms) -> _LogRatio:
    """Compute ratios without outliers, with derivatives by the logs of mean and inverse dispersion."""
    x, mean, r, many = terms.x, terms.mean, terms.r, terms.many
    both = mean + r
    value = r.log()
    by_inverse_dispersion = torch.ones_like(r)
    value[many] = rising(x[many], r[many])
    by_inverse_dispersion[many] = r[many] * rising_slope(x[many], r[many])
    left = x * r / both
    value += x * (terms.log_mean - both.log()) - torch.lgamma(x + 1)
    return _LogRatio(value, left, by_inverse_dispersion.sub_(left))


def _with_outliers(terms: _Terms, beta: Tensor, outlier_size: Tensor) -> tuple[_LogRatio, Tensor, Tensor]:
    """Compute ratios with outliers, with derivatives by the logs of rate and size of outliers beside the ratios."""
    x, mean, r, many = terms.x, terms.mean, terms.r, terms.many
    a, beyond_first = outlier_size + 1, x - 1
    chance = torch.expm1(-beta).neg_()  # probability of at least one outlier
    kappa = beta / chance
    kappa_slope = (chance - beta * (1 - chance)) / chance.square()
    kappa_slope = torch.where(beta < _FEW, 0.5 + beta / 6, kappa_slope)
    rest = 2 + beta - kappa
    total = torch.addcmul(mean - 1, kappa, a)
    excess = (kappa * a * (a * rest - 2) + 1).clamp_(min=_LEAST_EXCESS)
    r_mixed = total.square() / excess
    both = total + r_mixed
    log_scale = torch.log1p(total / r_mixed)
    by_r_mixed = total / both - log_scale - beyond_first / both
    value = beyond_first * torch.log(total / both) - r_mixed * log_scale - torch.lgamma(x) + torch.log(chance)
    value[many] += rising(beyond_first[many], r_mixed[many])
    by_r_mixed[many] += rising_slope(beyond_first[many], r_mixed[many])
    by_excess = -by_r_mixed * r_mixed / excess
    by_total = r_mixed / both * (beyond_first / total - 1.0) + by_r_mixed * (2.0 * r_mixed / total)
    log_ratio = torch.log1p(mean / r)
    value += r * log_ratio + beta
    more = kappa_slope * (a * rest - 2) + kappa * a * (1 - kappa_slope)
    more = beta * a * (by_total * kappa_slope + by_excess * more)
    by_rate = beta / torch.expm1(beta) + beta + more
    by_mean = by_rate + by_total * mean + mean * r / (mean + r)
    by_outlier_size = outlier_size * kappa * (by_total + by_excess * 2 * (a * rest - 1))
    return _LogRatio(value, by_mean, r * (log_ratio - mean / (mean + r))), by_rate, by_outlier_size


class _PlainLogRatio(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes by position
        ctx: Any,  # noqa: ANN401
        log_mean: Tensor,
        log_inverse_dispersion: Tensor,
        cells: SparseCounts,
    ) -> Tensor:
        ratio = _plain(_terms(log_mean, log_inverse_dispersion, cells))
        ctx.save_for_backward(ratio.by_mean, ratio.by_inverse_dispersion)
        return ratio.value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401
        (grad,) = grads
        by_mean, by_inverse_dispersion = ctx.saved_tensors
        return grad * by_mean, grad * by_inverse_dispersion, None


class _OutlierLogRatio(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes by position
        ctx: Any,  # noqa: ANN401
        log_mean: Tensor,
        log_inverse_dispersion: Tensor,
        log_rate: Tensor,
        log_outlier_size: Tensor,
        cells: SparseCounts,
    ) -> Tensor:
        terms = _terms(log_mean, log_inverse_dispersion, cells)
        beta = (log_rate.exp()[cells.genes] * terms.mean).clamp_(min=_LEAST)
        plain = _plain(terms)
        outlier, by_rate, by_outlier_size = _with_outliers(terms, beta, log_outlier_size.exp()[cells.genes])
        chance = torch.sigmoid(outlier.value - plain.value)
        ctx.save_for_backward(
            torch.lerp(plain.by_mean, outlier.by_mean, chance),
            torch.lerp(plain.by_inverse_dispersion, outlier.by_inverse_dispersion, chance),
            chance * by_rate,
            chance * by_outlier_size,
            cells.genes,
        )
        ctx.n_genes = log_rate.numel()
        return torch.logaddexp(plain.value, outlier.value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (grad,) = grads
        by_mean, by_inverse_dispersion, *by_gene, genes = ctx.saved_tensors
        sums = (_by_gene(grad * one, genes, ctx.n_genes) for one in by_gene)
        return grad * by_mean, grad * by_inverse_dispersion, *sums, None


def _by_gene(values: Tensor, genes: Tensor, n_genes: int) -> Tensor:
    return values.new_zeros(n_genes).index_add_(0, genes, values)
