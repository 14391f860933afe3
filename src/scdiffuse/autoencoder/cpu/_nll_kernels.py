"""The misfit of counts and its gradient, in compiled passes over parts of a cell that stay in the cache.

What is computed is what `_terms` and `_gains` say, in single precision; there it is written for any device. Loops are
short and their numbers are of one type, so that a processor takes many at once.
"""
# ruff: noqa: PLR0912, PLR0915, PLR0917 - short loops, one after the other; arguments are taken by position

from __future__ import annotations

import math

import numpy as np

from scdiffuse._core.compiled import compiled, compiled_sums
from scdiffuse.autoencoder.cpu._nll_types import CountedRows, Few, Floats, GeneDispersions, GeneSums, Ints, Slopes
from scdiffuse.autoencoder.cpu._vectors import (
    add_into,
    digamma_rest,
    dot,
    exp_into,
    log1p_into,
    log_into,
    none_into,
    stirling,
    sum_of,
    take_from,
)

__all__ = ["nll_rows"]

_GENES, _FOUND = 512, 256  # taken at once
_0, _1, _2, _3, _4 = (np.float32(n) for n in range(5))
_HALF, _SIXTH = np.float32(1 / 2), np.float32(1 / 6)
_LEAST_EXCESS, _LEAST, _FEW = np.float32(1e-6), np.float32(1e-30), np.float32(1e-3)  # as in `_gains`
_UNLIKELY = np.float32(1e-20)
_LOG_FACTORIALS = np.array([math.lgamma(n + 1.0) for n in range(1024)], np.float32)


@compiled_sums
def nll_rows(
    logits: Floats,
    cells: CountedRows,
    shapes: GeneDispersions,
    with_bursts: bool,  # noqa: FBT001
    slope: Floats,
    sums: GeneSums,
    rows: tuple[int, int],
) -> float:
    """Sum the weighted misfit of some of the cells, and find its slopes.

    Parameters
    ----------
    logits
        Unnormalised log shares, shape ``(B, G)``.
    cells, shapes
        What is scored, and by what.
    with_bursts
        Whether counts may come in bursts.
    slope
        Filled with the derivatives by logits, shape ``(B, G)``; of no rows where they are not asked for.
    sums
        Derivatives by the shapes of genes are added to them.
    rows
        First of the cells, and the one after the last.

    Returns
    -------
    Minus the log probability of their counts in nats, each cell times its weight.
    """
    expected, spare = np.empty(logits.shape[1], np.float32), np.empty(logits.shape[1], np.float32)
    room = np.empty((17, _FOUND), np.float32)
    nll = 0.0
    for row in range(rows[0], rows[1]):
        found = slope[row] if slope.shape[0] > 0 else spare
        scale = np.float32(cells.totals[row] / _exponentials(logits[row], cells.top[row], expected))
        log_scale = np.log(scale) - cells.top[row]
        cost = _zeros(expected, scale, cells.weight[row], shapes, found, sums)
        for first in range(cells.starts[row], cells.starts[row + 1], _FOUND):
            counts = slice(first, min(first + _FOUND, cells.starts[row + 1]))
            few, plain, slopes, burst, others = _places(room, counts.stop - first)
            _meet(logits[row], log_scale, cells.genes[counts], cells.counts[counts], shapes, few)
            log_ratio = _plain(few, plain, slopes)
            if with_bursts:
                _burst(few, burst, others)
                log_ratio = _mix(plain, burst, slopes, others)
            cost -= log_ratio
            _spread(cells.genes[counts], slopes, cells.weight[row], found, sums)
        nll += cells.weight[row] * cost
        add_into(found, sums.by_part)
        if slope.shape[0] > 0:
            take_from(expected, np.float32(sum_of(found) / cells.totals[row]), found)
    return nll


