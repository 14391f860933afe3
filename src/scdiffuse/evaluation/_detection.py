"""Power of a comparison: the smallest difference from the reference that it would have told."""

from __future__ import annotations

import math
from typing import NamedTuple

from scdiffuse.evaluation._estimates import Estimate
from scdiffuse.evaluation._formatting import format_number
from scdiffuse.metrics import Metric

__all__ = ["FLAG_ERRORS", "UNKNOWN", "Detection", "cells_to_tell", "detect"]

FLAG_ERRORS = 3.0
"""Standard errors between model and reference beyond which a metric is flagged: one false alarm in 700 metrics."""
_POWER_ERRORS = 0.84  # of a normal distribution, four fifths lie above minus .84
_RANGE_FRACTION = 0.1  # of a bounded metric's range: an AUC of .60 is told from .50
_SPAN_FRACTION = 0.25  # of the way from the reference to the best trivial baseline, where a metric has no bounds
_MARGIN = 1.05  # for the noise of the standard error itself


class Detection(NamedTuple):
    """What a comparison would have told."""

    value: float | None
    """The smallest value that would have been told from the reference in four of five cases; ``None`` if unknown."""
    doubt: str
    """Why the comparison cannot tell; empty where it can, or where that is unknown."""
    shortfall: float
    """How many times the cells a side would be needed; 1 or less where there are enough."""


_HALVES = 2.0  # times the cells have halves as large as the cells at hand

UNKNOWN = Detection(None, "", 1.0)
"""What a comparison without standard errors would have told."""


def detect(metric: Metric, model: Estimate, reference: Estimate, *, trivial: float | None, n_cells: int) -> Detection:
    """Find what a comparison would have told, and whether that is enough to pass.

    A difference is told in four of five cases if it is 3.84 standard errors wide: three to be flagged, and .84 for the
    noise of the value itself. That is enough where it is at most a tenth of the metric's range, so that an AUC of .60
    is told from .50; for a metric without bounds, at most a quarter of the way from the reference to the best trivial
    baseline.

    Parameters
    ----------
    metric
        The metric.
    model, reference
        Estimates of generated cells and of the real-vs-real reference.
    trivial
        Value of the best trivial baseline, where it is worse than the reference beyond noise.
    n_cells
        Cells a side.

    Returns
    -------
    What would have been told. A metric with a test of its own says itself what it cannot tell.
    """
    errors = [one.error for one in (model, reference) if math.isfinite(one.error)]
    if model.p is not None or model.doubt:
        return Detection(None, model.doubt, 1.0)
    if not errors:
        return Detection(None, f"too few cells: not all halves of {n_cells:,} a side have a value", _HALVES)
    told = (FLAG_ERRORS + _POWER_ERRORS) * (math.hypot(*errors) if len(errors) > 1 else math.sqrt(2) * errors[0])
    loss = metric.loss(reference.value) + told
    value = metric.target + loss if metric.better == "lower" else metric.target - loss
    if metric.better == "nearest" and value < metric.range[0]:
        value = metric.target + loss  # a value too high would be told
    if not metric.range[0] <= value <= metric.range[1]:
        few = f"too few cells: with {n_cells:,} a side, not even the worst value would be told"
        return Detection(None, few, (told / (_RANGE_FRACTION * (metric.range[1] - metric.range[0]))) ** 2)
    width = metric.range[1] - metric.range[0]
    if math.isfinite(width):
        enough = _RANGE_FRACTION * width
    elif trivial is not None:
        enough = _SPAN_FRACTION * (metric.loss(trivial) - metric.loss(reference.value))
    else:
        return Detection(value, "", 1.0)  # a metric that separates nothing says nothing, however many cells there are
    shortfall = (told / max(enough, 1e-12)) ** 2
    if told <= _MARGIN * enough:
        return Detection(value, "", shortfall)
    return Detection(
        value, f"too few cells: with {n_cells:,} a side, {format_number(value)} is the first value told", shortfall
    )


def cells_to_tell(n_cells: int, shortfall: float) -> int:
    """Say how many cells a side are needed, to two figures; standard errors fall with their square root."""
    needed = n_cells * max(shortfall, 1.0)
    step = 10 ** max(math.floor(math.log10(needed)) - 1, 0)
    return int(math.ceil(needed / step) * step)
