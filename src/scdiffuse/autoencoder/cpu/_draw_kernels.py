"""The loops over cells and genes that draw counts, compiled.

All but the random stream are here because machine code is kept by file: a change of this one makes all of them anew.
"""
# ruff: noqa: PLR0917 - compiled functions take their arguments by position

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.compiled import compiled
from scdiffuse._core.random import GOLDEN
from scdiffuse.autoencoder.cpu._stream import State, mixed

__all__ = ["Cells", "Drawn", "Genes", "Room", "draw_cells"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MANY = 64.0  # clumps expected above which a gene is drawn at once: never by the number drawn, which would bias it
_FEW = 5  # counts of a gene up to which several genes are drawn at once
_PARTS = tuple(1.0 / n for n in range(1, _FEW + 2))
_NEVER = 256  # counts that no gene reaches which is not drawn at once; rounding could count on for ever
_SINGLY = 10.0  # mean below which a Poisson number is counted up
_LOG2_E, _LN_2 = 1.0 / math.log(2.0), math.log(2.0)
_2, _6, _24, _120, _720, _5040, _40320 = (1.0 / math.factorial(n) for n in range(2, 9))
_ROUND = 1.5 * 2.0**52  # numbers beside it are whole
_12 = np.uint64(12)


class Cells(NamedTuple):
    """Cells to draw."""

    fractions: NDArray[np.float32]
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
    outlier_size: Floats
    """Mean counts a burst beyond the first, positive."""
    part: Floats
    """Part of a gene's counts that is of no burst; 1 without any."""


class Drawn(NamedTuple):
    """Counts of cells, row by row; room for all that can come and one more."""

    starts: Ints
    """Where each cell starts, and one end more, shape ``(B + 1,)``; the first is 0."""
    genes: NDArray[np.int32]
    """Numbers of the found genes, rising in each cell, shape ``(M,)``."""
    counts: NDArray[np.int32]
    """Their counts, shape ``(M,)``."""


class Room(NamedTuple):
    """What is known of the genes of a cell while it is drawn, each of shape ``(G,)``."""

    mean: Floats
    """Counts expected without bursts."""
    single: Floats
    """Clumps of one count expected."""
    growth: Floats
    """Counts that come for each that is there, as the counts of all genes grow."""
    bound: Floats
    """No fewer than larger clumps and bursts expected."""
    level: Floats
    """Uniform numbers that stand for the number of single counts."""
    power: Floats
    """Powers of 2."""
    factor: Floats
    """What makes them the chance of no single count."""


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
    n_cells, n_genes = cells.fractions.shape
    dense = np.zeros(n_genes, np.int64)
    each = np.empty((7, n_genes))
    room = Room(each[0], each[1], each[2], each[3], each[4], each[5], each[6])
    state = np.zeros(1, np.uint64)
    end = 0
    for cell in range(n_cells):
        share, target = cells.fractions[cell], cells.library_size[cell]
        state[0] = cells.keys[cell]
        excess = _place(dense, share, float(target), genes, room, state) - target
        if excess > 0:
            _lose(dense, excess, room.level, state)
        elif excess < 0:
            _gain(dense, -excess, room, state)
        for gene in range(n_genes):
            drawn.genes[end], drawn.counts[end] = gene, dense[gene]
            end += dense[gene] > 0  # what is not found is written over, which is quicker than to ask
        dense[:] = 0
        drawn.starts[cell + 1] = end


@compiled
def _uniform(state: State) -> float:
    """Draw the next number within 0 to 1."""
    state[0] += GOLDEN
    return _read(state[0])


@compiled
def _read(word: np.uint64) -> float:
    """Mix the word of a stream and read it as a number."""
    return (np.float64(mixed(word) >> _12) + 0.5) * 2.0**-52


@compiled
def _place(dense: Ints, share: NDArray[np.float32], total: float, genes: Genes, room: Room, state: State) -> int:
    """Draw the counts of all genes; return their sum.

    Single counts come first. Then a walk meets the points of a process that bounds the larger clumps and the bursts.
    """
    _draw_singles(dense, share, total, genes, room, state)
    held, gap = 0, -math.log(_uniform(state))
    for gene in range(share.size):
        mean = room.mean[gene]
        if mean * (1.0 + genes.rate[gene]) > _MANY:
            dense[gene] = _draw_often(gene, genes, room, state)
        else:
            if dense[gene] > _FEW:
                dense[gene] = _count_up(room.level[gene], room.single[gene])
            gap -= room.bound[gene]
            if gap <= 0.0:
                n_points = 0
                while gap <= 0.0:
                    n_points += 1
                    gap -= math.log(_uniform(state))
                dense[gene] = _draw_points(n_points, dense[gene], gene, genes, room, state)
        held += dense[gene]
    return held


@compiled
def _draw_singles(
    dense: Ints, share: NDArray[np.float32], total: float, genes: Genes, room: Room, state: State
) -> None:
    r"""Draw the clumps of one count, at the rate :math:`\mu r / (\mu + r)`; more than `_FEW` only as more.

    Larger clumps hold what is left of the mean, two counts or more each, so that half of it bounds their rate. There
    is no branch here, so that the processor takes several genes at once.
    """
    first, size, rate, part_of = state[0], genes.size, genes.rate, genes.part
    means, singles, growths, bounds, levels, powers, factors = room
    words = powers.view(np.int64)
    for gene in range(share.size):
        mean = total * share[gene] * part_of[gene]
        growth = mean / (mean + size[gene])
        single = growth * size[gene]
        means[gene], singles[gene], growths[gene] = mean, single, growth
        bounds[gene] = 0.5 * (mean - single) + rate[gene] * mean
        levels[gene] = _read(first + GOLDEN * np.uint64(gene + 1))
        exponent = -single * _LOG2_E
        powers[gene] = exponent + _ROUND
        part = (exponent - (powers[gene] - _ROUND)) * _LN_2
        series = _24 + part * (_120 + part * (_720 + part * (_5040 + part * _40320)))
        factors[gene] = 1.0 + part * (1.0 + part * (_2 + part * (_6 + part * series)))
    for gene in range(share.size):
        words[gene] = (words[gene] + 1023) << 52  # the whole part of the exponent, as a power of 2
    for gene in range(share.size):
        chance, level, mean = factors[gene] * powers[gene], levels[gene], singles[gene]
        count = 0
        for at in range(_FEW + 1):
            count += level > chance
            level -= chance
            chance *= mean * _PARTS[at]
        dense[gene] = count
    state[0] = first + GOLDEN * np.uint64(share.size)


@compiled
def _count_up(level: float, mean: float) -> int:
    """Find the Poisson number that a uniform number stands for."""
    count, chance = 0, math.exp(-mean)
    while level > chance and count < _NEVER:
        level -= chance
        count += 1
        chance *= mean / count
    return count


@compiled
def _draw_points(n_points: int, count: int, gene: int, genes: Genes, room: Room, state: State) -> int:
    """Turn points of a gene into clumps of several counts, a burst, or nothing, by the ratio of the rates."""
    mean, size, is_burst = room.mean[gene], genes.size[gene], False
    outlier_component, spread = genes.rate[gene] * mean, math.log1p(mean / size)
    for _ in range(n_points):
        level = _uniform(state) * room.bound[gene]
        if level < outlier_component:
            is_burst = True
        elif level < outlier_component + size * spread - room.single[gene]:
            count += _several(mean / (mean + size), spread, state)
    return _draw_burst(gene, genes, room, state) if is_burst else count


@compiled
def _draw_often(gene: int, genes: Genes, room: Room, state: State) -> int:
    """Draw the count of a gene of many clumps."""
    mean = room.mean[gene]
    if _uniform(state) < -math.expm1(-genes.rate[gene] * mean):
        return _draw_burst(gene, genes, room, state)
    return _negative_binomial(mean, genes.size[gene], state)


@compiled
def _draw_burst(gene: int, genes: Genes, room: Room, state: State) -> int:
    """Draw a count with at least one burst, of as many as are expected then; it grows as its burst does."""
    mean, added = room.mean[gene], 1.0 + genes.outlier_size[gene]
    outlier_component = genes.rate[gene] * mean
    number = -outlier_component / math.expm1(-outlier_component)
    total = mean + number * added - 1.0
    excess = number * added * (added * (2.0 + outlier_component - number) - 2.0) + 1.0
    room.growth[gene] = excess / (excess + total)
    return 1 + _negative_binomial(total, total * total / excess, state)


@compiled
def _lose(dense: Ints, n: int, ends: Floats, state: State) -> None:
    """Take `n` single counts away, each set of them as likely."""
    total = 0.0
    for gene in range(dense.size):
        total += dense[gene]
        ends[gene] = total
    while n > 0:
        at = _uniform(state) * total
        gene = _find(ends, at)
        # Those taken away count as the last of their gene; who meets one of them tries again.
        if at - (ends[gene - 1] if gene > 0 else 0.0) < dense[gene]:
            dense[gene] -= 1
            n -= 1


@compiled
def _gain(dense: Ints, n: int, room: Room, state: State) -> None:
    r"""Add `n` single counts where they would come if all means grew.

    A negative binomial with the counts :math:`x` grows at the rate :math:`(r + x) \mu / (\mu + r)`: by its mean where
    it is Poisson, and in clumps that are there where it comes in clumps.
    """
    whole, ends = 0.0, room.level
    for gene in range(dense.size):
        whole += room.single[gene] + room.growth[gene] * dense[gene]
        ends[gene] = whole
    for _ in range(n):
        dense[_find(ends, _uniform(state) * whole)] += 1


@compiled
def _find(ends: Floats, at: float) -> int:
    """Find the first gene that ends beyond a place, which the last one does."""
    begin, length = 0, ends.size
    while length > 1:
        half = length // 2
        begin += half if ends[begin + half - 1] <= at else 0
        length -= half
    return begin


@compiled
def _several(chance: float, spread: float, state: State) -> int:
    """Draw the size of a clump of several: Kemp 1981, https://doi.org/10.2307/2346348, where not geometrically 1."""
    while True:
        other = -math.expm1(-spread * _uniform(state))
        if _uniform(state) * chance < other:
            return 2 + int(math.log(_uniform(state)) / math.log(other))


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