@compiled
def _places(a: Floats, n: int) -> tuple[Few, Floats, Slopes, Floats, Slopes]:
    """Name the places of some counts, and of values and slopes of theirs."""
    few = Few(a[0, :n], a[1, :n], a[2, :n], a[3, :n], a[4, :n], a[5, :n], a[6, :n], a[7, :n], a[8, :n])
    slopes = Slopes(a[10, :n], a[11, :n], a[12, :n], a[13, :n])
    return few, a[9, :n], slopes, a[14, :n], Slopes(a[15, :n], a[16, :n], a[12, :n], a[13, :n])


@compiled_sums
def _exponentials(logits: Floats, top: float, share: Floats) -> float:
    """Fill in exponentials of logits less the largest; return their sum."""
    whole = 0.0
    room = np.empty(_GENES, np.float32)
    for first in range(0, logits.size, _GENES):
        given, found = logits[first : first + _GENES], share[first : first + _GENES]
        x = room[: given.size]
        for at in range(given.size):
            x[at] = given[at] - top
        exp_into(x, found)
        whole += sum_of(found)
    return whole


@compiled_sums
def _zeros(
    expected: Floats, scale: np.float32, weight: float, shapes: GeneDispersions, slope: Floats, sums: GeneSums
) -> float:
    """Sum what a cell without any count would cost, and fill in its slopes by the logs of means.

    Shares are scaled to expected counts, bursts included.
    """
    total = 0.0
    room = np.empty((3, _GENES), np.float32)
    for first in range(0, expected.size, _GENES):
        genes = slice(first, min(first + _GENES, expected.size))
        n = genes.stop - first
        whole, found, by_inverse_dispersion, by_rate = (
            expected[genes],
            slope[genes],
            sums.by_inverse_dispersion[genes],
            sums.by_zero_rate[genes],
        )
        size, dispersion, rate, part = (
            shapes.size[genes],
            shapes.dispersion[genes],
            shapes.rate[genes],
            shapes.part[genes],
        )
        mean, ratio, log_ratio = room[0, :n], room[1, :n], room[2, :n]
        for at in range(n):
            whole[at] *= scale
        for at in range(n):
            mean[at] = whole[at] * part[at]
        for at in range(n):
            ratio[at] = mean[at] * dispersion[at]
        log1p_into(ratio, log_ratio)
        total += dot(mean, rate) + dot(log_ratio, size)
        for at in range(n):
            ratio[at] = mean[at] / (mean[at] + size[at])
        for at in range(n):
            found[at] = weight * (size[at] * ratio[at] + rate[at] * mean[at])
        for at in range(n):
            by_inverse_dispersion[at] += weight * size[at] * (log_ratio[at] - ratio[at])
        for at in range(n):
            by_rate[at] += weight * mean[at]
    return total


@compiled
def _spread(genes: Ints, slopes: Slopes, weight: float, slope: Floats, sums: GeneSums) -> None:
    """Take the slopes of gains away from those of their genes."""
    for at in range(genes.size):
        gene = genes[at]
        slope[gene] -= weight * slopes.by_mean[at]
        sums.by_inverse_dispersion[gene] -= weight * slopes.by_inverse_dispersion[at]
        sums.by_rate[gene] -= weight * slopes.by_rate[at]
        sums.by_outlier_size[gene] -= weight * slopes.by_outlier_size[at]


@compiled_sums
def _meet(logits: Floats, log_scale: float, genes: Ints, counts: Floats, shapes: GeneDispersions, few: Few) -> None:
    """Fill in what is known of some counts of a cell."""
    for at in range(counts.size):
        x, gene = counts[at], genes[at]
        few.x[at] = x
        if x < _LOG_FACTORIALS.size:
            few.log_factorial[at], few.log_before[at] = _LOG_FACTORIALS[int(x)], _LOG_FACTORIALS[int(x) - 1]
        else:
            few.log_factorial[at], few.log_before[at] = math.lgamma(x + 1.0), math.lgamma(x)
        few.log_inverse_dispersion[at], few.size[at] = shapes.log_inverse_dispersion[gene], shapes.size[gene]
        few.added[at] = _1 + shapes.outlier_size[gene]
        few.log_mean[at] = logits[gene] + log_scale + shapes.log_part[gene]
        few.outlier_component[at] = shapes.log_rate[gene]
    for at in range(counts.size):
        few.outlier_component[at] += few.log_mean[at]
    exp_into(few.log_mean, few.mean)
    exp_into(few.outlier_component, few.outlier_component)
    for at in range(counts.size):
        few.outlier_component[at] = _LEAST if few.outlier_component[at] < _LEAST else few.outlier_component[at]


