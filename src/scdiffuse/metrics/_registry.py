"""All registered metrics, by name and by suite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from scdiffuse._core.errors import SettingError, UnknownNameError, did_you_mean
from scdiffuse.metrics._catalogue_biology import BIOLOGY, UTILITY
from scdiffuse.metrics._catalogue_distribution import DISTRIBUTION
from scdiffuse.metrics._catalogue_judges import DISCRIMINATORS, PAPER
from scdiffuse.metrics._catalogue_privacy import PRIVACY
from scdiffuse.metrics._metric import Metric

__all__ = ["METRICS", "get_metric", "select_metrics"]

METRICS: tuple[Metric, ...] = (*DISCRIMINATORS, *DISTRIBUTION, *BIOLOGY, *UTILITY, *PRIVACY, *PAPER)
_BY_NAME = {metric.name: metric for metric in METRICS}


def get_metric(name: str) -> Metric:
    """Find a metric by its name.

    Parameters
    ----------
    name
        Its key in tables and JSON.

    Returns
    -------
    The metric.

    Raises
    ------
    UnknownNameError
        If there is none of that name.

    Examples
    --------
    >>> get_metric("energy").group
    'distribution'
    """
    if name not in _BY_NAME:
        msg = f"Metric {name!r} is unknown; expected one of {', '.join(sorted(_BY_NAME))}."
        raise UnknownNameError(msg + did_you_mean(name, _BY_NAME))
    return _BY_NAME[name]


def select_metrics(
    suite: Literal["quick", "full"] = "quick", *, names: Sequence[str] | None = None
) -> tuple[Metric, ...]:
    """Choose the metrics of a suite, or those named.

    Parameters
    ----------
    suite
        ``"quick"`` or ``"full"``, which holds the quick one.
    names
        Names to choose instead, in this order.

    Returns
    -------
    The metrics.

    Raises
    ------
    SettingError
        If the suite is unknown.
    UnknownNameError
        If a name is.
    """
    if names is not None:
        return tuple(get_metric(name) for name in names)
    if suite not in ("quick", "full"):
        msg = f"`suite` must be 'quick' or 'full', got {suite!r}; or pass `names` of metrics."
        raise SettingError(msg)
    return METRICS if suite == "full" else tuple(metric for metric in METRICS if metric.suite == "quick")
