"""What the model card says of classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["classifier_lines", "classifier_table"]

_MOST_LABELS = 10


def classifier_lines(told: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Describe each classifier in a line.

    Parameters
    ----------
    told
        What ``config.json`` says of each, by name.
    """
    return [_line(name, facts) for name, facts in told.items()]


def classifier_table(told: Mapping[str, Mapping[str, Any]]) -> str:
    """Write accuracy by level of noise in Markdown, or that there are no classifiers.

    Parameters
    ----------
    told
        As in `classifier_lines`.
    """
    if not told:
        return "None. `add_classifier` learns labels to guide to, also such as the model never saw."
    levels = list(next(iter(told.values()))["accuracy"])
    head = f"| classifier | measure | {' | '.join(f't = {level}' for level in levels)} | chance | held-out cells |"
    rows = [
        f"| {name} | {_measure(facts)} | {' | '.join(f'{found:.2f}' for found in facts['accuracy'].values())} | "
        f"{facts['chance']:.2f} | {facts['n_held_out']:,} |"
        for name, facts in told.items()
    ]
    rule = "|---" * (len(levels) + 4) + "|"
    return "\n".join(["Accuracy by noise, from t = 0 without to t = 1 with nothing else:\n", head, rule, *rows])


def _measure(facts: Mapping[str, Any]) -> str:
    return "variance explained" if facts["kind"] == "continuous" else "share recognised"


def _line(name: str, facts: Mapping[str, Any]) -> str:
    if facts["kind"] == "continuous":
        low, high = facts["range"]
        knows = f"{low:g} to {high:g}"
    else:
        labels = list(facts["labels"])
        more = f" and {len(labels) - _MOST_LABELS} more" if len(labels) > _MOST_LABELS else ""
        knows = ", ".join(labels[:_MOST_LABELS]) + more
    found = facts["accuracy"]
    return (
        f"Classifier {name}: {knows}; {facts['n_cells']:,} cells; {_measure(facts)} {found['0.0']:.2f}"
        f" without noise, {found['0.4']:.2f} at t = 0.4, {found['0.8']:.2f} at 0.8, {facts['chance']:.2f} by chance."
    )
