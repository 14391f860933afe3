"""The page of a report, from its numbers and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scdiffuse.evaluation._words import BASELINE_TITLES, GROUP_QUESTIONS, GROUP_TITLES, number, percent

if TYPE_CHECKING:
    from jinja2 import Environment

    from scdiffuse.evaluation._figures import Picture
    from scdiffuse.evaluation._verdicts import Verdict

__all__ = ["render_fragment", "render_page"]

_FOLDER = Path(__file__).parent / "templates"


class Evaluated(Protocol):
    """What the page shows of a report."""

    @property
    def title(self) -> str:
        """Headline."""

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Scores by metric."""

    @property
    def by(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Scores by label and metric."""

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """What the numbers mean, by group."""

    @property
    def settings(self) -> dict[str, Any]:
        """How it was measured."""


def render_page(
    report: Evaluated, *, overview: Picture | None, types: Picture | None, pictures: Sequence[Picture]
) -> str:
    """Fill the whole page.

    Parameters
    ----------
    report
        Numbers and verdicts.
    overview
        Figure of the first screen.
    types
        Figure of the types.
    pictures
        All other figures.

    Returns
    -------
    HTML that refers to nothing outside of itself.
    """
    template = _environment().get_template("report.html.j2")
    return template.render(overview=overview, types=types, pictures=pictures, **_content(report))


def render_fragment(report: Evaluated, *, overview: Picture | None) -> str:
    """Fill the part that a notebook shows.

    Parameters
    ----------
    report
        Numbers and verdicts.
    overview
        The figure beside the verdicts.

    Returns
    -------
    An HTML element with its own style.
    """
    return _environment().get_template("fragment.html.j2").render(overview=overview, **_content(report))


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, percent=percent, interval=_interval, meter=_meter, evidence=_evidence)
    return environment


def _content(report: Evaluated) -> dict[str, Any]:
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
    labels = report.settings.get("labels", {})
    return {
        "report": report,
        "groups": [one for one in groups if one["rows"] or one["verdict"]],
        "baselines": {name: title for name, title in BASELINE_TITLES.items() if name in drawn},
        "labels": sorted(labels, key=lambda label: -labels[label]["real"]),
        "label_metrics": _label_metrics(report),
        "settings": {key: value for key, value in report.settings.items() if not isinstance(value, dict | list)},
    }


def _label_metrics(report: Evaluated) -> dict[str, str]:
    """Metrics that some type has, by name, with their titles."""
    return {name: one["title"] for scores in report.by.values() for name, one in scores.items()}


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def _evidence(settings: Mapping[str, Any]) -> str:
    """Tell how many repeats, folds and half samples the numbers come from."""
    seeds = (
        "One seed: splits, subsamples and baselines are drawn once."
        if settings["n_seeds"] == 1
        else f"{settings['n_seeds']} seeds: values are means over them, intervals at least as wide as their spread."
    )
    return (
        f"{seeds} Judges are scored on cells they were not trained on, in {settings['n_folds']} folds "
        f"({settings['n_folds_within_a_type']} within a type), with DeLong's interval for areas under the curve; those "
        "among the paper's columns on one held-out quarter. Other intervals come from the spread of "
        f"{settings['n_half_samples']} half samples of the cells drawn without replacement "
        f"({settings['n_half_samples_when_slow']} where a metric is slow, none where it is slower still); no "
        "bootstrap is drawn. Baselines have no interval."
    )


def _meter(skill: float) -> float:
    """Width of the bar of a skill, in percent."""
    return round(100 * min(max(skill, 0.0), 1.0), 1)
