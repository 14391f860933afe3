"""The parts of a count likelihood at the non-zeros, value and gradient in one pass."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from scdiffuse.autoencoder._counts import Counted

__all__ = ["outlier_log_ratio", "plain_log_ratio", "rising", "rising_slope"]

_SHIFT = 4  # Stirling's series is exact to single precision from here on
_LEAST_EXCESS = 1e-6  # variance above the mean: bursts of hardly more than one count round to less
_FEW = 1e-3  # expected bursts below which the slope of their number is a series
_LEAST = 1e-30  # expected bursts: keeps the logarithm of the chance of one finite


def plain_log_ratio(log_mean: Tensor, log_inverse_dispersion: Tensor, cells: Counted) -> Tensor:
    r"""Compare the counts with zeros under a negative binomial.

    .. math:: \log \frac{P(x)}{P(0)} = \log \frac{\Gamma(x + r)}{\Gamma(r)\, x!} + x \log \frac{\mu}{\mu + r}

    Parameters
    ----------
    log_mean
        :math:`\log \mu` of each count, shape ``(nnz,)``.
    log_inverse_dispersion
        :math:`\log r` of each gene, shape ``(G,)``.
    cells
        The counts, at least 1.

    Returns
    -------
    Log ratios, shape ``(nnz,)``, differentiable.
    """
    log_ratio: Tensor = _PlainLogRatio.apply(log_mean, log_inverse_dispersion, cells)  # type: ignore[no-untyped-call]
    return log_ratio


def outlier_log_ratio(  # noqa: PLR0917 - the shapes of a likelihood
    log_mean: Tensor, log_inverse_dispersion: Tensor, log_rate: Tensor, log_outlier_size: Tensor, cells: Counted
) -> Tensor:
    r"""Compare the counts with zeros under a negative binomial with bursts.

    With :math:`P_0` the negative binomial, a Poisson number of bursts of mean :math:`\beta = \rho \mu` and
    :math:`a = 1 + s` counts a burst on average, a count with any burst has :math:`\kappa = \beta / (1 - e^{-\beta})` of
    them, and

    .. math:: \log \frac{P(x)}{P(0)} = \log \left[ \frac{P_0(x)}{P_0(0)} + \frac{1 - e^{-\beta}}{P_0(0)\, e^{-\beta}}
              \mathrm{NB}(x - 1;\, m,\, m^2 / q) \right]

    with the moments of the sum of what was there and the bursts,

    .. math:: m = \mu + \kappa a - 1, \qquad q = \kappa a^2 (2 + \beta - \kappa) - 2 \kappa a + 1 .

    Parameters
    ----------
    log_mean
        :math:`\log \mu` of each count, shape ``(nnz,)``.
    log_inverse_dispersion, log_rate, log_outlier_size
        :math:`\log r`, :math:`\log \rho` and :math:`\log s` of each gene, shape ``(G,)``.
    cells
        The counts, at least 1.

    Returns
    -------
    Log ratios, shape ``(nnz,)``, differentiable.
    """
    log_ratio: Tensor = _OutlierLogRatio.apply(log_mean, log_inverse_dispersion, log_rate, log_outlier_size, cells)  # type: ignore[no-untyped-call]
    return log_ratio


def rising(x: Tensor, r: Tensor) -> Tensor:
    r"""Compute :math:`\log \Gamma(x + r) - \log \Gamma(r)`, also where the two agree in every digit.

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


class _Part(NamedTuple):
    """A log probability and its derivatives, each of shape ``(nnz,)``."""

    value: Tensor
    by_mean: Tensor
    by_inverse_dispersion: Tensor


class _Counts(NamedTuple):
    """What all parts need of the counts."""

    x: Tensor
    log_mean: Tensor
    mean: Tensor
    size: Tensor
    many: Tensor
    """Places of the counts above 1, which most are not."""


def _counts(log_mean: Tensor, log_inverse_dispersion: Tensor, cells: Counted) -> _Counts:
    x = cells.counts.to(log_mean.dtype)
    return _Counts(x, log_mean, log_mean.exp(), log_inverse_dispersion.exp()[cells.genes], (x > 1).nonzero().squeeze(1))


