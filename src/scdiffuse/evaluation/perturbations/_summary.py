"""From values over draws to intervals, normalised scores and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, TypedDict

import numpy as np

from scdiffuse.evaluation.perturbations._measures import MEASURES, Measure
from scdiffuse.evaluation.perturbations._rows import BASELINES, PREDICTION, REAL_HALF, TITLES
from scdiffuse.metrics._feature_matrices import Array

__all__ = ["LEVEL_WORDS", "Level", "MeasureRecord", "RowRecord", "Values", "combine", "summarise"]

Values: TypeAlias = Mapping[tuple[str, str], Array]
"""By row and measure, a value a draw."""
Level: TypeAlias = Literal["ahead", "not_ahead", "too_few", "unscored"]
LEVEL_WORDS: dict[Level, str] = {
    "ahead": "ahead of every baseline",
    "not_ahead": "not ahead",
    "too_few": "too few cells to tell",
    "unscored": "not scored",
}
_WIDEST = 0.25  # half width of a normalised score that still tells; the part of the way that `evaluate` asks for
_FEWEST_DRAWS = 2


class RowRecord(TypedDict):
    """One measure of one row."""

    value: float
    low: float
    high: float


class MeasureRecord(TypedDict):
    """One measure of a prediction, beside its baselines and the ceiling; unknown numbers are ``None``."""

    title: str
    better: Literal["lower", "higher"]
    rows: dict[str, RowRecord | None]
    """Every row, the prediction first."""
    best: str | None
    """The best baseline, at normalised score 0."""
    normalised: float | None
    """Normalised score: 0 at the best baseline, 1 at another half of the real cells."""
    normalised_low: float | None
    normalised_high: float | None
    level: Level
    not_ahead_of: list[str]
    """Baselines that the prediction is not better than, beyond the spread over draws; the best one first."""


def summarise(values: Values) -> dict[str, MeasureRecord]:
    """Sum up values over draws.

    Intervals are mean and spread over draws of half of the real cells: half samples drawn without replacement spread
    as whole samples do, so that the interval is the one of all real cells, and more draws make it no narrower.

    Parameters
    ----------
    values
        By row and measure, a value a draw.

    Returns
    -------
    A record for each measure.
    """
    return {measure.name: _summarise(measure, values) for measure in MEASURES}


def combine(conditions: Sequence[Values]) -> dict[tuple[str, str], Array]:
    """Average values over conditions, draw by draw.

    A measure takes the conditions in which it is known in every draw, for the prediction and for real cells; a row that
    is not known in all of these is left blank.
    """
    found = {}
    names = dict.fromkeys(key for one in conditions for key in one)
    for row, measure in names:
        used = [
            one for one in conditions if all(np.isfinite(one[name, measure]).all() for name in (PREDICTION, REAL_HALF))
        ]
        columns = [one[row, measure] for one in used]
        found[row, measure] = np.mean(columns, axis=0) if columns else np.full(len(conditions[0][row, measure]), np.nan)
    return found


def _summarise(measure: Measure, values: Values) -> MeasureRecord:
    rows = {name: values[name, measure.name] for name in TITLES if (name, measure.name) in values}
    known = np.isfinite(rows[PREDICTION]) & np.isfinite(rows[REAL_HALF])
    rows = {name: held[known] for name, held in rows.items()}
    records = {name: _interval(held) for name, held in rows.items()}
    baselines = {name: held for name, held in rows.items() if name in BASELINES and records[name] is not None}
    blank: MeasureRecord = {
        "title": measure.title,
        "better": measure.better,
        "rows": records,
        "best": None,
        "normalised": None,
        "normalised_low": None,
        "normalised_high": None,
        "level": "unscored",
        "not_ahead_of": [],
    }
    if known.sum() < _FEWEST_DRAWS or not baselines:
        return blank
    best = max(baselines, key=lambda name: measure.sign * float(np.mean(baselines[name])))
    gains = {name: _interval(measure.sign * (rows[PREDICTION] - held)) for name, held in baselines.items()}
    ceiling = _interval(measure.sign * (rows[REAL_HALF] - baselines[best]))
    gain = gains[best]
    assert gain is not None
    assert ceiling is not None
    level = _level(gain, ceiling)
    left = {name: one["value"] for name, one in gains.items() if one is not None and one["low"] <= 0}
    if level == "ahead" and left:
        level = "too_few"  # ahead of the best baseline, and perhaps not of one that spreads more
    behind = sorted(left, key=lambda name: left[name])
    found: MeasureRecord = {**blank, "best": best, "level": level, "not_ahead_of": behind}
    if ceiling["low"] > 0:
        found |= {
            "normalised": gain["value"] / ceiling["value"],
            "normalised_low": gain["low"] / ceiling["value"],
            "normalised_high": gain["high"] / ceiling["value"],
        }
    return found


def _level(gain: RowRecord, ceiling: RowRecord) -> Level:
    """Judge a gain over the best baseline by what real cells gain over it."""
    if gain["low"] > 0:
        return "ahead"
    if gain["high"] < 0:
        return "not_ahead"
    told = ceiling["low"] > 0 and (gain["high"] - gain["low"]) / 2 <= _WIDEST * ceiling["value"]
    return "not_ahead" if told else "too_few"


def _interval(values: Array) -> RowRecord | None:
    """Compute mean and 95 % interval; none where a value is not known."""
    from scipy.stats import t

    if not len(values) or not np.isfinite(values).all():
        return None
    mean = float(np.mean(values))
    if len(values) < _FEWEST_DRAWS:
        return {"value": mean, "low": mean, "high": mean}
    width = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1))
    return {"value": mean, "low": mean - width, "high": mean + width}
