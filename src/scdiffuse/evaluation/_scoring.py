"""Scoring of one metric: value, interval, real-vs-real reference, baselines, normalised score, and flag."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from scdiffuse._core.errors import UserError
from scdiffuse._core.random import generator
from scdiffuse.evaluation._report_types import MetricRecord
from scdiffuse.evaluation.baselines import MEMORISING_BASELINE
from scdiffuse.metrics import Metric, SamplePair, Score

__all__ = [
    "N_HALF_SAMPLES",
    "VALIDITY",
    "Comparison",
    "Estimate",
    "ReferenceScores",
    "ScoredMetric",
    "measure",
    "score",
]

VALIDITY = "invalid_values"
"""The metric with a group of its own, because all other metrics assume that it passes."""
N_HALF_SAMPLES = {"cheap": 16, "moderate": 8, "expensive": 0}
"""Half samples behind an interval, by the cost of the metric, where the metric has no interval of its own."""
_INTERVAL = 1.96
_FLAG_ERRORS = 3.0  # standard errors between model and reference: one false alarm in 700 metrics
_FLAG_FRACTION = 0.05  # of the distance from the reference to the best trivial baseline: less is irrelevant
_FLAG_UNKNOWN_FRACTION = 0.15  # the same fraction where no interval is known


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """The same real cells paired with generated cells, with other real cells, and with every baseline."""

    model: SamplePair
    """Held-out real against generated."""
    reference: SamplePair
    """The real-vs-real reference: the same real cells against other real cells, as many as generated ones."""
    baselines: Mapping[str, SamplePair]
    """The same real cells against trivial baselines."""

    def limit(self, n_cells: int) -> Comparison:
        """Keep the first cells of both sides of every pair; samples are in random order."""
        if self.n_cells <= n_cells:
            return self
        rows = np.arange(n_cells)
        real = self.model.real.take(rows)

        def cut(pair: SamplePair) -> SamplePair:
            return replace(pair, real=real, generated=pair.generated.take(rows))

        return Comparison(
            model=cut(self.model),
            reference=cut(self.reference),
            baselines={name: cut(pair) for name, pair in self.baselines.items()},
        )

    def without(self, *baselines: str) -> Comparison:
        """Leave baselines out."""
        return replace(self, baselines={name: pair for name, pair in self.baselines.items() if name not in baselines})

    @property
    def n_cells(self) -> int:
        """Cells on either side."""
        return self.model.real.n_cells


@dataclass(frozen=True, kw_only=True)
class ScoredMetric:
    """One metric of one generator, with its real-vs-real reference and baselines."""

    metric: Metric
    n_cells: int
    """Cells on either side of every comparison."""
    model: Estimate
    reference: Estimate
    baselines: Mapping[str, float]
    trivial: str | None
    """The best trivial baseline; for privacy, memorised training cells."""
    normalised: float | None
    """0 at the trivial baseline, 1 at the reference; ``None`` where the metric does not separate those two."""
    flagged: bool
    """Farther from perfect than the reference, significantly and by a relevant amount."""
    seeds: tuple[float, ...] = ()
    """The value at every seed."""

    @property
    def group(self) -> str:
        """Group in the report."""
        return "validity" if self.metric.name == VALIDITY else self.metric.group

    def to_json(self) -> MetricRecord:
        """Return the numbers as plain values, ``None`` for unknown ones."""
        metric = self.metric
        return {
            "title": metric.title,
            "group": self.group,
            "better": metric.better,
            "target": _plain(metric.target),
            "value": float(self.model.value),
            "low": _plain(self.model.low),
            "high": _plain(self.model.high),
            "reference": float(self.reference.value),
            "reference_low": _plain(self.reference.low),
            "reference_high": _plain(self.reference.high),
            "baselines": {name: _plain(value) for name, value in self.baselines.items()},
            "trivial": self.trivial,
            "normalised": None if self.normalised is None else _plain(self.normalised),
            "flagged": self.flagged,
            "errors_off": _plain(_errors_off(metric, self.model, self.reference)),
            "n_cells": self.n_cells,
            "p": self.model.p,
            "doubt": self.model.doubt,
            "sizes": dict(self.model.sizes),
            "features": [[name, _plain(weight)] for name, weight in self.model.features],
            "seeds": [float(value) for value in self.seeds],
            "source": metric.source,
        }


class _ReferenceScore(NamedTuple):
    reference: Estimate
    baselines: dict[str, float]


class ReferenceScores:
    """Scores of the real-vs-real reference and the baselines, measured once for all generators.

    They stay valid as long as the real side of the comparisons stays the same.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, int], _ReferenceScore] = {}

    def look_up(
        self, metric: Metric, comparisons: Sequence[Comparison], *, label: str, intervals: bool, seed: int
    ) -> _ReferenceScore:
        """Return reference and baselines of a metric at this label and number of cells; measure them on first use."""
        key = (metric.name, label, comparisons[0].n_cells)
        if key not in self._known:
            reference = _average(
                [measure(metric, one.reference, intervals=intervals, seed=seed) for one in comparisons]
            )
            baselines = {
                name: _mean(metric, [one.baselines[name] for one in comparisons]) for name in comparisons[0].baselines
            }
            self._known[key] = _ReferenceScore(reference, baselines)
        return self._known[key]


