"""Negative log-likelihood of counts and its gradient, compiled, in blocks of genes that stay in the cache of the CPU.

The loops compute in single precision what `likelihoods._dense` and `likelihoods._log_ratio` compute on tensors. Loops
are short and have numbers of one type, so that the CPU vectorises them.
"""
# ruff: noqa: PLR0917 - short loops, one after the other; arguments are taken by position

from __future__ import annotations

import math

import numpy as np

from scdiffuse._core.compiled import compiled
from scdiffuse.autoencoder.cpu._nll_outliers import mixture, outlier_ratios
from scdiffuse.autoencoder.cpu._nll_types import (
    CellSums,
    CountBlock,
    CountRows,
    Dispersions,
    Floats,
    GeneDispersions,
    GeneSums,
    Gradients,
    Ints,
)
from scdiffuse.autoencoder.cpu._vectors import (
    add_into,
    dot,
    exp_into,
    log1p_into,
    log_into,
    rising_into,
    sum_of,
    take_from,
)

__all__ = ["nll_rows"]

_GENES, _NONZEROS = 512, 256  # genes and non-zero counts in a block
_0, _1, _2 = (np.float32(n) for n in range(3))
_HALF, _SIXTH = np.float32(1 / 2), np.float32(1 / 6)
_LEAST_EXCESS, _LEAST, _FEW = np.float32(1e-6), np.float32(1e-30), np.float32(1e-3)  # as in `likelihoods._log_ratio`
_UNLIKELY = np.float32(1e-20)
_LOWEST_LOG, _HIGHEST_LOG = np.float32(-12.0), np.float32(40.0)  # as in `likelihoods._dense`
_LOG_FACTORIALS = np.array([math.lgamma(n + 1.0) for n in range(1024)], np.float32)


@compiled(any_order=True)
def nll_rows(
    logits: Floats,
    cells: CountRows,
    dispersions: GeneDispersions,
    with_outliers: bool,  # noqa: FBT001
    gradient: Floats,
    sums: GeneSums,
    cell_sums: CellSums,
    rows: tuple[int, int],
) -> float:
    """Sum the weighted negative log-likelihood of some of the cells, and compute its gradients.

    Parameters
    ----------
    logits
        Unnormalised log expression fractions, shape ``(B, G)``.
    cells, dispersions
        The counts, and the dispersion parameters of the genes.
    with_outliers
        Whether the outlier component is on.
    gradient
        Filled with the gradient of the logits, shape ``(B, G)``; has no rows where that gradient is not needed.
    sums
        Gradients of the dispersion parameters are added to these sums.
    cell_sums
        Filled with the gradients that each cell has, where dispersions vary.
    rows
        First cell, and the one after the last.

    Returns
    -------
    Negative log-likelihood in nats, each cell times its weight.
    """
    expected, spare = np.empty(logits.shape[1], np.float32), np.empty(logits.shape[1], np.float32)
    buffer = np.empty((17, _NONZEROS), np.float32)
    varies = dispersions.varies
    row_buffer = np.empty((5, logits.shape[1] if varies else 0), np.float32)
    own = Dispersions(row_buffer[0], row_buffer[1], row_buffer[2], row_buffer[3], row_buffer[4])
    by_gene = sums.by_inverse_dispersion
    if not varies:
        log_r, r = dispersions.log_inverse_dispersion, dispersions.inverse_dispersion
        own = Dispersions(log_r, r, dispersions.dispersion, log_r, by_gene)
    nll = 0.0
    for row in range(rows[0], rows[1]):
        row_gradient = gradient[row] if gradient.shape[0] > 0 else spare
        scale = np.float32(cells.totals[row] / _exponentials(logits[row], cells.top[row], expected))
        log_scale = np.log(scale) - cells.top[row]
        if varies:
            _disperse(logits[row], log_scale, cells.shift[row], dispersions, own)
        cost = _zeros(expected, scale, cells.weight[row], dispersions, own, row_gradient, sums)
        for first in range(cells.starts[row], cells.starts[row + 1], _NONZEROS):
            counts = slice(first, min(first + _NONZEROS, cells.starts[row + 1]))
            block, plain, gradients, outlier, outlier_gradients = _views(buffer, counts.stop - first)
            _gather(logits[row], log_scale, cells.genes[counts], cells.counts[counts], dispersions, own, block)
            log_ratio = _plain(block, plain, gradients)
            if with_outliers:
                outlier_ratios(block, outlier, outlier_gradients)
                log_ratio = mixture(plain, outlier, gradients, outlier_gradients)
            cost -= log_ratio
            _scatter(cells.genes[counts], gradients, cells.weight[row], own, row_gradient, sums)
        nll += cells.weight[row] * cost
        if varies:
            add_into(own.slope, by_gene)
            take_from(own.slope, -dispersions.mean_exponent, row_gradient)
            cell_sums.by_shift[row] = sum_of(own.slope)
            cell_sums.by_exponent[row] = dot(own.slope, own.log_mean)
        add_into(row_gradient, sums.by_plain_fraction)
        if gradient.shape[0] > 0:
            take_from(expected, np.float32(sum_of(row_gradient) / cells.totals[row]), row_gradient)
    return nll


