"""Compiled loops over cells and genes that draw counts."""
# ruff: noqa: PLR0917 - compiled functions take their arguments by position

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.compiled import compiled
from scdiffuse._core.random import GOLDEN
from scdiffuse.autoencoder.cpu._bits import bits_of, number_of
from scdiffuse.autoencoder.cpu._draw_numbers import cluster_size, negative_binomial, normal, read, uniform
from scdiffuse.autoencoder.cpu._draw_types import Cells, Drawn, Floats, Genes, Ints, Workspace
from scdiffuse.autoencoder.cpu._stream import State
from scdiffuse.autoencoder.cpu._vectors import exp_into, log_into

__all__ = ["draw_cells"]

_MANY = 64.0  # expected counts above which a gene is drawn at once; a choice by the drawn number would bias it
_FEW = 5  # single counts of a gene up to which several genes are drawn at once
_PARTS = tuple(1.0 / n for n in range(1, _FEW + 2))
_NEVER = 256  # counts that no such gene reaches; rounding could count on for ever
_LOG2_E, _LN_2 = 1.0 / math.log(2.0), math.log(2.0)
_2, _6, _24, _120, _720, _5040, _40320 = (1.0 / math.factorial(n) for n in range(2, 9))
_ROUND = 1.5 * 2.0**52  # numbers beside it are whole
_LEAST_MEAN = np.float32(1e-30)
_LOWEST_LOG, _HIGHEST_LOG = np.float32(-12.0), np.float32(40.0)  # as in the likelihood


@compiled()
def draw_cells(
    cells: Cells,
    genes: Genes,
    mean_exponent: float,
    varies: bool,  # noqa: FBT001
    duplication_rate: float,
    drawn: Drawn,
) -> None:
    """Draw the counts of cells, one cell after the other.

    Parameters
    ----------
    cells, genes
        What to draw.
    mean_exponent
        Exponent of the mean in inverse dispersions.
    varies
        Whether dispersions vary between cells, by the mean and by the shift of a cell.
    duplication_rate
        How many more times than once a molecule is counted on average.
    drawn
        Output buffers, filled.
    """
    n_cells, n_genes = cells.fractions.shape
    dense = np.zeros(n_genes, np.int64)
    each, single = np.empty((8, n_genes)), np.empty((2, n_genes), np.float32)
    work = Workspace(each[0], each[1], each[2], each[3], each[4], each[5], each[6], each[7])
    log_r = np.empty(n_genes, np.float32)
    for gene in range(n_genes):
        work.inverse_dispersion[gene] = genes.inverse_dispersion[gene]
        log_r[gene] = np.float32(math.log(genes.inverse_dispersion[gene]))
    state = np.zeros(1, np.uint64)
    end = 0
    for cell in range(n_cells):
        fractions, target = cells.fractions[cell], cells.library_size[cell]
        state[0] = cells.keys[cell]
        n_more = _count_duplicates(target, duplication_rate, state) if duplication_rate > 0.0 else 0
        target -= n_more
        if varies:
            _disperse(fractions, float(target), genes, log_r, np.float32(mean_exponent), cells.shift[cell], single)
            for gene in range(n_genes):
                work.inverse_dispersion[gene] = single[1, gene]
        excess = _place(dense, fractions, float(target), genes, work, state) - target
        if excess > 0:
            _remove(dense, excess, work.level, state)
        elif excess < 0:
            _add(dense, -excess, work, state)
        if n_more > 0:
            _duplicate(dense, n_more, work.level, state)
        for gene in range(n_genes):
            drawn.genes[end], drawn.counts[end] = gene, dense[gene]
            end += dense[gene] > 0  # zeros are overwritten, which is quicker than a branch
        dense[:] = 0
        drawn.starts[cell + 1] = end


