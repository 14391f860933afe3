"""Log-likelihood ratios with an outlier component, compiled; `_nll_kernels` calls them."""
# ruff: noqa: PLR0912, PLR0915, PLR0917 - short loops, one after the other; arguments are taken by position

from __future__ import annotations

import numpy as np

from scdiffuse._core.compiled import compiled
from scdiffuse.autoencoder.cpu._nll_types import CountBlock, Floats, Gradients
from scdiffuse.autoencoder.cpu._vectors import exp_into, log1p_into, log_into, one_minus_exp_into, rising_into, sum_of

__all__ = ["mixture", "outlier_ratios"]

_0, _1, _2 = (np.float32(n) for n in range(3))
_HALF, _SIXTH = np.float32(1 / 2), np.float32(1 / 6)
_LEAST_EXCESS, _FEW = np.float32(1e-6), np.float32(1e-3)  # as in `likelihoods._log_ratio`
_UNLIKELY = np.float32(1e-20)


@compiled(any_order=True, inner=True)
def outlier_ratios(block: CountBlock, value: Floats, gradients: Gradients) -> None:
    """Compute log-likelihood ratios of counts with outliers against zero; letters as in `outlier_log_ratio`."""
    n = block.x.size
    by_mean, by_inverse_dispersion = gradients.by_mean, gradients.by_inverse_dispersion
    by_rate, by_outlier_size = gradients.by_rate, gradients.by_outlier_size
    mean, r, beta, a = block.mean, block.inverse_dispersion, block.expected_outliers, block.counts_per_outlier
    buffer = np.empty((10, n), np.float32)
    chance, kappa, total, excess, r_mixed = buffer[0], buffer[1], buffer[2], buffer[3], buffer[4]
    log_ratio, by_dispersion, work, term, beyond_first = buffer[5], buffer[6], buffer[7], buffer[8], buffer[9]
    one_minus_exp_into(beta, chance)
    for at in range(n):
        kappa[at] = beta[at] / chance[at]
    for at in range(n):
        beyond_first[at] = block.x[at] - _1
    for at in range(n):
        total[at] = mean[at] - _1 + kappa[at] * a[at]
    for at in range(n):
        rest = _2 + beta[at] - kappa[at]
        more = kappa[at] * a[at] * (a[at] * rest - _2) + _1
        excess[at] = _LEAST_EXCESS if more < _LEAST_EXCESS else more
    for at in range(n):
        r_mixed[at] = total[at] * total[at] / excess[at]
    for at in range(n):
        work[at] = excess[at] / total[at]
    log1p_into(work, log_ratio)
    rising_into(beyond_first, r_mixed, value, by_dispersion)
    for at in range(n):
        work[at] = total[at] / (total[at] + r_mixed[at])
    log_into(work, term)
    for at in range(n):
        value[at] += beyond_first[at] * term[at] - r_mixed[at] * log_ratio[at] - block.log_before[at]
    for at in range(n):
        by_dispersion[at] += work[at] - log_ratio[at] - beyond_first[at] / (total[at] + r_mixed[at])
    log_into(chance, term)
    for at in range(n):
        value[at] += term[at] + beta[at]
    for at in range(n):
        work[at] = mean[at] / r[at]
    log1p_into(work, term)
    for at in range(n):
        value[at] += r[at] * term[at]
    for at in range(n):
        by_mean[at] = mean[at] / (mean[at] + r[at])
    for at in range(n):
        by_inverse_dispersion[at] = r[at] * (term[at] - by_mean[at])
    by_total, by_excess = log_ratio, by_dispersion
    for at in range(n):
        ratio = r_mixed[at] / total[at]
        by_total[at] = ratio * ((beyond_first[at] - total[at]) / (total[at] + r_mixed[at]) + _2 * by_dispersion[at])
    for at in range(n):
        by_excess[at] *= -r_mixed[at] / excess[at]
    for at in range(n):
        change = (chance[at] - beta[at] * (_1 - chance[at])) / (chance[at] * chance[at])
        work[at] = _HALF + beta[at] * _SIXTH if beta[at] < _FEW else change
    for at in range(n):
        rest = a[at] * (_2 + beta[at] - kappa[at])
        term[at] = work[at] * (rest - _2) + kappa[at] * a[at] * (_1 - work[at])
    for at in range(n):
        by_rate[at] = kappa[at] + beta[at] * a[at] * (by_total[at] * work[at] + by_excess[at] * term[at])
    for at in range(n):
        by_mean[at] = r[at] * by_mean[at] + by_rate[at] + by_total[at] * mean[at]
    for at in range(n):
        rest = a[at] * (_2 + beta[at] - kappa[at]) - _1
        by_outlier_size[at] = (a[at] - _1) * kappa[at] * (by_total[at] + _2 * by_excess[at] * rest)


@compiled(any_order=True, inner=True)
def mixture(plain: Floats, outlier: Floats, gradients: Gradients, outlier_gradients: Gradients) -> float:
    """Add the probabilities of both components; return the sum of the logs.

    The gradients of both components share memory for rate and size of outliers.
    """
    n, by_inverse_dispersion = plain.size, gradients.by_inverse_dispersion
    buffer = np.empty((2, n), np.float32)
    odds, log_sum = buffer[0], buffer[1]
    for at in range(n):
        odds[at] = -abs(plain[at] - outlier[at])
    exp_into(odds, odds)
    for at in range(n):
        odds[at] = _0 if odds[at] < _UNLIKELY else odds[at]  # denormal numbers are slow to multiply
    log1p_into(odds, log_sum)
    for at in range(n):
        log_sum[at] += outlier[at] if outlier[at] > plain[at] else plain[at]
    total = sum_of(log_sum)
    for at in range(n):
        odds[at] = (_1 if outlier[at] > plain[at] else odds[at]) / (_1 + odds[at])
    for at in range(n):
        gradients.by_mean[at] += odds[at] * (outlier_gradients.by_mean[at] - gradients.by_mean[at])
    for at in range(n):
        by_inverse_dispersion[at] += odds[at] * (
            outlier_gradients.by_inverse_dispersion[at] - by_inverse_dispersion[at]
        )
    for at in range(n):
        gradients.by_rate[at] *= odds[at]
    for at in range(n):
        gradients.by_outlier_size[at] *= odds[at]
    return total