@compiled_sums
def _plain(few: Few, value: Floats, slopes: Slopes) -> float:
    """Compare plain counts with zeros, which have no slope by bursts; return the sum of the values."""
    n = few.x.size
    by_mean, by_inverse_dispersion = slopes.by_mean, slopes.by_inverse_dispersion
    room = np.empty((2, n), np.float32)
    both, log_both = room[0], room[1]
    for at in range(n):
        both[at] = few.mean[at] + few.size[at]
    log_into(both, log_both)
    for at in range(n):
        by_mean[at] = few.x[at] * few.size[at] / both[at]
    for at in range(n):
        value[at] = few.x[at] * (few.log_mean[at] - log_both[at]) - few.log_factorial[at]
    _rising(few.x, few.size, both, log_both)
    for at in range(n):
        value[at] += few.log_inverse_dispersion[at] if few.x[at] == _1 else both[at]
    for at in range(n):
        by_inverse_dispersion[at] = (_1 if few.x[at] == _1 else few.size[at] * log_both[at]) - by_mean[at]
    for at in range(n):
        slopes.by_rate[at] = _0
    for at in range(n):
        slopes.by_outlier_size[at] = _0
    return sum_of(value)


@compiled_sums
def _burst(few: Few, value: Floats, slopes: Slopes) -> None:
    """Compare bursts with plain zeros."""
    n = few.x.size
    by_mean, by_inverse_dispersion, by_rate, by_outlier_size = (
        slopes.by_mean,
        slopes.by_inverse_dispersion,
        slopes.by_rate,
        slopes.by_outlier_size,
    )
    mean, size, outlier_component, added = few.mean, few.size, few.outlier_component, few.added
    room = np.empty((10, n), np.float32)
    none, number, total, excess, shape = room[0], room[1], room[2], room[3], room[4]
    spread, by_shape, other, found, others = room[5], room[6], room[7], room[8], room[9]
    none_into(outlier_component, none)
    for at in range(n):
        number[at] = outlier_component[at] / none[at]
    for at in range(n):
        others[at] = few.x[at] - _1
    for at in range(n):
        total[at] = mean[at] - _1 + number[at] * added[at]
    for at in range(n):
        rest = _2 + outlier_component[at] - number[at]
        more = number[at] * added[at] * (added[at] * rest - _2) + _1
        excess[at] = _LEAST_EXCESS if more < _LEAST_EXCESS else more
    for at in range(n):
        shape[at] = total[at] * total[at] / excess[at]
    for at in range(n):
        other[at] = excess[at] / total[at]
    log1p_into(other, spread)
    _rising(others, shape, value, by_shape)
    for at in range(n):
        other[at] = total[at] / (total[at] + shape[at])
    log_into(other, found)
    for at in range(n):
        value[at] += others[at] * found[at] - shape[at] * spread[at] - few.log_before[at]
    for at in range(n):
        by_shape[at] += other[at] - spread[at] - others[at] / (total[at] + shape[at])
    log_into(none, found)
    for at in range(n):
        value[at] += found[at] + outlier_component[at]
    for at in range(n):
        other[at] = mean[at] / size[at]
    log1p_into(other, found)
    for at in range(n):
        value[at] += size[at] * found[at]
    for at in range(n):
        by_mean[at] = mean[at] / (mean[at] + size[at])
    for at in range(n):
        by_inverse_dispersion[at] = size[at] * (found[at] - by_mean[at])
    by_total, by_excess = spread, by_shape
    for at in range(n):
        ratio = shape[at] / total[at]
        by_total[at] = ratio * ((others[at] - total[at]) / (total[at] + shape[at]) + _2 * by_shape[at])
    for at in range(n):
        by_excess[at] *= -shape[at] / excess[at]
    for at in range(n):
        change = (none[at] - outlier_component[at] * (_1 - none[at])) / (none[at] * none[at])
        other[at] = _HALF + outlier_component[at] * _SIXTH if outlier_component[at] < _FEW else change
    for at in range(n):
        rest = added[at] * (_2 + outlier_component[at] - number[at])
        found[at] = other[at] * (rest - _2) + number[at] * added[at] * (_1 - other[at])
    for at in range(n):
        by_rate[at] = number[at] + outlier_component[at] * added[at] * (
            by_total[at] * other[at] + by_excess[at] * found[at]
        )
    for at in range(n):
        by_mean[at] = size[at] * by_mean[at] + by_rate[at] + by_total[at] * mean[at]
    for at in range(n):
        rest = added[at] * (_2 + outlier_component[at] - number[at]) - _1
        by_outlier_size[at] = (added[at] - _1) * number[at] * (by_total[at] + _2 * by_excess[at] * rest)