def score(
    metric: Metric,
    comparisons: Sequence[Comparison],
    *,
    reference_scores: ReferenceScores | None = None,
    label: str = "",
    intervals: bool = True,
    seed: int = 0,
) -> ScoredMetric | str:
    """Measure a metric in every comparison (one per seed), with its reference and baselines.

    Parameters
    ----------
    metric
        Metric to measure.
    comparisons
        The comparisons, one per seed, limited to the number of cells for the metric.
    reference_scores
        References and baselines measured so far against the same real cells.
    label
        The label that the comparisons are limited to.
    intervals
        Whether to estimate standard errors where the metric has none.
    seed
        Seed of the half samples.

    Returns
    -------
    The score, or the reason why the metric cannot be scored.
    """
    try:
        models = [measure(metric, one.model, intervals=intervals, seed=seed) for one in comparisons]
        known = ReferenceScores() if reference_scores is None else reference_scores
        reference, baselines = known.look_up(metric, comparisons, label=label, intervals=intervals, seed=seed)
    except UserError as error:
        return str(error)
    model = _average(models)
    if not (math.isfinite(model.value) and math.isfinite(reference.value)):
        return "The value is not a number for these cells."
    trivial = _best_trivial(metric, baselines)
    normalised = None if trivial is None else _normalised(metric, model, reference, trivial=baselines[trivial])
    return ScoredMetric(
        metric=metric,
        n_cells=min(comparisons[0].n_cells, comparisons[0].model.generated.n_cells),
        model=model,
        reference=reference,
        baselines=baselines,
        trivial=trivial,
        normalised=normalised,
        flagged=_is_flagged(metric, model, reference, normalised=normalised),
        seeds=tuple(one.value for one in models),
    )


def measure(metric: Metric, pair: SamplePair, *, intervals: bool = True, seed: int = 0) -> Estimate:
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
    intervals
        Whether to draw half samples where the metric has no interval.
    seed
        Seed of the half samples.

    Returns
    -------
    The estimate.

    References
    ----------
    Shao & Wu 1989, https://doi.org/10.1214/aos/1176347263.
    """
    found = _compute(metric, pair)
    tested = found.p, found.doubt, found.sizes
    if found.low is not None and found.high is not None:
        error = (found.high - found.low) / (2 * _INTERVAL)
        return Estimate(found.value, found.low, found.high, error, found.features, *tested)
    error = _half_sample_error(metric, pair, seed=seed) if intervals else math.nan
    spread = _INTERVAL * error
    return Estimate(found.value, found.value - spread, found.value + spread, error, found.features, *tested)


def _compute(metric: Metric, pair: SamplePair) -> Score:
    """Compute without the warnings of small or constant samples; such values end as ``nan``."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return metric.compute(pair)