@compiled(inner=True)
def _views(a: Floats, n: int) -> tuple[CountBlock, Floats, Gradients, Floats, Gradients]:
    """Name views of a buffer: a block of counts, and the values and gradients of its parts."""
    block = CountBlock(a[0, :n], a[1, :n], a[2, :n], a[3, :n], a[4, :n], a[5, :n], a[6, :n], a[7, :n], a[8, :n])
    gradients = Gradients(a[10, :n], a[11, :n], a[12, :n], a[13, :n])
    return block, a[9, :n], gradients, a[14, :n], Gradients(a[15, :n], a[16, :n], a[12, :n], a[13, :n])


@compiled(any_order=True, inner=True)
def _exponentials(logits: Floats, top: float, exponentials: Floats) -> float:
    """Fill in exponentials of logits minus the largest logit; return their sum."""
    total = 0.0
    buffer = np.empty(_GENES, np.float32)
    for first in range(0, logits.size, _GENES):
        given, values = logits[first : first + _GENES], exponentials[first : first + _GENES]
        x = buffer[: given.size]
        for at in range(given.size):
            x[at] = given[at] - top
        exp_into(x, values)
        total += sum_of(values)
    return total


@compiled(any_order=True, inner=True)
def _disperse(
    logits: Floats,
    log_scale: float,
    shift: np.float32,
    dispersions: GeneDispersions,
    own: Dispersions,
) -> None:
    """Compute the inverse dispersions of the genes in one cell, and set their gradient to 0."""
    log_r, log_mean = own.log_inverse_dispersion, own.log_mean
    for gene in range(logits.size):
        log_mean[gene] = logits[gene] + log_scale + dispersions.log_plain_fraction[gene]
    for gene in range(logits.size):
        raised = dispersions.log_inverse_dispersion[gene] + dispersions.mean_exponent * log_mean[gene] + shift
        raised = _HIGHEST_LOG if raised > _HIGHEST_LOG else raised
        log_r[gene] = _LOWEST_LOG if raised < _LOWEST_LOG else raised
    exp_into(log_r, own.inverse_dispersion)
    for gene in range(logits.size):
        own.dispersion[gene] = _1 / own.inverse_dispersion[gene]
    own.slope[:] = _0


@compiled(any_order=True, inner=True)
def _zeros(
    expected: Floats,
    scale: np.float32,
    weight: float,
    dispersions: GeneDispersions,
    own: Dispersions,
    gradient: Floats,
    sums: GeneSums,
) -> float:
    """Sum the negative log-likelihood of a cell without counts, and fill in its gradient by the logs of means.

    Expression fractions are scaled to expected counts, outliers included.
    """
    total = 0.0
    buffer = np.empty((3, _GENES), np.float32)
    for first in range(0, expected.size, _GENES):
        genes = slice(first, min(first + _GENES, expected.size))
        n = genes.stop - first
        mean_all, slope = expected[genes], gradient[genes]
        by_inverse_dispersion, by_rate = own.slope[genes], sums.by_zero_rate[genes]
        r, dispersion = own.inverse_dispersion[genes], own.dispersion[genes]
        rate, plain_fraction = dispersions.outlier_rate[genes], dispersions.plain_fraction[genes]
        mean, ratio, log_ratio = buffer[0, :n], buffer[1, :n], buffer[2, :n]
        for at in range(n):
            mean_all[at] *= scale
        for at in range(n):
            mean[at] = mean_all[at] * plain_fraction[at]
        for at in range(n):
            ratio[at] = mean[at] * dispersion[at]
        log1p_into(ratio, log_ratio)
        total += dot(mean, rate) + dot(log_ratio, r)
        for at in range(n):
            ratio[at] = mean[at] / (mean[at] + r[at])
        for at in range(n):
            slope[at] = weight * (r[at] * ratio[at] + rate[at] * mean[at])
        for at in range(n):
            by_inverse_dispersion[at] += weight * r[at] * (log_ratio[at] - ratio[at])
        for at in range(n):
            by_rate[at] += weight * mean[at]
    return total


