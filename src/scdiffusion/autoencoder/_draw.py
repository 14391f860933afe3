"""Counts drawn at a cost of the number of counts, not of the number of genes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

__all__ = ["BurstRates", "draw_counts"]

Floats = NDArray[np.float64]
_RARE = 1e-4  # share of a library below which a gene's bursts are too rare to coincide
_NEWTON_STEPS = 32  # at most: 3 or 4 do for most cells
_CLOSE = 1e-6  # relative change of the scale below which it stands
_CLUMPS_PER_GENE = 4  # beyond this, gene by gene is cheaper than clump by clump


class BurstRates(NamedTuple):
    """How often genes burst, and how far."""

    rate: Floats
    """Bursts a count, shape ``(G,)``."""
    size: Floats
    """Mean counts a burst, shape ``(G,)``."""


def draw_counts(
    shares: NDArray[np.float32],
    library_size: NDArray[np.int64],
    *,
    size: Floats,
    bursts: BurstRates | None,
    draws: Iterator[np.random.Generator],
) -> sp.csr_matrix:
    r"""Draw the counts of cells from a negative binomial, with bursts or without, then bring them to their total.

    A negative binomial is a Poisson number of clumps, :math:`r \log(1 + \mu / r)` on average, each of a logarithmic
    number of counts; all clumps of a cell are placed at once.

    Parameters
    ----------
    shares
        Share of each gene, shape ``(B, G)``, rows summing to 1.
    library_size
        Counts a cell shall have, shape ``(B,)``.
    size
        Inverse dispersion, shape ``(G,)``.
    bursts
        Bursts of genes; `None` for none.
    draws
        The random stream of each cell in turn.

    Returns
    -------
    Counts, shape ``(B, G)``, ``int32``; row sums equal `library_size`.

    References
    ----------
    Quenouille 1949, https://doi.org/10.2307/3001556 (the negative binomial as a Poisson sum of logarithmic clumps).
    """
    means = _means(shares.astype(np.float64), library_size, bursts)
    clump_ends = np.cumsum(size * np.log1p(means / size), axis=1)
    burst_ends = np.cumsum(bursts.rate * means, axis=1) if bursts is not None else None
    genes, values, starts = [], [], [0]
    for at, rng in zip(range(len(means)), draws, strict=True):
        dense = _draw_cell(means[at], size, clump_ends[at], rng=rng)
        if bursts is not None and burst_ends is not None:
            _add_bursts(dense, means[at], bursts, burst_ends[at], rng=rng)
        found, counts = _settle(dense, int(library_size[at]), means[at], rng=rng)
        genes.append(found)
        values.append(counts)
        starts.append(starts[-1] + found.size)
    indices = np.concatenate(genes) if genes else np.empty(0, np.int32)
    data = np.concatenate(values) if values else np.empty(0, np.int32)
    shape = (len(genes), shares.shape[1])
    return sp.csr_matrix((data.astype(np.int32), indices.astype(np.int32), np.asarray(starts)), shape=shape)


def _means(shares: Floats, library_size: NDArray[np.int64], bursts: BurstRates | None) -> Floats:
    """Scale shares so that counts and bursts are expected to fill the library, by Newton's rule.

    The expected total is concave in the scale: from below a step never passes the solution, from above it may pass zero.
    """
    totals = shares.sum(axis=1)
    scale = library_size / totals
    if bursts is None:
        return np.asarray(shares * scale[:, None])
    of_bursts = shares * (bursts.rate * (1 + bursts.size))
    at = np.flatnonzero(of_bursts.max(axis=0, initial=0.0) > _RARE)
    rate, added = bursts.rate[at], 1 + bursts.size[at]
    pace = shares[:, at] * rate
    linear = totals + of_bursts.sum(axis=1) - pace @ added
    lowest = library_size / (linear + pace @ added)
    for _ in range(_NEWTON_STEPS):
        none = np.exp(-pace * scale[:, None])
        missing = library_size - linear * scale - (1 - none) @ added
        before, scale = scale, np.maximum(scale + missing / (linear + (pace * none) @ added), lowest)
        if np.all(np.abs(scale - before) <= _CLOSE * scale):
            break
    return np.asarray(shares * scale[:, None])


def _draw_cell(mean: Floats, size: Floats, ends: Floats, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the counts of one cell, shape ``(G,)``; `ends` adds up the clumps that its genes expect."""
    if ends[-1] > _CLUMPS_PER_GENE * mean.size:  # never by the number drawn: that would bias what is left
        return rng.poisson(rng.gamma(size, mean / size))
    clumps = rng.poisson(ends[-1])
    homes = ends.searchsorted(_sorted_uniforms(clumps, rng) * ends[-1], side="right")
    homes = np.minimum(homes, mean.size - 1)
    chance = mean[homes] / (mean[homes] + size[homes])
    return np.bincount(homes, weights=rng.logseries(chance), minlength=mean.size).astype(np.int64)


def _add_bursts(  # noqa: PLR0917 - the four vectors of one cell
    dense: NDArray[np.int64], mean: Floats, bursts: BurstRates, ends: Floats, *, rng: np.random.Generator
) -> None:
    """Put bursts in the place of the counts of the genes that burst; `ends` adds up the bursts that genes expect."""
    n = rng.poisson(ends[-1])
    if n:
        at = np.minimum(ends.searchsorted(rng.random(n) * ends[-1], side="right"), mean.size - 1)
        at = np.array(sorted(set(at.tolist())))
        total = mean[at] + bursts.size[at]
        size = (total / bursts.size[at]) ** 2
        dense[at] = 1 + rng.negative_binomial(size, size / (size + total))


def _sorted_uniforms(n: int, rng: np.random.Generator) -> Floats:
    """Draw uniform numbers in order, which searches through a table find quickly."""
    gaps = np.cumsum(rng.standard_exponential(n + 1))
    uniforms: Floats = gaps[:-1] / gaps[-1]
    return uniforms


def _settle(
    dense: NDArray[np.int64], total: int, mean: Floats, *, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Lose or gain single counts at random until the cell has its library size; its genes and their counts."""
    genes = np.flatnonzero(dense)
    counts = dense[genes]
    excess = int(counts.sum()) - total
    if excess > 0:
        counts = counts - rng.multivariate_hypergeometric(counts, excess, method="marginals")
    elif excess < 0:
        ends = np.cumsum(mean)
        homes = ends.searchsorted(rng.random(-excess) * ends[-1], side="right")
        dense = dense + np.bincount(np.minimum(homes, mean.size - 1), minlength=mean.size)
        genes = np.flatnonzero(dense)
        counts = dense[genes]
    kept = counts > 0
    return genes[kept], counts[kept]
