"""One metric, measured: value, interval, floor, baselines, skill, and whether the gap to the floor is real."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from scdiffuse._core.errors import UserError
from scdiffuse._core.random import generator
from scdiffuse.evaluation.baselines import COPIER
from scdiffuse.metrics import Metric, Pair, Score

__all__ = ["HALVES", "VALIDITY", "Arena", "DenoisedMean", "Scored", "Standings", "measure", "score"]

VALIDITY = "invalid_values"
"""The metric that stands in a group of its own, as nothing else holds where it fails."""
HALVES = {"cheap": 16, "moderate": 8, "dear": 0}
"""Half samples behind an interval, by the cost of the metric, where the metric brings none."""
_INTERVAL = 1.96
_FLAG_ERRORS = 3.0  # standard errors between model and floor: one false alarm in 700 looks
_FLAG_PART = 0.05  # of the way from the floor to the best trivial baseline: less is no matter
_FLAG_UNKNOWN_PART = 0.15  # the same where no interval is known


class DenoisedMean(NamedTuple):
    """A value with its 95 % interval and standard error, ``nan`` where unknown."""

    value: float
    low: float = math.nan
    high: float = math.nan
    error: float = math.nan
    features: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Arena:
    """The same real cells against the generated ones, against other real cells, and against every baseline."""

    model: Pair
    """Held-out real against generated."""
    floor: Pair
    """The same real cells against other real cells, as many as were generated."""
    baselines: Mapping[str, Pair]
    """The same real cells against what needs no learning."""

    def limit(self, n_cells: int) -> Arena:
        """Keep the first cells of both sides of every pair; samples are in random order."""
        if self.n_cells <= n_cells:
            return self
        rows = np.arange(n_cells)
        real = self.model.real.take(rows)

        def cut(pair: Pair) -> Pair:
            return replace(pair, real=real, generated=pair.generated.take(rows))

        return Arena(
            model=cut(self.model),
            floor=cut(self.floor),
            baselines={name: cut(pair) for name, pair in self.baselines.items()},
        )

    def without(self, *baselines: str) -> Arena:
        """Leave baselines out."""
        return replace(self, baselines={name: pair for name, pair in self.baselines.items() if name not in baselines})

    @property
    def n_cells(self) -> int:
        """Cells on either side."""
        return self.model.real.n_cells


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One metric of one generator beside everything it has to be read with."""

    metric: Metric
    n_cells: int
    """Cells on either side of every comparison."""
    model: DenoisedMean
    floor: DenoisedMean
    baselines: Mapping[str, float]
    trivial: str | None
    """The best baseline that learns nothing; for privacy, the copier."""
    skill: float | None
    """1 at the floor, 0 at the trivial baseline; ``None`` where the metric cannot tell those two apart."""
    flagged: bool
    """Farther from perfect than the floor, by more than the noise and by enough to matter."""
    seeds: tuple[float, ...] = ()
    """The value at every seed."""

    @property
    def group(self) -> str:
        """Group in the report."""
        return "validity" if self.metric.name == VALIDITY else self.metric.group

    def to_json(self) -> dict[str, Any]:
        """Give the numbers as plain values, ``None`` for unknown ones."""
        metric = self.metric
        return {
            "title": metric.title,
            "group": self.group,
            "better": metric.better,
            "target": _plain(metric.target),
            "value": _plain(self.model.value),
            "low": _plain(self.model.low),
            "high": _plain(self.model.high),
            "floor": _plain(self.floor.value),
            "floor_low": _plain(self.floor.low),
            "floor_high": _plain(self.floor.high),
            "baselines": {name: _plain(value) for name, value in self.baselines.items()},
            "trivial": self.trivial,
            "skill": None if self.skill is None else _plain(self.skill),
            "flagged": self.flagged,
            "errors_off": _plain(_errors_off(metric, self.model, self.floor)),
            "n_cells": self.n_cells,
            "features": [[name, _plain(weight)] for name, weight in self.model.features],
            "seeds": [_plain(value) for value in self.seeds],
            "source": metric.source,
        }


class _Standing(NamedTuple):
    floor: DenoisedMean
    baselines: dict[str, float]


