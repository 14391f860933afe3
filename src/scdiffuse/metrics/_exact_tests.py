"""Exact tests and intervals for counts, tails, areas under the curve and permuted donors; each holds at any size."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.random import generator
from scdiffuse.metrics._feature_matrices import Array

__all__ = [
    "TailExcess",
    "auc_p_value",
    "clopper_pearson",
    "detectable_auc",
    "donor_auc_interval",
    "excess_p_value",
    "least_detectable_excess",
    "permutation_test",
    "smallest_permutation_p",
    "tail_excess",
    "tail_p_value",
]

_MOST_ENUMERATED = 20_000
_N_PERMUTATIONS = 9_999
_SEARCH_STEPS = 60
_LARGEST_TAIL = 0.05


class TailExcess(NamedTuple):
    """The tail in which a sample exceeds a null sample most significantly."""

    n_beyond: int
    """Values below the threshold."""
    n_null_beyond: int
    """Values of the null sample below it."""
    p: float
    """Probability of such an excess between two samples of one distribution, corrected for the choice of the tail."""


def clopper_pearson(hits: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Compute the exact confidence interval of a fraction, ``hits`` of ``n`` (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    return low, float(beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0


def excess_p_value(sample: tuple[int, int], null: tuple[int, int]) -> float:
    """Test by Fisher's exact test, one-sided, whether the hits of ``(hits, n)`` exceed those of the null sample."""
    from scipy.stats import hypergeom

    (hits, n), (null_hits, null_n) = sample, null
    return float(hypergeom.sf(hits - 1, n + null_n, hits + null_hits, n))


def tail_p_value(sample: tuple[int, int], null: tuple[int, int]) -> float:
    """Compute how likely ``k`` of ``n`` values, ``(k, n)``, lie beyond the ``r``-th of ``m`` null values, ``(r, m)``.

    Under one distribution, the outermost ``k + r - 1`` values are then a draw without replacement with fewer than ``r``
    null values.
    """
    from scipy.stats import hypergeom

    (n_beyond, n), (rank, null_n) = sample, null
    if not n_beyond:
        return 1.0
    return float(hypergeom.cdf(rank - 1, n + null_n, null_n, n_beyond + rank - 1))


def tail_excess(values: Array, null: Array) -> TailExcess:
    """Test whether too many values are smaller than the smallest of the null sample, at any of several thresholds.

    Parameters
    ----------
    values, null
        Two samples, shapes ``(N,)`` and ``(M,)``.

    Returns
    -------
    The most significant excess below the 1st, 2nd, 4th, 8th, ... smallest null value, up to the lowest twentieth; its
    p is corrected for their number (Bonferroni).
    """
    values, null = np.sort(values), np.sort(null)
    ranks = _tail_ranks(len(null))
    best = TailExcess(0, 0, 1.0)
    for rank in ranks:
        n_beyond = int(np.searchsorted(values, null[rank - 1], side="left"))
        p = min(tail_p_value((n_beyond, len(values)), (rank, len(null))) * len(ranks), 1.0)
        if p < best.p:
            best = TailExcess(n_beyond, rank - 1, p)
    return best


def least_detectable_excess(n: int, null_n: int, *, alpha: float) -> float:
    """Compute the smallest fraction of ``n`` values below all ``null_n`` null values that `tail_excess` would find."""
    most = alpha / len(_tail_ranks(null_n))
    log_step = np.log(n / (n + null_n))  # about that of one more value; the exact product is smaller still
    return float(min(np.ceil(np.log(most) / log_step), n + 1) / n)


def _tail_ranks(null_n: int) -> list[int]:
    largest = max(int(_LARGEST_TAIL * null_n), 1)
    return [1 << power for power in range(largest.bit_length())]


def auc_p_value(auc: float, m: int, n: int) -> float:
    """Test by the rank sum, one-sided, whether an area under the curve of ``m`` against ``n`` is above .5."""
    from scipy.stats import norm

    return float(norm.sf((auc - 0.5) / _null_error(m, n)))


def detectable_auc(m: int, n: int, *, alpha: float, power: float = 0.9) -> float:
    """Compute the area under the curve that the rank sum test finds with the given power."""
    from scipy.stats import norm

    return 0.5 + float(norm.isf(alpha) + norm.ppf(power)) * _null_error(m, n)


def _null_error(m: int, n: int) -> float:
    return float(np.sqrt((m + n + 1) / (12 * m * n)))


def donor_auc_interval(auc: float, m: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Compute the score interval of an area under the curve, which has a width even at 0 and 1.

    References
    ----------
    Newcombe 2006, https://doi.org/10.1002/sim.2324, method 5.
    """
    from scipy.stats import norm

    z = float(norm.ppf(0.5 + level / 2))
    extra = (m + n) / 2 - 1

    def gap(area: float) -> float:
        spread = 1 + extra * (1 - area) / (2 - area) + extra * area / (1 + area)
        return abs(area - auc) - z * float(np.sqrt(area * (1 - area) * spread / (m * n)))

    return _root(gap, auc, 0.0), _root(gap, auc, 1.0)


def _root(gap: Callable[[float], float], inside: float, outside: float) -> float:
    """Bisect for the end of the interval between a point inside and one outside."""
    for _ in range(_SEARCH_STEPS):
        middle = (inside + outside) / 2
        if gap(middle) <= 0:
            inside = middle
        else:
            outside = middle
    return outside


def smallest_permutation_p(m: int, n: int) -> float:
    """Return the smallest p-value that a permutation of ``m`` against ``n`` can give."""
    return 1 / comb(m + n, m)


def permutation_test(wins: Array, is_member: NDArray[np.bool_], *, seed: int) -> tuple[float, float]:
    """Test whether members outrank others, over all ways to choose as many members.

    Parameters
    ----------
    wins
        How often row ``i`` outranks column ``j``, 0..1, shape ``(D, D)``.
    is_member
        The truth, shape ``(D,)``.
    seed
        Draws 9,999 ways where there are more than 20,000.

    Returns
    -------
    The mean of ``wins`` of members over others, which is the area under the curve, and its one-sided p-value.
    """
    n_donors, n_members = len(is_member), int(is_member.sum())
    pairs = n_members * (n_donors - n_members)

    def area(chosen: Array) -> Array:
        return np.asarray(((chosen @ wins) * (1 - chosen)).sum(axis=1) / pairs)

    observed = float(area(is_member[None].astype(float))[0])
    if comb(n_donors, n_members) <= _MOST_ENUMERATED:
        chosen = np.zeros((comb(n_donors, n_members), n_donors))
        for row, members in enumerate(combinations(range(n_donors), n_members)):
            chosen[row, list(members)] = 1
        return observed, float((area(chosen) >= observed - 1e-9).mean())
    stream = generator(seed, "metrics", "permuted donors")
    order = np.argsort(stream.random((_N_PERMUTATIONS, n_donors)), axis=1)
    as_high = (area((order < n_members).astype(float)) >= observed - 1e-9).sum()
    return observed, float((1 + as_high) / (1 + _N_PERMUTATIONS))
