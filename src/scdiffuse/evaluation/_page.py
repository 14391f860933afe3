"""The HTML page of a report, from its numbers and figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scdiffuse.evaluation._formatting import (
    BASELINE_TITLES,
    GROUP_QUESTIONS,
    GROUP_TITLES,
    format_number,
    format_percent,
)
from scdiffuse.evaluation._label_scores import FEWEST_CELLS
from scdiffuse.evaluation._power_text import has_power
from scdiffuse.evaluation._report_types import LabelSizes, MetricRecord, MetricRecords, ReportSettings

if TYPE_CHECKING:
    from jinja2 import Environment

    from scdiffuse.evaluation._cell_figures import Picture
    from scdiffuse.evaluation._verdicts import Verdict

__all__ = ["environment", "render_fragment", "render_page"]

_FOLDER = Path(__file__).parent / "templates"


class ReportContent(Protocol):
    """The part of a report that the page shows."""

    @property
    def title(self) -> str:
        """Headline."""

    @property
    def metrics(self) -> dict[str, MetricRecord]:
        """Scores by metric."""

    @property
    def by(self) -> dict[str, dict[str, MetricRecord]]:
        """Scores by label and metric."""

    @property
    def overall(self) -> Verdict:
        """The worst verdict, and the groups of each."""

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """What the numbers mean, by group."""

    @property
    def settings(self) -> ReportSettings:
        """How it was measured."""


def render_page(
    report: ReportContent,
    *,
    overview: Picture | None,
    types: Picture | None,
    pictures: Sequence[Picture],
    sections: Sequence[str] = (),
) -> str:
    """Write the whole page.

    Parameters
    ----------
    report
        Numbers and verdicts.
    overview
        Figure on the first screen.
    types
        Figure of cell types.
    pictures
        All other figures.
    sections
        More sections, as HTML, in front of the figures.

    Returns
    -------
    HTML without references to other files or sites.
    """
    template = environment().get_template("report.html.j2")
    return template.render(overview=overview, types=types, pictures=pictures, sections=sections, **_content(report))


def render_fragment(report: ReportContent, *, overview: Picture | None) -> str:
    """Write the part that a notebook shows.

    Parameters
    ----------
    report
        Numbers and verdicts.
    overview
        Figure beside the verdicts.

    Returns
    -------
    An HTML element with its own style.
    """
    return environment().get_template("fragment.html.j2").render(overview=overview, **_content(report))


def environment() -> Environment:
    """Open the templates, with the filters that format numbers."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    held = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    held.filters.update(
        number=format_number, percent=format_percent, interval=_interval, meter=_meter, evidence=_evidence
    )
    return held


def _content(report: ReportContent) -> dict[str, Any]:
    groups = [
        {
            "name": group,
            "title": title,
            "question": GROUP_QUESTIONS[group],
            "verdict": report.verdicts.get(group),
            "rows": [one for one in report.metrics.values() if one["group"] == group],
        }
        for group, title in GROUP_TITLES.items()
    ]
    drawn = {name for one in report.metrics.values() for name in one["baselines"]}
    labels = _label_rows(report)
    return {
        "report": report,
        "groups": [one for one in groups if one["rows"] or one["verdict"]],
        "baselines": {name: title for name, title in BASELINE_TITLES.items() if name in drawn},
        "labels": labels,
        "rare": [row for row in labels if row["level"] == "too_few"],
        "fewest": FEWEST_CELLS,
        "label_metrics": _label_metrics(report),
        "settings": {key: value for key, value in report.settings.items() if not isinstance(value, dict | list)},
    }


def _label_rows(report: ReportContent) -> list[dict[str, Any]]:
    """Collect sizes, scores and answer of every type, the most frequent one first."""
    sizes = report.settings.get("labels", {})
    ranked = sorted(sizes, key=lambda label: -sizes[label]["real"])
    rows = []
    for label in ranked:
        scores = report.by.get(label, {})
        level, answer = _answer(sizes[label], scores)
        rows.append({"label": label, "sizes": sizes[label], "scores": scores, "level": level, "answer": answer})
    return rows


def _answer(sizes: LabelSizes, scores: MetricRecords) -> tuple[str, str]:
    """Give level and words for one type."""
    if sizes["real"] and not sizes["generated"]:
        return "fails", "none generated"
    if not sizes["compared"]:
        return "too_few", "too few to compare"
    if not scores:
        return "unscored", "not scored"
    if any(one["flagged"] for one in scores.values()):
        return "differs", "differs"
    return ("passes", "as close as real cells") if has_power(scores) else ("too_few", "too few to tell")


def _label_metrics(report: ReportContent) -> dict[str, str]:
    """Collect the titles of metrics that are scored within some type, by name."""
    return {name: one["title"] for scores in report.by.values() for name, one in scores.items()}


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{format_number(low)} to {format_number(high)}"


def _evidence(settings: ReportSettings) -> str:
    """Describe how many repeats, folds and half samples the numbers come from."""
    seeds = (
        "One seed: splits, subsamples and baselines are drawn once."
        if settings["n_seeds"] == 1
        else f"{settings['n_seeds']} draws of the cells, one a seed and stratified by type: values are means over "
        "them, intervals count what the draws share and what they do not; baselines are drawn once."
    )
    return (
        f"{seeds} Classifiers are scored on held-out cells, in {settings['n_folds']} folds "
        f"({settings['n_folds_within_a_type']} within a type), with DeLong's interval for the AUC; "
        "the classifiers of Luo et al. 2024 on one held-out quarter. Other intervals come from the spread of "
        f"{settings['n_half_samples']} half samples of the cells, drawn without replacement "
        f"({settings['n_half_samples_when_slow']} for slow metrics, none for very slow ones). "
        "Baselines have no interval."
    )


def _meter(score: float) -> float:
    """Width of the bar of a normalised score, in percent."""
    return round(100 * min(max(score, 0.0), 1.0), 1)