@compiled(inner=True)
def _scatter(
    genes: Ints, gradients: Gradients, weight: float, own: Dispersions, gradient: Floats, sums: GeneSums
) -> None:
    """Subtract the gradients of log-likelihood ratios from those of their genes."""
    for at in range(genes.size):
        gene = genes[at]
        gradient[gene] -= weight * gradients.by_mean[at]
        own.slope[gene] -= weight * gradients.by_inverse_dispersion[at]
        sums.by_rate[gene] -= weight * gradients.by_rate[at]
        sums.by_outlier_size[gene] -= weight * gradients.by_outlier_size[at]


@compiled(any_order=True, inner=True)
def _gather(
    logits: Floats,
    log_scale: float,
    genes: Ints,
    counts: Floats,
    dispersions: GeneDispersions,
    own: Dispersions,
    block: CountBlock,
) -> None:
    """Gather counts of a cell and the parameters of their genes."""
    for at in range(counts.size):
        x, gene = counts[at], genes[at]
        block.x[at] = x
        if x < _LOG_FACTORIALS.size:
            block.log_factorial[at], block.log_before[at] = _LOG_FACTORIALS[int(x)], _LOG_FACTORIALS[int(x) - 1]
        else:
            block.log_factorial[at], block.log_before[at] = math.lgamma(x + 1.0), math.lgamma(x)
        block.log_inverse_dispersion[at] = own.log_inverse_dispersion[gene]
        block.inverse_dispersion[at] = own.inverse_dispersion[gene]
        block.counts_per_outlier[at] = _1 + dispersions.outlier_size[gene]
        block.log_mean[at] = logits[gene] + log_scale + dispersions.log_plain_fraction[gene]
        block.expected_outliers[at] = dispersions.log_outlier_rate[gene]
    for at in range(counts.size):
        block.expected_outliers[at] += block.log_mean[at]
    exp_into(block.log_mean, block.mean)
    exp_into(block.expected_outliers, block.expected_outliers)
    for at in range(counts.size):
        block.expected_outliers[at] = _LEAST if block.expected_outliers[at] < _LEAST else block.expected_outliers[at]


@compiled(any_order=True, inner=True)
def _plain(block: CountBlock, value: Floats, gradients: Gradients) -> float:
    """Compute log-likelihood ratios of counts against zero without outliers; return their sum."""
    n, x, r = block.x.size, block.x, block.inverse_dispersion
    by_mean, by_inverse_dispersion = gradients.by_mean, gradients.by_inverse_dispersion
    buffer = np.empty((2, n), np.float32)
    both, log_both = buffer[0], buffer[1]
    for at in range(n):
        both[at] = block.mean[at] + r[at]
    log_into(both, log_both)
    for at in range(n):
        by_mean[at] = x[at] * r[at] / both[at]
    for at in range(n):
        value[at] = x[at] * (block.log_mean[at] - log_both[at]) - block.log_factorial[at]
    rising_into(x, r, both, log_both)
    for at in range(n):
        value[at] += block.log_inverse_dispersion[at] if x[at] == _1 else both[at]
    for at in range(n):
        by_inverse_dispersion[at] = (_1 if x[at] == _1 else r[at] * log_both[at]) - by_mean[at]
    gradients.by_rate[:] = _0
    gradients.by_outlier_size[:] = _0
    return sum_of(value)