def _half_sample_error(metric: Metric, pair: SamplePair, *, seed: int) -> float:
    stream = generator(seed, "half samples")
    values: list[float] = []
    for number in range(N_HALF_SAMPLES[metric.cost]):
        real, generated = (
            np.sort(stream.permutation(cells.n_cells)[: cells.n_cells // 2]) for cells in (pair.real, pair.generated)
        )
        half = pair.subset((real, generated), name=f"half {number} of seed {seed}")
        try:
            values.append(_compute(metric, half).value)
        except UserError:
            continue
    finite = [value for value in values if math.isfinite(value)]
    return float(np.std(finite, ddof=1)) if len(finite) > 2 else math.nan


def _average(estimates: Sequence[Estimate]) -> Estimate:
    """Average over seeds; the interval keeps the wider of the mean width and the spread between seeds."""
    if len(estimates) == 1:
        return estimates[0]
    values = np.array([one.value for one in estimates])
    within = float(np.mean([one.error for one in estimates]))
    error = max(within, float(values.std(ddof=1))) if math.isfinite(within) else float(values.std(ddof=1))
    middle, first = float(values.mean()), estimates[0]
    p_values = [one.p for one in estimates if one.p is not None]
    p = min(2 * float(np.median(p_values)), 1.0) if p_values else None  # twice the median is valid whatever they share
    bounds = middle - _INTERVAL * error, middle + _INTERVAL * error
    return Estimate(middle, *bounds, error, first.features, p, first.doubt, first.sizes)


def _mean(metric: Metric, pairs: Sequence[SamplePair]) -> float:
    if any(metric.missing(pair) for pair in pairs):  # baselines of unlabelled training cells have no labels
        return math.nan
    try:
        return float(np.mean([_compute(metric, pair).value for pair in pairs]))
    except UserError:
        return math.nan


def _best_trivial(metric: Metric, baselines: Mapping[str, float]) -> str | None:
    """Name the baseline at normalised score 0: the best without memorised cells; for privacy, memorised cells."""
    known = {name: value for name, value in baselines.items() if math.isfinite(value)}
    if metric.group == "privacy":
        return MEMORISING_BASELINE if MEMORISING_BASELINE in known else None
    rivals = [name for name in known if name != MEMORISING_BASELINE]
    return min(rivals, key=lambda name: metric.loss(known[name])) if rivals else None


def _normalised(metric: Metric, model: Estimate, reference: Estimate, *, trivial: float) -> float | None:
    """Compute the normalised score, unless the trivial baseline is within the noise of the reference."""
    span = metric.loss(trivial) - metric.loss(reference.value)
    # The baseline is as uncertain as the reference, because both use the same number of cells.
    known = math.isfinite(reference.error)
    noise = _INTERVAL * math.sqrt(2) * reference.error if known else 0.1 * metric.loss(reference.value)
    if span <= max(noise, 1e-12):
        return None
    return (metric.loss(trivial) - metric.loss(model.value)) / span


def _is_flagged(metric: Metric, model: Estimate, reference: Estimate, *, normalised: float | None) -> bool:
    if model.p is not None:
        return not model.doubt and model.p < metric.alpha
    excess = metric.loss(model.value) - metric.loss(reference.value)
    if excess <= 0:
        return False
    off = _errors_off(metric, model, reference)
    least = _FLAG_UNKNOWN_FRACTION if math.isnan(off) else _FLAG_FRACTION
    if normalised is not None and 1 - normalised < least:
        return False
    if not math.isnan(off):
        return off > _FLAG_ERRORS
    return normalised is not None or excess > _FLAG_UNKNOWN_FRACTION * max(metric.loss(reference.value), 1e-12)


def _errors_off(metric: Metric, model: Estimate, reference: Estimate) -> float:
    """Count the standard errors that the model is farther from perfect than the reference; ``nan`` if unknown."""
    errors = [one.error for one in (model, reference) if math.isfinite(one.error)]
    excess = metric.loss(model.value) - metric.loss(reference.value)
    if not errors:
        return math.nan
    return excess / max(math.hypot(*errors), 1e-12)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