@compiled_sums
def _mix(plain: Floats, burst: Floats, slopes: Slopes, others: Slopes) -> float:
    """Add the chance of bursts, whose slopes are the others, to that of plain counts; return the sum of the logs.

    Slopes by rate and size of bursts lie in the same place.
    """
    n = plain.size
    room = np.empty((2, n), np.float32)
    odds, found = room[0], room[1]
    for at in range(n):
        odds[at] = -abs(plain[at] - burst[at])
    exp_into(odds, odds)
    for at in range(n):
        odds[at] = _0 if odds[at] < _UNLIKELY else odds[at]  # what is smaller yet would be slow to multiply
    log1p_into(odds, found)
    for at in range(n):
        found[at] += burst[at] if burst[at] > plain[at] else plain[at]
    total = sum_of(found)
    for at in range(n):
        odds[at] = (_1 if burst[at] > plain[at] else odds[at]) / (_1 + odds[at])
    for at in range(n):
        slopes.by_mean[at] += odds[at] * (others.by_mean[at] - slopes.by_mean[at])
    for at in range(n):
        slopes.by_inverse_dispersion[at] += odds[at] * (
            others.by_inverse_dispersion[at] - slopes.by_inverse_dispersion[at]
        )
    for at in range(n):
        slopes.by_rate[at] *= odds[at]
    for at in range(n):
        slopes.by_outlier_size[at] *= odds[at]
    return total


@compiled_sums
def _rising(x: Floats, r: Floats, value: Floats, slope: Floats) -> None:
    """As `_gains.rising`, and its derivative by ``r``."""
    n = x.size
    room = np.empty((5, n), np.float32)
    base, top, log_ratio, log_top, product = room[0], room[1], room[2], room[3], room[4]
    for at in range(n):
        base[at] = r[at] + _4
    for at in range(n):
        top[at] = x[at] / base[at]
    log1p_into(top, log_ratio)
    for at in range(n):
        top[at] = x[at] + base[at]
    log_into(top, log_top)
    for at in range(n):
        low = (x[at] + r[at]) * (x[at] + r[at] + _1) / (r[at] * (r[at] + _1))
        product[at] = low * ((x[at] + r[at] + _2) * (x[at] + r[at] + _3) / ((r[at] + _2) * (r[at] + _3)))
    for at in range(n):
        value[at] = (base[at] - _HALF) * log_ratio[at] + x[at] * (log_top[at] - _1)
    for at in range(n):
        value[at] += stirling(_1 / top[at]) - stirling(_1 / base[at])
    for at in range(n):
        slope[at] = log_ratio[at] + digamma_rest(_1 / top[at]) - digamma_rest(_1 / base[at])
    for at in range(n):
        slope[at] += x[at] / ((x[at] + r[at]) * r[at]) + x[at] / ((x[at] + r[at] + _1) * (r[at] + _1))
    for at in range(n):
        low, high = r[at] + _2, r[at] + _3
        slope[at] += x[at] / ((x[at] + low) * low) + x[at] / ((x[at] + high) * high)
    log_into(product, log_top)
    for at in range(n):
        value[at] -= log_top[at]