class Standings:
    """Where floor and baselines stand by each metric: measured when first asked for, then the same for all generators.

    They hold as long as the real side of the arenas does.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, int], _Standing] = {}

    def of(self, metric: Metric, arenas: Sequence[Arena], *, label: str, intervals: bool, seed: int) -> _Standing:
        """Recall the standing of a metric at this label and number of cells, or measure it."""
        key = (metric.name, label, arenas[0].n_cells)
        if key not in self._known:
            floor = _average([measure(metric, one.floor, intervals=intervals, seed=seed) for one in arenas])
            baselines = {name: _mean(metric, [one.baselines[name] for one in arenas]) for name in arenas[0].baselines}
            self._known[key] = _Standing(floor, baselines)
        return self._known[key]


def score(
    metric: Metric,
    arenas: Sequence[Arena],
    *,
    standings: Standings | None = None,
    label: str = "",
    intervals: bool = True,
    seed: int = 0,
) -> Scored | str:
    """Measure a metric in every arena (one a seed) and read it against floor and baselines.

    Parameters
    ----------
    metric
        What to measure.
    arenas
        The comparisons, one for every seed, already limited to the cells that the metric is given.
    standings
        Where floors and baselines stood against the same real cells.
    label
        The label that the arenas are limited to.
    intervals
        Whether to estimate standard errors where the metric gives none.
    seed
        Seed of the half samples.

    Returns
    -------
    The score, or the reason why there is none.
    """
    try:
        models = [measure(metric, one.model, intervals=intervals, seed=seed) for one in arenas]
        known = Standings() if standings is None else standings
        floor, baselines = known.of(metric, arenas, label=label, intervals=intervals, seed=seed)
    except UserError as error:
        return str(error)
    model = _average(models)
    if not (math.isfinite(model.value) and math.isfinite(floor.value)):
        return "The value is not a number for these cells."
    trivial = _best_trivial(metric, baselines)
    skill = None if trivial is None else _skill(metric, model, floor, trivial=baselines[trivial])
    return Scored(
        metric=metric,
        n_cells=min(arenas[0].n_cells, arenas[0].model.generated.n_cells),
        model=model,
        floor=floor,
        baselines=baselines,
        trivial=trivial,
        skill=skill,
        flagged=_is_flagged(metric, model, floor, skill=skill),
        seeds=tuple(one.value for one in models),
    )


def measure(metric: Metric, pair: Pair, *, intervals: bool = True, seed: int = 0) -> DenoisedMean:
    """Measure one metric on one pair, with an interval from the metric itself or from half samples.

    The half samples are drawn without replacement: the standard deviation over them estimates the standard error at
    full size (the delete-half jackknife), and no cell meets a copy of itself, as it would in a bootstrap, where that
    biases distances. All metrics are given the same halves, so that they share what they compute on them.

    Parameters
    ----------
    metric
        What to measure.
    pair
        What to measure it on.
    intervals
        Whether to draw half samples where the metric gives no interval.
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
    if found.low is not None and found.high is not None:
        error = (found.high - found.low) / (2 * _INTERVAL)
        return DenoisedMean(found.value, found.low, found.high, error, found.features)
    error = _half_sample_error(metric, pair, seed=seed) if intervals else math.nan
    spread = _INTERVAL * error
    return DenoisedMean(found.value, found.value - spread, found.value + spread, error, found.features)


def _compute(metric: Metric, pair: Pair) -> Score:
    """Compute with the warnings of small or constant samples kept from the user; they end as ``nan``."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return metric.compute(pair)


def _half_sample_error(metric: Metric, pair: Pair, *, seed: int) -> float:
    stream = generator(seed, "half samples")
    values: list[float] = []
    for number in range(HALVES[metric.cost]):
        real, generated = (
            np.sort(stream.permutation(view.n_cells)[: view.n_cells // 2]) for view in (pair.real, pair.generated)
        )
        half = pair.half((real, generated), name=f"half {number} of seed {seed}")
        try:
            values.append(_compute(metric, half).value)
        except UserError:
            continue
    finite = [value for value in values if math.isfinite(value)]
    return float(np.std(finite, ddof=1)) if len(finite) > 2 else math.nan


def _average(estimates: Sequence[DenoisedMean]) -> DenoisedMean:
    """Average over seeds; the interval keeps the wider of the mean width and the spread between seeds."""
    if len(estimates) == 1:
        return estimates[0]
    values = np.array([one.value for one in estimates])
    within = float(np.mean([one.error for one in estimates]))
    error = max(within, float(values.std(ddof=1))) if math.isfinite(within) else float(values.std(ddof=1))
    middle = float(values.mean())
    return DenoisedMean(middle, middle - _INTERVAL * error, middle + _INTERVAL * error, error, estimates[0].features)


def _mean(metric: Metric, pairs: Sequence[Pair]) -> float:
    if any(metric.missing(pair) for pair in pairs):  # baselines of training cells without labels have none
        return math.nan
    try:
        return float(np.mean([_compute(metric, pair).value for pair in pairs]))
    except UserError:
        return math.nan


def _best_trivial(metric: Metric, baselines: Mapping[str, float]) -> str | None:
    """Name the baseline to beat: the best that copies nothing, or the copier where copying is the question."""
    known = {name: value for name, value in baselines.items() if math.isfinite(value)}
    if metric.group == "privacy":
        return COPIER if COPIER in known else None
    rivals = [name for name in known if name != COPIER]
    return min(rivals, key=lambda name: metric.loss(known[name])) if rivals else None


def _skill(metric: Metric, model: DenoisedMean, floor: DenoisedMean, *, trivial: float) -> float | None:
    """Skill, unless the trivial baseline stands within the noise of the floor."""
    room = metric.loss(trivial) - metric.loss(floor.value)
    # The baseline is as uncertain as the floor, being measured on as many cells.
    noise = _INTERVAL * math.sqrt(2) * floor.error if math.isfinite(floor.error) else 0.1 * metric.loss(floor.value)
    if room <= max(noise, 1e-12):
        return None
    return (metric.loss(trivial) - metric.loss(model.value)) / room


def _is_flagged(metric: Metric, model: DenoisedMean, floor: DenoisedMean, *, skill: float | None) -> bool:
    excess = metric.loss(model.value) - metric.loss(floor.value)
    if excess <= 0:
        return False
    off = _errors_off(metric, model, floor)
    least = _FLAG_UNKNOWN_PART if math.isnan(off) else _FLAG_PART
    if skill is not None and 1 - skill < least:
        return False
    if not math.isnan(off):
        return off > _FLAG_ERRORS
    return skill is not None or excess > _FLAG_UNKNOWN_PART * max(metric.loss(floor.value), 1e-12)


def _errors_off(metric: Metric, model: DenoisedMean, floor: DenoisedMean) -> float:
    """How many standard errors the model lies farther from perfect than the floor; ``nan`` where none is known."""
    errors = [one.error for one in (model, floor) if math.isfinite(one.error)]
    excess = metric.loss(model.value) - metric.loss(floor.value)
    if not errors:
        return math.nan
    return excess / max(math.hypot(*errors), 1e-12)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
