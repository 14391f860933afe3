"""Every registered metric, by name and by suite, and the place where a new one is added.

A metric is a `Metric`: a function of a `SamplePair` with the name, direction, target and source of its number. To add
one, write a file with a tuple of metrics, here ``_catalogue_sparsity.py``::

    from scdiffuse.metrics._metric import Metric, Score
    from scdiffuse.metrics._sample_pair import SamplePair


    def _sparsity(pair: SamplePair) -> Score:
        return Score(abs(pair.real.counts.nnz / pair.real.n_cells - pair.generated.counts.nnz / pair.generated.n_cells))


    SPARSITY = (
        Metric(
            name="sparsity_error", title="error of the mean number of genes detected", group="biology", better="lower",
            target=0.0, range=(0.0, float("inf")), source="this example", cost="cheap", space="counts",
            compute=_sparsity,
        ),
    )

and add ``*SPARSITY`` to `METRICS` below. Nothing else changes: `scdiffuse.evaluate` measures the metric beside its
real-vs-real reference and its baselines, and tables, figures, verdicts and the command line list it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from scdiffuse._core.errors import SettingError, UnknownNameError, did_you_mean
from scdiffuse.metrics._catalogue_biology import BIOLOGY, UTILITY
from scdiffuse.metrics._catalogue_distribution import DISTRIBUTION
from scdiffuse.metrics._catalogue_luo2024 import LUO2024
from scdiffuse.metrics._catalogue_privacy import PRIVACY
from scdiffuse.metrics._catalogue_two_sample import TWO_SAMPLE
from scdiffuse.metrics._metric import Metric

__all__ = ["METRICS", "get_metric", "select_metrics"]

METRICS: tuple[Metric, ...] = (*TWO_SAMPLE, *DISTRIBUTION, *BIOLOGY, *UTILITY, *PRIVACY, *LUO2024)
_BY_NAME = {metric.name: metric for metric in METRICS}


def get_metric(name: str) -> Metric:
    """Find a metric by its name.

    Parameters
    ----------
    name
        Key of the metric in tables and JSON.

    Returns
    -------
    The metric.

    Raises
    ------
    UnknownNameError
        If no metric has that name.

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
    suite: Literal["quick", "full"] = "quick", *, names: str | Sequence[str] | None = None
) -> tuple[Metric, ...]:
    """Choose the metrics of a suite, or metrics by name.

    Parameters
    ----------
    suite
        ``"quick"`` or ``"full"``, which holds the quick one.
    names
        Names of metrics, or one name, instead of a suite; the order is kept.

    Returns
    -------
    The metrics.

    Raises
    ------
    SettingError
        If the suite is unknown.
    UnknownNameError
        If a name is unknown.
    """
    if isinstance(names, str):
        return (get_metric(names),)
    if names is not None:
        return tuple(get_metric(name) for name in names)
    if suite not in ("quick", "full"):
        msg = f"`suite` must be 'quick' or 'full', got {suite!r}; or pass `names` of metrics."
        raise SettingError(msg)
    return METRICS if suite == "full" else tuple(metric for metric in METRICS if metric.suite == "quick")