@compiled(inner=True)
def _disperse(
    fractions: NDArray[np.float32],
    total: float,
    genes: Genes,
    log_r: NDArray[np.float32],
    mean_exponent: np.float32,
    shift: np.float32,
    found: NDArray[np.float32],
) -> None:
    """Fill in the inverse dispersion of each gene in a cell, in the second row; the first is for the logs of means."""
    for gene in range(fractions.size):
        mean = np.float32(total * fractions[gene] * genes.plain_fraction[gene])
        found[1, gene] = _LEAST_MEAN if mean < _LEAST_MEAN else mean
    log_into(found[1], found[0])
    for gene in range(fractions.size):
        raised = log_r[gene] + mean_exponent * found[0, gene] + shift
        raised = _HIGHEST_LOG if raised > _HIGHEST_LOG else raised
        found[0, gene] = _LOWEST_LOG if raised < _LOWEST_LOG else raised
    exp_into(found[0], found[1])


@compiled(inner=True)
def _place(
    dense: Ints, fractions: NDArray[np.float32], total: float, genes: Genes, work: Workspace, state: State
) -> int:
    """Draw the counts of all genes; return their sum.

    Single counts come first. Larger clusters and outliers are then thinned from a Poisson process over genes whose rate
    bounds theirs.
    """
    _draw_singles(dense, fractions, total, genes, work, state)
    total_count, gap = 0, -math.log(uniform(state))
    for gene in range(fractions.size):
        mean = work.mean[gene]
        if mean * (1.0 + genes.outlier_rate[gene]) > _MANY:
            dense[gene] = _draw_often(gene, genes, work, state)
        else:
            if dense[gene] > _FEW:
                dense[gene] = _count_up(work.level[gene], work.single[gene])
            gap -= work.bound[gene]
            if gap <= 0.0:
                n_points = 0
                while gap <= 0.0:
                    n_points += 1
                    gap -= math.log(uniform(state))
                dense[gene] = _draw_points(n_points, dense[gene], gene, genes, work, state)
        total_count += dense[gene]
    return total_count


@compiled(inner=True)
def _draw_singles(
    dense: Ints, fractions: NDArray[np.float32], total: float, genes: Genes, work: Workspace, state: State
) -> None:
    r"""Draw clusters of one count, at the rate :math:`\mu r / (\mu + r)`; a number above `_FEW` is only marked.

    Larger clusters hold the rest of the mean, two counts or more each, so that half of that rest bounds their rate.
    Without branches, the CPU draws several genes at once.
    """
    first, rate, plain_fraction = state[0], genes.outlier_rate, genes.plain_fraction
    r, means, singles, growths, bounds, levels, powers, factors = work
    for gene in range(fractions.size):
        mean = total * fractions[gene] * plain_fraction[gene]
        growth = mean / (mean + r[gene])
        single = growth * r[gene]
        means[gene], singles[gene], growths[gene] = mean, single, growth
        bounds[gene] = 0.5 * (mean - single) + rate[gene] * mean
        levels[gene] = read(first + GOLDEN * np.uint64(gene + 1))
        exponent = -single * _LOG2_E
        powers[gene] = exponent + _ROUND
        part = (exponent - (powers[gene] - _ROUND)) * _LN_2
        series = _24 + part * (_120 + part * (_720 + part * (_5040 + part * _40320)))
        factors[gene] = 1.0 + part * (1.0 + part * (_2 + part * (_6 + part * series)))
    for gene in range(fractions.size):
        # The integer part of the exponent, as a power of 2.
        powers[gene] = number_of((bits_of(powers[gene]) + 1023) << 52)
    for gene in range(fractions.size):
        chance, level, mean = factors[gene] * powers[gene], levels[gene], singles[gene]
        count = 0
        for at in range(_FEW + 1):
            count += level > chance
            level -= chance
            chance *= mean * _PARTS[at]
        dense[gene] = count
    state[0] = first + GOLDEN * np.uint64(fractions.size)


@compiled(inner=True)
def _count_up(level: float, mean: float) -> int:
    """Invert a uniform number to a Poisson number."""
    count, chance = 0, math.exp(-mean)
    while level > chance and count < _NEVER:
        level -= chance
        count += 1
        chance *= mean / count
    return count


