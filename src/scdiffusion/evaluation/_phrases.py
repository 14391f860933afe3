"""The words for one metric that is off its floor."""

from __future__ import annotations

from scdiffusion.evaluation._scoring import Scored
from scdiffusion.evaluation._words import join, number

__all__ = ["phrase"]

_N_FEATURES = 3

_PHRASES = {
    "precision": "some generated cells lie where no real ones do",
    "recall": "some real cells lie where no generated ones do",
    "coverage": "some kinds of real cells are not generated",
    "density": "generated cells crowd in, or stay out of, the dense places",
    "worst_label_coverage": "one type is covered badly",
    "one_nn_accuracy": "the nearest neighbour gives a cell's origin away",
    "lisi": "generated and real cells do not mix",
    "label_recognition": "generated cells are not recognised as the type asked for",
    "composition": "types come in other shares than in real cells",
}
"""What it means when a metric is off its floor, where the title alone does not say it."""


def phrase(one: Scored) -> str:
    """Say what a flagged score means, with its value, its floor and what gives the cells away.

    Parameters
    ----------
    one
        A score off its floor.

    Returns
    -------
    Part of a sentence, beginning in lower case.
    """
    metric = one.metric
    numbers = f"{number(one.model.value)}, floor {number(one.floor.value)}"
    named = [name for name, _ in one.model.features[:_N_FEATURES]]
    if metric.group == "discriminators":
        because = f", mainly by {join(named)}" if named else ""
        return f"{_article(metric.title)} {metric.title} tells them apart (AUC {numbers}){because}"
    because = f", foremost {join(named)}" if named else ""
    if metric.name in _PHRASES:
        return f"{_PHRASES[metric.name]} ({metric.title} {numbers}){because}"
    return f"{metric.title} is {_direction(one)} ({numbers}){because}"


def _article(title: str) -> str:
    return "an" if title[:1].lower() in "aeiou" else "a"


def _direction(one: Scored) -> str:
    """Whether the value is above or below what real cells give."""
    return "too high" if one.model.value > one.floor.value else "too low"
