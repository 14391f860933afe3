"""Classifiers on the model card."""

from __future__ import annotations

from collections.abc import Mapping

from scdiffuse._core.text import one_line
from scdiffuse.model._markdown import as_markdown
from scdiffuse.model._metadata import ClassifierRecord

__all__ = ["classifier_lines", "classifier_table"]

_MOST_LABELS = 10


def classifier_lines(classifiers: Mapping[str, ClassifierRecord]) -> list[str]:
    """Describe each classifier in a line.

    Parameters
    ----------
    classifiers
        What each was trained on and how well it does, by name.
    """
    return [_line(name, record) for name, record in classifiers.items()]


def classifier_table(classifiers: Mapping[str, ClassifierRecord]) -> str:
    """Write accuracy by noise in Markdown, or that there are no classifiers.

    Parameters
    ----------
    classifiers
        As in `classifier_lines`.
    """
    if not classifiers:
        return "None. `add_classifier` learns labels to guide to, also such as the model never saw."
    times = list(next(iter(classifiers.values()))["accuracy"])
    head = f"| classifier | measure | {' | '.join(f't = {time}' for time in times)} | chance | held-out cells |"
    rows = [
        f"| {as_markdown(name)} | {_measure(record)} | "
        f"{' | '.join(f'{value:.2f}' for value in record['accuracy'].values())} | "
        f"{record['chance']:.2f} | {record['n_held_out']:,} |"
        for name, record in classifiers.items()
    ]
    rule = "|---" * (len(times) + 4) + "|"
    return "\n".join(["On held-out cells, from t = 0 (no noise) to t = 1 (nothing else):\n", head, rule, *rows])


def _measure(record: ClassifierRecord) -> str:
    return "variance explained" if record["kind"] == "continuous" else "accuracy"


def _line(name: str, record: ClassifierRecord) -> str:
    if record["kind"] == "continuous":
        low, high = record["range"]
        known = f"{low:g} to {high:g}"
    else:
        labels = list(record["labels"])
        more = f" and {len(labels) - _MOST_LABELS} more" if len(labels) > _MOST_LABELS else ""
        known = ", ".join(map(one_line, labels[:_MOST_LABELS])) + more
    value = record["accuracy"]
    return (
        f"Classifier {one_line(name)}: {known}; {record['n_cells']:,} cells; {_measure(record)} {value['0.0']:.2f}"
        f" without noise, {value['0.4']:.2f} at t = 0.4, {value['0.8']:.2f} at 0.8, {record['chance']:.2f} by chance."
    )
