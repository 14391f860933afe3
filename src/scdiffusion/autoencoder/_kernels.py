"""The loops over cells and genes that draw counts, compiled.

All are here because machine code is kept by file: a change of this one makes all of them anew.
"""
# ruff: noqa: PLR0917 - compiled functions take their arguments by position

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffusion._core.compiled import compiled

__all__ = ["Cells", "Drawn", "Genes", "draw_cells"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
State = NDArray[np.uint64]

_MANY = 64.0  # clumps expected above which a gene is drawn at once: never by the number drawn, which would bias it
_SINGLY = 10.0  # mean below which a Poisson number is counted up
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_12, _27, _30, _31 = np.uint64(12), np.uint64(27), np.uint64(30), np.uint64(31)


class Cells(NamedTuple):
    """Cells to draw."""

    shares: NDArray[np.float32]
    """Share of each gene, shape ``(B, G)``."""
    library_size: Ints
    """Counts a cell shall have, shape ``(B,)``."""
    keys: State
    """Key of the random stream of each cell, shape ``(B,)``."""


class Genes(NamedTuple):
    """Distribution of the counts of each gene, each of shape ``(G,)``."""

    size: Floats
    """Inverse dispersion."""
    rate: Floats
    """Bursts a count; 0 for none."""
    burst_size: Floats
    """Mean counts a burst beyond the first, positive."""
    part: Floats
    """Part of a gene's counts that is of no burst; 1 without any."""


class Drawn(NamedTuple):
    """Counts of cells, row by row; room for all that can come."""

    starts: Ints
    """Where each cell starts, and one end more, shape ``(B + 1,)``; the first is 0."""
    genes: NDArray[np.int32]
    """Numbers of the found genes, rising in each cell, shape ``(M,)``."""
    counts: NDArray[np.int32]
    """Their counts, shape ``(M,)``."""


@compiled
def draw_cells(cells: Cells, genes: Genes, drawn: Drawn) -> None:
    """Draw the counts of cells, one cell after the other.

    Parameters
    ----------
    cells, genes
        What to draw.
    drawn
        Filled.
    """
    n_cells, n_genes = cells.shares.shape
    dense = np.zeros(n_genes, np.int64)
    state = np.zeros(1, np.uint64)
    end = 0
    for cell in range(n_cells):
        share, target = cells.shares[cell], cells.library_size[cell]
        state[0] = cells.keys[cell]
        excess = _place(dense, share, float(target), genes, state) - target
        if excess > 0:
            _lose(dense, excess, excess + target, state)
        elif excess < 0:
            _gain(dense, -excess, share, state)
        for gene in range(n_genes):
            if dense[gene] > 0:
                drawn.genes[end] = gene
                drawn.counts[end] = dense[gene]
                dense[gene] = 0
                end += 1
        drawn.starts[cell + 1] = end


@compiled
def _uniform(state: State) -> float:
    """Draw the next number within 0 to 1: SplitMix64, Steele et al. 2014, https://doi.org/10.1145/2660193.2660195."""
    state[0] += _GOLDEN
    word = state[0]
    word = (word ^ (word >> _30)) * _FIRST
    word = (word ^ (word >> _27)) * _SECOND
    return (np.float64((word ^ (word >> _31)) >> _12) + 0.5) * 2.0**-52


@compiled
def _place(dense: Ints, share: NDArray[np.float32], total: float, genes: Genes, state: State) -> int:
    r"""Draw the counts of all genes; return their sum.

    The walk meets points of a Poisson process, which has :math:`(1 + \rho) \mu` of them in a gene: at least as many as
    there are clumps and bursts, so that each point is one of these, or nothing, by the ratio of the rates.
    """
    held, gap = 0, -math.log(_uniform(state))
    for gene in range(share.size):
        mean = total * share[gene] * genes.part[gene]
        bound = mean * (1.0 + genes.rate[gene])
        if bound > _MANY:
            dense[gene] = _draw_often(mean, gene, genes, state)
        else:
            gap -= bound
            if gap > 0.0:
                continue
            n_points = 0
            while gap <= 0.0:
                n_points += 1
                gap -= math.log(_uniform(state))
            dense[gene] = _draw_points(n_points, mean, gene, genes, state)
        held += dense[gene]
    return held


@compiled
def _draw_points(n_points: int, mean: float, gene: int, genes: Genes, state: State) -> int:
    """Turn the points of a gene into clumps or a burst; return the count."""
    size, count, is_burst = genes.size[gene], 0, False
    spread = math.log1p(mean / size)
    bursts = genes.rate[gene] * mean
    for _ in range(n_points):
        level = _uniform(state) * (mean + bursts)
        if level < bursts:
            is_burst = True
        elif level < bursts + size * spread:
            count += _logarithmic(mean / (mean + size), spread, state)
    return _draw_burst(mean, bursts, genes.burst_size[gene], state) if is_burst else count


@compiled
def _draw_often(mean: float, gene: int, genes: Genes, state: State) -> int:
    """Draw the count of a gene of many clumps."""
    bursts = genes.rate[gene] * mean
    if _uniform(state) < -math.expm1(-bursts):
        return _draw_burst(mean, bursts, genes.burst_size[gene], state)
    return _negative_binomial(mean, genes.size[gene], state)


@compiled
def _draw_burst(mean: float, bursts: float, burst_size: float, state: State) -> int:
    """Draw a count with at least one burst, of as many as are expected then."""
    number, added = -bursts / math.expm1(-bursts), 1.0 + burst_size
    total = mean + number * added - 1.0
    excess = number * added * (added * (2.0 + bursts - number) - 2.0) + 1.0
    return 1 + _negative_binomial(total, total * total / excess, state)


@compiled
def _lose(dense: Ints, n: int, total: int, state: State) -> None:
    """Take `n` of `total` single counts away, each set of them as likely (Knuth's selection sampling)."""
    for gene in range(dense.size):
        for _ in range(dense[gene]):
            if _uniform(state) * total < n:
                dense[gene] -= 1
                n -= 1
            total -= 1
        if n == 0:
            break


@compiled
def _gain(dense: Ints, n: int, share: NDArray[np.float32], state: State) -> None:
    """Add `n` single counts by the shares of genes: uniform numbers in rising order, laid along the shares."""
    whole = 0.0
    for gene in range(share.size):
        whole += share[gene]
    above = math.exp(math.log(_uniform(state)) / n)
    passed, last = 0.0, 0
    for gene in range(share.size):
        passed += share[gene]
        while n > 0 and passed > whole * (1.0 - above):
            dense[gene] += 1
            n -= 1
            if n > 0:
                above *= math.exp(math.log(_uniform(state)) / n)
        if n == 0:
            return
        last = gene if share[gene] > 0.0 else last
    dense[last] += n  # what rounding left over


@compiled
def _logarithmic(chance: float, spread: float, state: State) -> int:
    """Draw the size of a clump: Kemp 1981, https://doi.org/10.2307/2346348, algorithm LK."""
    first = _uniform(state)
    if first >= chance:
        return 1
    past = math.exp(-spread * _uniform(state))
    other = 1.0 - past
    if first >= other:
        return 1
    if first >= other * other:
        return 2
    return 1 + int(math.log(first) / math.log1p(-past))


@compiled
def _negative_binomial(mean: float, size: float, state: State) -> int:
    """Draw a Poisson number of a gamma rate."""
    return _poisson(_gamma(size, state) * mean / size, state)


@compiled
def _normal(state: State) -> float:
    """Draw a standard normal number (Box and Muller 1958)."""
    radius = math.sqrt(-2.0 * math.log(_uniform(state)))
    return radius * math.cos(2.0 * math.pi * _uniform(state))


@compiled
def _gamma(shape: float, state: State) -> float:
    """Draw a gamma number of scale 1: Marsaglia and Tsang 2000, https://doi.org/10.1145/358407.358414."""
    least = (shape if shape >= 1.0 else shape + 1.0) - 1.0 / 3.0
    slope = 1.0 / math.sqrt(9.0 * least)
    while True:
        normal = _normal(state)
        cube = (1.0 + slope * normal) ** 3
        if cube > 0.0 and math.log(_uniform(state)) < 0.5 * normal**2 + least * (1.0 - cube + math.log(cube)):
            break
    drawn = least * cube
    return drawn if shape >= 1.0 else drawn * math.exp(math.log(_uniform(state)) / shape)


@compiled
def _poisson(mean: float, state: State) -> int:
    """Draw a Poisson number: Hormann 1993, https://doi.org/10.1016/0167-6687(93)90997-4, algorithm PTRS."""
    if mean < _SINGLY:
        count, gap = -1, mean
        while gap >= 0.0:
            count += 1
            gap += math.log(_uniform(state))
        return count
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    while True:
        u, v = _uniform(state) - 0.5, _uniform(state)
        room = 0.5 - abs(u)
        k = math.floor((2.0 * a / room + b) * u + mean + 0.43)
        if room >= 0.07 and v <= 0.9277 - 3.6224 / (b - 2.0):
            return int(k)
        if k < 0 or (room < 0.013 and v > room):
            continue
        tested = math.log(v * inverse_alpha / (a / room**2 + b))
        if tested <= k * math.log(mean) - mean - math.lgamma(k + 1.0):
            return int(k)
