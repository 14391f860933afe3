"""The verdict on privacy: what an audit found, on how many cells and donors, and what it cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from scdiffuse.evaluation._formatting import format_number, join_words
from scdiffuse.evaluation._metric_phrases import describe_metric
from scdiffuse.evaluation._report_types import MetricRecord, MetricRecords

__all__ = ["PrivacyReading", "read_privacy"]

_COPIES = "memorised_cells"
_CELL_ATTACK, _DONOR_ATTACK = "membership_", "donor_membership_"
_TAILS = ("membership_tpr_1", "membership_tpr_01")
_N_NAMED = 2


class PrivacyReading(NamedTuple):
    """Level, text, flagged metrics and flagged types."""

    level: Literal["passes", "too_few", "differs", "fails"]
    text: str
    evidence: tuple[str, ...]
    labels: tuple[str, ...]


def read_privacy(scores: MetricRecords, *, by: Mapping[str, MetricRecords]) -> PrivacyReading:
    """Read the privacy metrics of an audit or an evaluation.

    Parameters
    ----------
    scores
        Privacy metrics of all cells.
    by
        The same by label.

    Returns
    -------
    ``fails`` where training cells are copied, ``differs`` where an attack or a distance reveals training cells,
    ``too_few`` where nothing was found by tests that could not have, ``passes`` otherwise.
    """
    flagged = sorted((name for name, one in scores.items() if one["flagged"]), key=lambda name: _weight(name, scores))
    labels = [label for label, found in by.items() if any(one["flagged"] for one in found.values())]
    copies = [_copies_text(scores[_COPIES])] if _COPIES in scores else []
    doubts = _doubts(scores)
    if not (flagged or labels):
        undecided = _cannot_tell(scores)
        found = [] if undecided else [_attacks_text(scores)]
        text = " ".join(part for part in (*copies, *found, *doubts) if part)
        return PrivacyReading("too_few" if undecided else "passes", text, (), ())
    named = [describe_metric(name, scores[name]) for name in flagged if name != _COPIES][:_N_NAMED]
    others = len(flagged) - len(named) - (_COPIES in flagged)
    found = [_sentence(join_words(named) + (_others_text(others) if others > 0 else ""))] if named else []
    donors = [_untrained_text(scores)] if any(name.startswith(_DONOR_ATTACK) for name in flagged) else []
    affected = [f"Affected types: {join_words(labels)}."] if labels else []
    text = " ".join(part for part in (*copies, *found, *donors, *affected, *doubts) if part)
    copied = _COPIES in flagged or any(_COPIES in found and found[_COPIES]["flagged"] for found in by.values())
    return PrivacyReading("fails" if copied else "differs", text, tuple(flagged), tuple(labels))


def _weight(name: str, scores: MetricRecords) -> tuple[bool, float]:
    p = scores[name]["p"]
    return name != _COPIES, 1.0 if p is None else p


def _copies_text(one: MetricRecord) -> str:
    """Say how many cells are copies; that none is, only where all were looked up and none was found."""
    sizes = one["sizes"]
    n, n_generated, null, n_held_out = (
        sizes.get(key, 0) for key in ("copies", "generated cells", "copies among held-out cells", "held-out cells")
    )
    if not n:
        return f"No cell is a copy of a training cell, of {n_generated:,} looked up."
    features = [f"{name} ({count:,.0f})" for name, count in one["features"][:3] if count is not None]
    where = f", from {join_words(features)}" if features else ""
    are = "cells are copies" if n > 1 else "cell is a copy"
    beside = f"{null:,} of {n_held_out:,} held-out cells are"
    rest = "" if one["flagged"] else "; no more than chance allows"
    return f"{n:,} of {n_generated:,} {are} of training cells, count for count{where} ({beside}){rest}."


def _attacks_text(scores: MetricRecords) -> str:
    """Name the strongest attack on cells and on donors, with interval and numbers."""
    told = []
    for prefix, what in ((_CELL_ATTACK, "training cells"), (_DONOR_ATTACK, "training donors")):
        own = [one for name, one in scores.items() if name.startswith(prefix) and name not in _TAILS and _tells(one)]
        if own:
            best = max(own, key=lambda one: one["value"])
            low, high = format_number(best["low"]), format_number(best["high"])
            counted = ", ".join(f"{n:,} {kind}" for kind, n in best["sizes"].items())
            auc = format_number(best["value"])
            told.append(f"No attack reveals {what}: AUC at most {auc} ({low} to {high}; {counted}).")
    return " ".join(told) or "No test finds memorised training cells."


def _others_text(others: int) -> str:
    return f"; {others} more test{'s' if others > 1 else ''} found a leak"


def _untrained_text(scores: MetricRecords) -> str:
    """Say how much of what reveals donors is membership of cells, from cells that were not trained on."""
    one = scores.get("donor_membership_untrained")
    if one is None:
        return ""
    auc, low, high = (format_number(one[key]) for key in ("value", "low", "high"))
    return f"Cells of the same donors that were not trained on reach AUC {auc} ({low} to {high})."


def _tells(one: MetricRecord) -> bool:
    return not one["doubt"] and one["p"] is not None and one["target"] == 0.5


def _doubts(scores: MetricRecords) -> list[str]:
    """List what the tests cannot tell, each reason once."""
    reasons: dict[str, list[str]] = {}
    for one in scores.values():
        if one["doubt"]:
            reasons.setdefault(one["doubt"], []).append(one["title"])
    return [
        _sentence(reason) if len(titles) > 1 else _sentence(f"{titles[0]}: {reason}")
        for reason, titles in reasons.items()
    ]


def _cannot_tell(scores: MetricRecords) -> bool:
    """Whether no attack on cells could have told, or none of those on donors."""
    kinds = {prefix: [one for name, one in scores.items() if name.startswith(prefix) and name not in _TAILS]
             for prefix in (_CELL_ATTACK, _DONOR_ATTACK)}  # fmt: skip
    return any(own and all(one["doubt"] for one in own) for own in kinds.values())


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""
