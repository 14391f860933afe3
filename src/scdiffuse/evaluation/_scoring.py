"""Scoring of one metric: value, interval, real-vs-real reference, baselines, normalised score, and flag."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from scdiffuse._core.errors import UserError
from scdiffuse.evaluation._detection import FLAG_ERRORS, UNKNOWN, Detection, detect
from scdiffuse.evaluation._estimates import (
    INTERVAL,
    Estimate,
    average,
    compute_quietly,
    half_samples,
    measure,
)
from scdiffuse.evaluation._report_types import MetricRecord
from scdiffuse.evaluation.baselines import MEMORISING_BASELINE
from scdiffuse.metrics import Metric, SamplePair

__all__ = ["VALIDITY", "Comparison", "Estimate", "ReferenceScores", "ScoredMetric", "measure", "score"]

VALIDITY = "invalid_values"
"""The metric with a group of its own, because all other metrics assume that it passes."""
_FLAG_FRACTION = 0.05  # of the distance from the reference to the best trivial baseline: less is irrelevant


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """The same real cells paired with generated cells, with other real cells, and with every baseline."""

    model: SamplePair
    """Held-out real against generated."""
    reference: SamplePair
    """The real-vs-real reference: the same real cells against other real cells, as many as generated ones."""
    baselines: Mapping[str, SamplePair]
    """The same real cells against trivial baselines."""
    bootstrap: SamplePair | None = None
    """Cells of the fitted model against cells of a model that was refitted to its cells."""
    pools: Mapping[str, int] = field(default_factory=dict)
    """Cells at hand that each sample was drawn from, by role."""

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
            bootstrap=None if self.bootstrap is None else _first_cells(self.bootstrap, n_cells),
            pools=self.pools,
        )

    def drawn(self, *roles: str) -> float:
        """Give the fraction of the cells at hand that this draw takes, mean of the roles."""
        return float(np.mean([min(self.n_cells / self.pools.get(role, self.n_cells), 1.0) for role in roles]))

    def without(self, *baselines: str) -> Comparison:
        """Leave baselines out."""
        return replace(self, baselines={name: pair for name, pair in self.baselines.items() if name not in baselines})

    @property
    def n_cells(self) -> int:
        """Cells on either side."""
        return self.model.real.n_cells


def _first_cells(pair: SamplePair, n_cells: int) -> SamplePair:
    rows = np.arange(n_cells)
    return replace(pair, real=pair.real.take(rows), generated=pair.generated.take(rows))


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
    detection: Detection = UNKNOWN
    """What the comparison would have told."""
    bootstrap: Estimate | None = None
    """What finite training costs by itself, where a parametric bootstrap was given."""
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
            "doubt": "" if self.flagged else self.detection.doubt or self.model.doubt,
            "detectable": None if self.detection.value is None else _plain(self.detection.value),
            "shortfall": float(self.detection.shortfall),
            "bootstrap": None if self.bootstrap is None else _plain(self.bootstrap.value),
            "bootstrap_low": None if self.bootstrap is None else _plain(self.bootstrap.low),
            "bootstrap_high": None if self.bootstrap is None else _plain(self.bootstrap.high),
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
        """Return reference and baselines of a metric at this label and number of cells; measure them on first use.

        Baselines are measured in the first draw alone, because no verdict depends on their last digit.
        """
        key = (metric.name, label, comparisons[0].n_cells)
        if key not in self._known:
            reference = _average(
                metric,
                [one.reference for one in comparisons],
                intervals=intervals,
                seed=seed,
                drawn=comparisons[0].drawn("real", "reference"),
            )
            baselines = {name: _value(metric, pair) for name, pair in comparisons[0].baselines.items()}
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
        first = comparisons[0]
        own = [one.model for one in comparisons]
        n_halves = half_samples(metric, n_seeds=len(own)) if intervals else 0
        models = [measure(metric, pair, n_halves=n_halves, seed=seed) for pair in own]
        known = ReferenceScores() if reference_scores is None else reference_scores
        reference, baselines = known.look_up(metric, comparisons, label=label, intervals=intervals, seed=seed)
        bootstrap = _bootstrap(metric, comparisons)
    except UserError as error:
        return str(error)
    model = average(models, drawn=first.drawn("real", "generated"))
    if not (math.isfinite(model.value) and math.isfinite(reference.value)):
        return "The value is not a number for these cells."
    trivial = _best_trivial(metric, baselines)
    normalised = None if trivial is None else _normalised(metric, model, reference, trivial=baselines[trivial])
    n_cells = min(first.n_cells, first.model.generated.n_cells)
    worse = None if normalised is None or trivial is None else baselines[trivial]
    return ScoredMetric(
        metric=metric,
        n_cells=n_cells,
        model=model,
        reference=reference,
        baselines=baselines,
        trivial=trivial,
        normalised=normalised,
        flagged=_is_flagged(metric, model, reference, normalised=normalised),
        detection=detect(metric, model, reference, trivial=worse, n_cells=n_cells),
        bootstrap=bootstrap,
        seeds=tuple(one.value for one in models),
    )


def _average(metric: Metric, pairs: Sequence[SamplePair], *, intervals: bool, seed: int, drawn: float) -> Estimate:
    """Measure a metric in every draw and average."""
    n_halves = half_samples(metric, n_seeds=len(pairs)) if intervals else 0
    return average([measure(metric, pair, n_halves=n_halves, seed=seed) for pair in pairs], drawn=drawn)


def _bootstrap(metric: Metric, comparisons: Sequence[Comparison]) -> Estimate | None:
    """Measure what finite training costs by itself; classifiers alone see it."""
    pairs = [one.bootstrap for one in comparisons if one.bootstrap is not None]
    if metric.group != "two_sample" or not pairs:
        return None
    return average([measure(metric, pair) for pair in pairs], drawn=comparisons[0].drawn("truth", "refitted"))


def _value(metric: Metric, pair: SamplePair) -> float:
    if metric.missing(pair):  # baselines of unlabelled training cells have no labels
        return math.nan
    try:
        return compute_quietly(metric, pair).value
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
    noise = INTERVAL * math.sqrt(2) * reference.error if known else 0.1 * metric.loss(reference.value)
    if span <= max(noise, 1e-12):
        return None
    return (metric.loss(trivial) - metric.loss(model.value)) / span


def _is_flagged(metric: Metric, model: Estimate, reference: Estimate, *, normalised: float | None) -> bool:
    if model.p is not None:
        return not model.doubt and model.p < metric.alpha
    excess = metric.loss(model.value) - metric.loss(reference.value)
    if excess <= 0:
        return False
    if normalised is not None and 1 - normalised < _FLAG_FRACTION:
        return False
    return _errors_off(metric, model, reference) > FLAG_ERRORS  # unknown is not


def _errors_off(metric: Metric, model: Estimate, reference: Estimate) -> float:
    """Count the standard errors that the model is farther from perfect than the reference; ``nan`` if unknown."""
    errors = [one.error for one in (model, reference) if math.isfinite(one.error)]
    excess = metric.loss(model.value) - metric.loss(reference.value)
    if not errors:
        return math.nan
    return excess / max(math.hypot(*errors), 1e-12)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
