"""The section of a page, and the page, from the numbers of an evaluation of perturbations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scdiffuse.evaluation._page import _environment as environment
from scdiffuse.evaluation.perturbations._rows import BASELINES, CONTROLS, PREDICTION

if TYPE_CHECKING:
    from scdiffuse.evaluation.perturbations._report import PerturbationReport

__all__ = ["render_fragment", "render_page"]

_LEVELS = {
    "ahead": ("passes", "ahead of every baseline"),
    "not_ahead": ("fails", "not ahead"),
    "too_few": ("too_few", "too few cells to tell"),
    "unscored": ("unscored", "not scored"),
}


def render_page(report: PerturbationReport) -> str:
    """Write a page of its own: HTML without references to other files or sites."""
    return environment().get_template("perturbations_page.html.j2").render(**content(report))


def render_fragment(report: PerturbationReport) -> str:
    """Write the part that a notebook shows: an HTML element with its own style."""
    return environment().get_template("perturbations_fragment.html.j2").render(**content(report))


def content(report: PerturbationReport) -> dict[str, Any]:
    """Collect what the section shows."""
    drawn = {row for one in report.measures.values() for row, held in one["rows"].items() if held is not None}
    titles = {name: title for name, title in (BASELINES | CONTROLS).items() if name in drawn}
    reasons = {name: BASELINES[name] for name in BASELINES if name not in drawn}
    return {"perturbations": report, "rows": titles, "levels": _LEVELS, "prediction": PREDICTION, "blank": reasons}
