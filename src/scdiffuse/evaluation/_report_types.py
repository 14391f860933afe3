"""Types of the numbers in a report, as `Report.to_json` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, TypedDict

__all__ = ["LabelSizes", "MetricRecord", "MetricRecords", "ReportJson", "ReportSettings", "VerdictRecord"]


class MetricRecord(TypedDict):
    """One metric of generated cells, with real-vs-real reference and baselines; unknown numbers are ``None``."""

    title: str
    group: str
    better: Literal["lower", "higher", "nearest"]
    target: float | None
    """Value of a perfect generator with infinitely many cells."""
    value: float
    low: float | None
    high: float | None
    reference: float
    """Value of other real cells in place of the generated ones."""
    reference_low: float | None
    reference_high: float | None
    baselines: dict[str, float | None]
    trivial: str | None
    """The baseline at normalised score 0."""
    normalised: float | None
    """Normalised score: 0 at the best trivial baseline, 1 at the real-vs-real reference."""
    flagged: bool
    """Whether the value is significantly and relevantly worse than the reference."""
    errors_off: float | None
    """Distance from the reference in standard errors."""
    n_cells: int
    """Cells a side."""
    p: float | None
    """Probability of as bad a value by chance, where the metric brings its own test."""
    doubt: str
    """Why the metric cannot tell, such as too few cells; empty where it can."""
    sizes: dict[str, int]
    """What the number was counted on, such as members and non-members."""
    features: list[list[str | float | None]]
    """The features that differ most, with their importance."""
    seeds: list[float]
    """The value at every seed."""
    source: str


MetricRecords: TypeAlias = Mapping[str, MetricRecord]
"""Metrics by name."""


class LabelSizes(TypedDict):
    """Cells of one label in every sample."""

    real: int
    reference: int
    generated: int
    compared: int
    """Cells a side of a comparison within the label; 0 where there are too few."""


class VerdictRecord(TypedDict):
    """The verdict on one group of metrics."""

    level: Literal["passes", "too_few", "differs", "fails", "unscored"]
    flagged: bool
    text: str
    evidence: list[str]
    labels: list[str]


class ReportSettings(TypedDict):
    """How the numbers of a report were measured."""

    summary: str
    version: str
    suite: Literal["quick", "full"]
    seed: int
    n_seeds: int
    max_cells: int
    by: str | None
    donor: str | None
    n_real: int
    n_generated: int
    n_reference: int
    n_projection: int
    n_train: int
    n_cells_a_side: int
    n_genes: int
    n_chosen_genes: int
    n_folds: int
    n_folds_within_a_type: int
    n_half_samples: int
    n_half_samples_when_slow: int
    n_components: int
    labels: dict[str, LabelSizes]
    notes: list[str]
    not_scored: dict[str, str]


class ReportJson(TypedDict):
    """A report as plain dictionaries."""

    metrics: dict[str, MetricRecord]
    by: dict[str, dict[str, MetricRecord]]
    verdicts: dict[str, VerdictRecord]
    settings: ReportSettings
