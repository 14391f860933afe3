"""Types of the numbers in a report, as `Report.to_json` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, TypedDict

__all__ = [
    "CurveRow",
    "LabelSizes",
    "MetricRecord",
    "MetricRecords",
    "PowerRecord",
    "ReportJson",
    "ReportSettings",
    "VerdictRecord",
]


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
    detectable: float | None
    """The smallest value that would have been told from the reference in four of five cases."""
    shortfall: float
    """How many times the cells a side would be needed to pass; at most 1 where there are enough."""
    bootstrap: float | None
    """What finite training costs: a model refitted to cells of the fitted model, against other cells of that."""
    bootstrap_low: float | None
    bootstrap_high: float | None
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

    title: str
    level: Literal["passes", "too_few", "differs", "fails", "unscored"]
    answer: str
    """The level in words."""
    flagged: bool
    text: str
    evidence: list[str]
    labels: list[str]


class ReportSettings(TypedDict):
    """How the numbers of a report were measured."""

    summary: str
    model: str
    """What generated the cells, as far as they say so."""
    data: str
    """File and source of the real cells, as far as they are known."""
    date: str
    """Day of the evaluation."""
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


class CurveRow(TypedDict):
    """One point of a power curve."""

    sample: str
    """``"generated"``, or ``"real"`` for the real-vs-real reference."""
    space: str
    """The features."""
    classifier: str
    """The classifier."""
    seed: int
    n_cells: int
    """Cells a side learnt from."""
    n_tested: int
    """Other cells a side scored."""
    auc: float
    low: float
    high: float


class PowerRecord(TypedDict):
    """A power curve as plain values."""

    points: list[CurveRow]
    cells_to_55: float | None
    """Cells a side with which the strongest classifier reaches an AUC of .55; ``None`` where it does not get there."""
    cells_to_60: float | None
    strongest: str
    """The classifier that reaches .60 first, or is highest at the end."""
    most_cells: int
    """Most cells a side learnt from."""


class ReportJson(TypedDict):
    """A report as plain dictionaries."""

    metrics: dict[str, MetricRecord]
    by: dict[str, dict[str, MetricRecord]]
    overall: VerdictRecord
    """The worst verdict, and the groups of each."""
    verdicts: dict[str, VerdictRecord]
    settings: ReportSettings
    power: PowerRecord | None
    """AUC against the cells that classifiers learn from; ``None`` where there are too few."""
