"""The section of a page, and the page, from the numbers of an evaluation of perturbations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from scdiffuse.evaluation._page import environment
from scdiffuse.evaluation.perturbations._rows import BASELINES, CONTROLS, PREDICTION
from scdiffuse.evaluation.perturbations._summary import LEVEL_WORDS, Level, MeasureRecord

__all__ = ["render_fragment", "render_page", "render_section"]

_CLASSES: dict[Level, str] = {"ahead": "passes", "not_ahead": "fails", "too_few": "too_few", "unscored": "unscored"}


class Content(Protocol):
    """The part of a report that the section shows."""

    @property
    def verdict(self) -> str:
        """What the numbers mean."""

    @property
    def level(self) -> Level:
        """The same in a word."""

    @property
    def measures(self) -> dict[str, MeasureRecord]:
        """Scores over all of them."""

    @property
    def held_out(self) -> Sequence[Mapping[str, Any]]:
        """Scores of each held-out perturbation."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """How it was measured."""


def render_page(report: Content) -> str:
    """Write a page of its own: HTML without references to other files or sites."""
    return environment().get_template("perturbations_page.html.j2").render(**content(report))


def render_section(report: Content) -> str:
    """Write the section of a page that holds more: HTML without a style of its own."""
    return environment().get_template("perturbations.html.j2").render(**content(report))


def render_fragment(report: Content) -> str:
    """Write the part that a notebook shows: an HTML element with its own style."""
    return environment().get_template("perturbations_fragment.html.j2").render(**content(report))


def content(report: Content) -> dict[str, Any]:
    """Collect what the section shows."""
    drawn = {row for one in report.measures.values() for row, held in one["rows"].items() if held is not None}
    titles = {name: title for name, title in (BASELINES | CONTROLS).items() if name in drawn}
    reasons = {name: BASELINES[name] for name in BASELINES if name not in drawn}
    return {
        "perturbations": report,
        "rows": titles,
        "levels": {level: (_CLASSES[level], words) for level, words in LEVEL_WORDS.items()},
        "prediction": PREDICTION,
        "blank": reasons,
    }