@compiled(inner=True)
def _draw_points(n_points: int, count: int, gene: int, genes: Genes, work: Workspace, state: State) -> int:
    """Turn points of the bounding process into larger clusters, an outlier, or nothing, by the ratio of the rates."""
    mean, r, is_outlier = work.mean[gene], work.inverse_dispersion[gene], False
    expected_outliers, log_ratio = genes.outlier_rate[gene] * mean, math.log1p(mean / r)
    for _ in range(n_points):
        level = uniform(state) * work.bound[gene]
        if level < expected_outliers:
            is_outlier = True
        elif level < expected_outliers + r * log_ratio - work.single[gene]:
            count += cluster_size(mean / (mean + r), log_ratio, state)
    return _draw_outlier(gene, genes, work, state) if is_outlier else count


@compiled(inner=True)
def _draw_often(gene: int, genes: Genes, work: Workspace, state: State) -> int:
    """Draw the count of a gene with a large mean."""
    mean = work.mean[gene]
    if uniform(state) < -math.expm1(-genes.outlier_rate[gene] * mean):
        return _draw_outlier(gene, genes, work, state)
    return negative_binomial(mean, work.inverse_dispersion[gene], state)


@compiled(inner=True)
def _draw_outlier(gene: int, genes: Genes, work: Workspace, state: State) -> int:
    """Draw a count with at least one outlier by the moments of their sum; the growth becomes that of this count."""
    mean, counts_per_outlier = work.mean[gene], 1.0 + genes.outlier_size[gene]
    expected_outliers = genes.outlier_rate[gene] * mean
    number = -expected_outliers / math.expm1(-expected_outliers)
    total = mean + number * counts_per_outlier - 1.0
    excess = number * counts_per_outlier * (counts_per_outlier * (2.0 + expected_outliers - number) - 2.0) + 1.0
    work.growth[gene] = excess / (excess + total)
    return 1 + negative_binomial(total, total * total / excess, state)


@compiled(inner=True)
def _remove(dense: Ints, n: int, ends: Floats, state: State) -> None:
    """Remove `n` counts, uniformly without replacement."""
    total = _accumulate(dense, ends)
    while n > 0:
        at = uniform(state) * total
        gene = _find(ends, at)
        # Removed counts are the last ones of their gene; a draw that hits one of them is repeated.
        if at - (ends[gene - 1] if gene > 0 else 0.0) < dense[gene]:
            dense[gene] -= 1
            n -= 1


@compiled(inner=True)
def _add(dense: Ints, n: int, work: Workspace, state: State) -> None:
    r"""Add `n` counts, gene by gene in proportion to their expected growth if all means grew.

    A negative binomial with the counts :math:`x` grows at the rate :math:`(r + x) \mu / (\mu + r)`: by its mean where
    it is Poisson, and in proportion to the drawn counts where it is overdispersed.
    """
    whole, ends = 0.0, work.level
    for gene in range(dense.size):
        whole += work.single[gene] + work.growth[gene] * dense[gene]
        ends[gene] = whole
    for _ in range(n):
        dense[_find(ends, uniform(state) * whole)] += 1


@compiled(inner=True)
def _count_duplicates(total: int, rate: float, state: State) -> int:
    """Draw how many counts of a cell are duplicates; no number of molecules is likelier than another beforehand."""
    deviation = math.sqrt(total * rate / (1.0 + rate) ** 3)
    return max(min(round(total * rate / (1.0 + rate) + deviation * normal(state)), total - 1), 0)


@compiled(inner=True)
def _duplicate(dense: Ints, n: int, ends: Floats, state: State) -> None:
    """Add `n` duplicates, each of any molecule with the same chance."""
    total = _accumulate(dense, ends)
    for _ in range(n):
        dense[_find(ends, uniform(state) * total)] += 1


@compiled(inner=True)
def _accumulate(dense: Ints, ends: Floats) -> float:
    """Fill in the cumulative sums of the counts; return their total."""
    total = 0.0
    for gene in range(dense.size):
        total += dense[gene]
        ends[gene] = total
    return total


@compiled(inner=True)
def _find(ends: Floats, at: float) -> int:
    """Find the first gene whose cumulative sum exceeds a number, by bisection."""
    begin, length = 0, ends.size
    while length > 1:
        half = length // 2
        begin += half if ends[begin + half - 1] <= at else 0
        length -= half
    return begin