def _plain(of: _Counts) -> _Part:
    """Compare a plain count with a zero; derivatives by the logs of mean and size."""
    x, mean, size, many = of.x, of.mean, of.size, of.many
    both = mean + size
    value = size.log()
    by_inverse_dispersion = torch.ones_like(size)
    value[many] = rising(x[many], size[many])
    by_inverse_dispersion[many] = size[many] * rising_slope(x[many], size[many])
    left = x * size / both
    value += x * (of.log_mean - both.log()) - torch.lgamma(x + 1)
    return _Part(value, left, by_inverse_dispersion.sub_(left))


def _burst(of: _Counts, outlier_component: Tensor, burst: Tensor) -> tuple[_Part, Tensor, Tensor]:
    """Compare bursts with a plain zero; derivatives by the logs of mean and size, then of rate and size of bursts."""
    x, mean, size, many = of.x, of.mean, of.size, of.many
    added, others = burst + 1, x - 1
    none = torch.expm1(-outlier_component).neg_()  # chance of any burst
    number = outlier_component / none
    slope = (none - outlier_component * (1 - none)) / none.square()
    slope = torch.where(outlier_component < _FEW, 0.5 + outlier_component / 6, slope)
    rest = 2 + outlier_component - number
    total = torch.addcmul(mean - 1, number, added)
    excess = (number * added * (added * rest - 2) + 1).clamp_(min=_LEAST_EXCESS)
    shape = total.square() / excess
    both = total + shape
    spread = torch.log1p(total / shape)
    by_shape = total / both - spread - others / both
    value = others * torch.log(total / both) - shape * spread - torch.lgamma(x) + torch.log(none)
    value[many] += rising(others[many], shape[many])
    by_shape[many] += rising_slope(others[many], shape[many])
    by_excess = -by_shape * shape / excess
    by_total = shape / both * (others / total - 1.0) + by_shape * (2.0 * shape / total)
    log_ratio = torch.log1p(mean / size)
    value += size * log_ratio + outlier_component
    more = slope * (added * rest - 2) + number * added * (1 - slope)
    more = outlier_component * added * (by_total * slope + by_excess * more)
    by_rate = outlier_component / torch.expm1(outlier_component) + outlier_component + more
    by_mean = by_rate + by_total * mean + mean * size / (mean + size)
    by_outlier_size = burst * number * (by_total + by_excess * 2 * (added * rest - 1))
    return _Part(value, by_mean, size * (log_ratio - mean / (mean + size))), by_rate, by_outlier_size


class _PlainLogRatio(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes by position
        ctx: Any,  # noqa: ANN401
        log_mean: Tensor,
        log_inverse_dispersion: Tensor,
        cells: Counted,
    ) -> Tensor:
        part = _plain(_counts(log_mean, log_inverse_dispersion, cells))
        ctx.save_for_backward(part.by_mean, part.by_inverse_dispersion, cells.genes)
        ctx.n_genes = log_inverse_dispersion.numel()
        return part.value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401
        (grad,) = grads
        by_mean, by_inverse_dispersion, genes = ctx.saved_tensors
        return grad * by_mean, _by_gene(grad * by_inverse_dispersion, genes, ctx.n_genes), None


class _OutlierLogRatio(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes by position
        ctx: Any,  # noqa: ANN401
        log_mean: Tensor,
        log_inverse_dispersion: Tensor,
        log_rate: Tensor,
        log_outlier_size: Tensor,
        cells: Counted,
    ) -> Tensor:
        of = _counts(log_mean, log_inverse_dispersion, cells)
        outlier_component = (log_rate.exp()[cells.genes] * of.mean).clamp_(min=_LEAST)
        plain = _plain(of)
        burst, by_rate, by_outlier_size = _burst(of, outlier_component, log_outlier_size.exp()[cells.genes])
        chance = torch.sigmoid(burst.value - plain.value)
        ctx.save_for_backward(
            torch.lerp(plain.by_mean, burst.by_mean, chance),
            torch.lerp(plain.by_inverse_dispersion, burst.by_inverse_dispersion, chance),
            chance * by_rate,
            chance * by_outlier_size,
            cells.genes,
        )
        ctx.n_genes = log_inverse_dispersion.numel()
        return torch.logaddexp(plain.value, burst.value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        (grad,) = grads
        by_mean, *by_gene, genes = ctx.saved_tensors
        return grad * by_mean, *(_by_gene(grad * one, genes, ctx.n_genes) for one in by_gene), None


def _by_gene(values: Tensor, genes: Tensor, n_genes: int) -> Tensor:
    return values.new_zeros(n_genes).index_add_(0, genes, values)
