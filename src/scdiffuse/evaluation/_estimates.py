"""Estimates of one metric: the value of a draw of cells, its standard error, and the average over draws."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scdiffuse._core.errors import UserError
from scdiffuse._core.random import generator
from scdiffuse.metrics import Metric, SamplePair, Score

__all__ = ["INTERVAL", "N_HALF_SAMPLES", "Estimate", "average", "compute_quietly", "half_samples", "measure"]

N_HALF_SAMPLES = {"cheap": 16, "moderate": 8, "expensive": 0}
"""Half samples behind an interval, by the cost of the metric, where the metric has no interval of its own."""
INTERVAL = 1.96
"""Standard errors from a value to the end of its 95 % interval."""
_LEAST_HALF_SAMPLES = 4


class Estimate(NamedTuple):
    """A value with its 95 % interval and standard error, ``nan`` where unknown."""

    value: float
    low: float = math.nan
    high: float = math.nan
    error: float = math.nan
    features: tuple[tuple[str, float], ...] = ()
    p: float | None = None
    """Of the metric's own test, where it has one."""
    doubt: str = ""
    """Why the metric cannot tell."""
    sizes: tuple[tuple[str, int], ...] = ()
    """What the number was counted on."""


def half_samples(metric: Metric, *, n_seeds: int) -> int:
    """Divide the half samples of a metric among the seeds, so that more seeds cost no more half samples."""
    n = N_HALF_SAMPLES[metric.cost]
    return n and max(math.ceil(n / n_seeds), _LEAST_HALF_SAMPLES)


def measure(metric: Metric, pair: SamplePair, *, n_halves: int | None = None, seed: int = 0) -> Estimate:
    """Measure one metric on one pair, with an interval from the metric itself or from half samples.

    The half samples are drawn without replacement: the standard deviation over them estimates the standard error at
    full size (the delete-half jackknife), and no cell is compared with itself, which biases distances
    in a bootstrap. All metrics use the same halves and share the computations on them.

    Parameters
    ----------
    metric
        Metric to measure.
    pair
        Samples to compare.
    n_halves
        Half samples to draw where the metric has no interval; as many as its cost allows when not given.
    seed
        Seed of the half samples.

    Returns
    -------
    The estimate.

    References
    ----------
    Shao & Wu 1989, https://doi.org/10.1214/aos/1176347263.
    """
    found = compute_quietly(metric, pair)
    tested = found.p, found.doubt, found.sizes
    if found.low is not None and found.high is not None:
        error = (found.high - found.low) / (2 * INTERVAL)
        return Estimate(found.value, found.low, found.high, error, found.features, *tested)
    n = N_HALF_SAMPLES[metric.cost] if n_halves is None else n_halves
    error = _half_sample_error(metric, pair, n=n, seed=seed)
    spread = INTERVAL * error
    return Estimate(found.value, found.value - spread, found.value + spread, error, found.features, *tested)


def compute_quietly(metric: Metric, pair: SamplePair) -> Score:
    """Compute without the warnings of small or constant samples; such values end as ``nan``."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return metric.compute(pair)


def average(estimates: Sequence[Estimate], *, drawn: float = 1.0) -> Estimate:
    r"""Average over draws, with a standard error that knows how much of the cells each draw takes.

    With :math:`\sigma` the standard error of one draw, :math:`s` the standard deviation between :math:`K` draws and
    :math:`f` the fraction of the cells at hand that a draw takes, the squared standard error of the mean is

    .. math:: f \sigma^2 + \max(s^2, (1 - f) \sigma^2) / K.

    The first term is what all draws share, because they come from the same cells. The second is what averages out:
    other cells, other folds, another classifier. Where single draws have no standard error, :math:`\sigma^2` is
    :math:`s^2 / (1 - f)`, and unknown where all draws take all cells.

    Parameters
    ----------
    estimates
        One a draw.
    drawn
        Fraction of the cells at hand that a draw takes, mean of both sides.

    Returns
    -------
    The mean. A metric's own test has twice the median p, which is valid whatever the draws share, and a doubt where
    half of the draws have one.
    """
    if len(estimates) == 1:
        return estimates[0]
    values = np.array([one.value for one in estimates])
    middle, spread, first = float(values.mean()), float(values.std(ddof=1)), estimates[0]
    within = float(np.mean([one.error**2 for one in estimates]))
    if not math.isfinite(within) and drawn < 1:
        within = spread**2 / (1 - drawn)
    error = math.sqrt(drawn * within + max(spread**2, (1 - drawn) * within) / len(values))
    p_values = [one.p for one in estimates if one.p is not None]
    p = min(2 * float(np.median(p_values)), 1.0) if p_values else None
    bounds = middle - INTERVAL * error, middle + INTERVAL * error
    doubts = [one.doubt for one in estimates if one.doubt]
    doubt = doubts[0] if 2 * len(doubts) >= len(estimates) else ""
    return Estimate(middle, *bounds, error, first.features, p, doubt, first.sizes)


def _half_sample_error(metric: Metric, pair: SamplePair, *, n: int, seed: int) -> float:
    """Estimate the standard error; unknown where a half has no value, as it lacks the cells of what is measured."""
    stream = generator(seed, "half samples")
    values: list[float] = []
    for number in range(n):
        real, generated = (
            np.sort(stream.permutation(cells.n_cells)[: cells.n_cells // 2]) for cells in (pair.real, pair.generated)
        )
        half = pair.subset((real, generated), name=f"half {number} of seed {seed}")
        try:
            values.append(compute_quietly(metric, half).value)
        except UserError:
            return math.nan
    return float(np.std(values, ddof=1)) if n else math.nan
