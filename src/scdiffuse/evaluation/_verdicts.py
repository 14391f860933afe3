"""Verdicts: what the numbers of each group of metrics mean, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scdiffuse.evaluation._formatting import GROUP_TITLES, format_number, format_percent, join_words
from scdiffuse.evaluation._invalid_values import InvalidValues
from scdiffuse.evaluation._metric_phrases import describe_metric
from scdiffuse.evaluation._power_text import bootstrap_text, describe_power, has_power, learnt_text
from scdiffuse.evaluation._privacy_verdict import read_privacy
from scdiffuse.evaluation._report_types import LabelSizes, MetricRecord, MetricRecords, VerdictRecord
from scdiffuse.evaluation._scoring import VALIDITY

__all__ = ["CLEAN_LEVELS", "Level", "Verdict", "write_verdicts"]

Level = Literal["passes", "too_few", "differs", "fails", "unscored"]
_LEVELS = {
    "passes": ("\u2713", "as close as real cells"),
    "too_few": ("\u2248", "too few cells to tell"),
    "differs": ("\u25b2", "differs"),
    "fails": ("\u2715", "fails"),
    "unscored": ("\u25cb", "not scored"),
}
CLEAN_LEVELS = {"validity": "all counts", "privacy": "nothing revealed"}
"""Words for a group that passes, where those of all groups do not fit."""
_OVERALL_LEVELS = {
    "passes": "As close as real cells",
    "too_few": "No difference found, but too few cells to tell",
    "differs": "Distinguishable from real cells",
    "fails": "Not like real cells",
    "unscored": "Not scored",
}
_AUDIT_LEVELS = {
    "passes": "No leak found",
    "too_few": "No leak found, but too few cells to tell",
    "differs": "Generated cells tell which cells were trained on",
    "fails": "Generated cells reveal training cells",
    "unscored": "Not scored",
}
_WHOLE_REPORT = {"overall": _OVERALL_LEVELS, "audit": _AUDIT_LEVELS}
_FAILED_SCORE = 0.5  # median normalised score of a group below which the group fails
_MIN_EXPECTED = 5.0  # cells of a type; a type with fewer expected cells may be absent by chance
_N_NAMED = 2


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict on a group of metrics."""

    group: str
    level: Level
    """``passes``: as close as real cells, by metrics that would have told a difference. ``too_few``: no difference was
    found, but there are too few cells to tell. ``differs``: distinguishable, but closer to real cells than to trivial
    baselines. ``fails``: closer to trivial baselines, or invalid. ``unscored``: not measured."""
    text: str
    evidence: tuple[str, ...] = ()
    """Names of the flagged metrics."""
    labels: tuple[str, ...] = ()
    """Names of the flagged types."""

    @property
    def title(self) -> str:
        """Name of the group."""
        return GROUP_TITLES.get(self.group, self.group.capitalize())

    @property
    def mark(self) -> str:
        """Symbol of the level."""
        return _LEVELS[self.level][0]

    @property
    def level_text(self) -> str:
        """Words for the level."""
        if self.group in _WHOLE_REPORT:
            return _WHOLE_REPORT[self.group][self.level]
        return CLEAN_LEVELS.get(self.group, _LEVELS["passes"][1]) if self.level == "passes" else _LEVELS[self.level][1]

    @property
    def flagged(self) -> bool:
        """Whether this group distinguishes generated from real cells."""
        return self.level in {"differs", "fails"}

    def to_json(self) -> VerdictRecord:
        """Return the verdict as plain values."""
        return {
            "title": self.title,
            "level": self.level,
            "answer": self.level_text,
            "flagged": self.flagged,
            "text": self.text,
            "evidence": list(self.evidence),
            "labels": list(self.labels),
        }


def write_verdicts(
    metrics: MetricRecords,
    *,
    by: Mapping[str, MetricRecords],
    sizes: Mapping[str, LabelSizes],
    invalid: InvalidValues,
    curve: str = "",
) -> dict[str, Verdict]:
    """Write a verdict for each group of metrics.

    Parameters
    ----------
    metrics
        Scores of the whole samples by metric, as in the JSON of a report.
    by
        The same by label.
    sizes
        Cells by label.
    invalid
        Generated values that cannot be counts.
    curve
        What the power curve says, for the classifier two-sample tests.

    Returns
    -------
    A verdict for every group, in the order of a page.
    """
    verdicts = {"validity": _counts_verdict(invalid)}
    for group in list(GROUP_TITLES)[1:]:
        own = _of_group(metrics, group)
        if group == "privacy" and own:
            by_label = {label: _of_group(found, group) for label, found in by.items()}
            verdicts[group] = Verdict(group=group, **read_privacy(own, by=by_label)._asdict())
            continue
        by_own = {label: _of_group(found, group) for label, found in by.items()}
        absent = _missing_types(sizes) if group == "biology" else []
        if own or any(by_own.values()) or absent:
            verdicts[group] = _group_verdict(group, own, by=by_own, absent=absent)
    if curve and "two_sample" in verdicts:
        verdicts["two_sample"] = replace(verdicts["two_sample"], text=f"{verdicts['two_sample'].text} {curve}")
    return verdicts


def _of_group(scores: MetricRecords, group: str) -> dict[str, MetricRecord]:
    return {name: one for name, one in scores.items() if one["group"] == group}


def _counts_verdict(invalid: InvalidValues) -> Verdict:
    kinds = {
        "negative values": invalid.negative,
        "fractions": invalid.fractional,
        "values that are not finite": invalid.infinite,
        "no counts at all": invalid.empty,
    }
    found = [f"{format_percent(n / invalid.n_cells)} of the cells hold {kind}" for kind, n in kinds.items() if n]
    if not found:
        return Verdict(group="validity", level="passes", text="All values are non-negative integers.")
    level: Level = "fails" if invalid.cell_fraction else "differs"
    scored_as = " Negative and infinite values were scored as zero." if invalid.negative or invalid.infinite else ""
    return Verdict(
        group="validity", level=level, text=_sentence(join_words(found, most=4)) + scored_as, evidence=(VALIDITY,)
    )


def _group_verdict(
    group: str, scores: MetricRecords, *, by: Mapping[str, MetricRecords], absent: list[tuple[str, float]]
) -> Verdict:
    flagged = _ranked(scores)
    labels = {label: _ranked(found) for label, found in by.items()}
    labels = {label: found for label, found in labels.items() if found}
    if not (flagged or labels or absent):
        return _unflagged_verdict(group, scores, by)
    sentences = []
    if absent:
        named = [f"{label} ({format_percent(fraction)} of the real cells)" for label, fraction in absent]
        sentences.append(_sentence(f"No cell of {join_words(named)} was generated"))
    if flagged:
        sentences.append(_flagged_text(flagged, scores, group=group))
        sentences += [text(scores[flagged[0]]) for text in (learnt_text, bootstrap_text)]
    if labels:
        sentences.append(_label_text(labels, by, alone=not flagged))
    return Verdict(
        group=group,
        level="fails" if absent or _has_failed(flagged, scores) else "differs",
        text=" ".join(sentence for sentence in sentences if sentence),
        evidence=tuple(dict.fromkeys([*flagged, *(["composition"] if absent else [])])),
        labels=tuple(dict.fromkeys([*(label for label, _ in absent), *labels])),
    )


def _unflagged_verdict(group: str, scores: MetricRecords, by: Mapping[str, MetricRecords]) -> Verdict:
    """Pass a group whose metrics would have told a difference; others cannot tell."""
    power = describe_power(group, scores, by=by)
    if has_power(scores):
        return Verdict(group=group, level="passes", text=f"{_passing_text(group, scores)} {power}".strip())
    found = _auc_text(scores) if group == "two_sample" else ""
    return Verdict(group=group, level="too_few", text=f"{found} {power}".strip())


def _auc_text(scores: MetricRecords) -> str:
    """Write the range of the AUC over classifiers, and that of the reference."""
    sides = ([one["value"] for one in scores.values()], [one["reference"] for one in scores.values()])
    own, other = (f"{format_number(min(side))} to {format_number(max(side))}" for side in sides)
    return f"AUC {own}, reference {other}."


def _has_failed(flagged: list[str], scores: MetricRecords) -> bool:
    """Whether the group is closer to trivial baselines than to real cells."""
    normalised = [one["normalised"] for one in scores.values() if one["normalised"] is not None]
    if not flagged or not normalised:
        return False
    return float(np.median(normalised)) < _FAILED_SCORE


def _ranked(scores: MetricRecords) -> list[str]:
    """Name the flagged metrics, worst first: by normalised score, then by standard errors."""

    def weight(name: str) -> tuple[float, float]:
        one = scores[name]
        loss = 0.0 if one["normalised"] is None else min(1 - one["normalised"], 1.0)
        return loss, one["errors_off"] or 0.0

    return sorted((name for name, one in scores.items() if one["flagged"]), key=weight, reverse=True)


def _flagged_text(flagged: list[str], scores: MetricRecords, *, group: str) -> str:
    """Describe the worst metrics, and count the others."""
    n_named = 1 if group == "two_sample" else _N_NAMED
    named = join_words([describe_metric(name, scores[name]) for name in flagged[:n_named]])
    others = len(flagged) - n_named
    if others <= 0:
        return _sentence(named)
    what = "classifiers do" if group == "two_sample" else "metrics are off"
    return _sentence(f"{named}; {others} of {len(scores) - n_named} other {what} too")


def _label_text(labels: Mapping[str, list[str]], by: Mapping[str, MetricRecords], *, alone: bool) -> str:
    """Name the types that differ, and how they differ if the whole samples do not."""

    def off(label: str) -> float:
        return max(float(by[label][name]["errors_off"] or 0.0) for name in labels[label])

    ranked = sorted(labels, key=off, reverse=True)
    if alone:
        named = [
            f"within {label}, {describe_metric(labels[label][0], by[label][labels[label][0]])}"
            for label in ranked[:_N_NAMED]
        ]
        rest = f"; {len(ranked) - _N_NAMED} more types differ" if len(ranked) > _N_NAMED else ""
        return _sentence(join_words(named) + rest)
    if len(labels) == len(by):
        return "All types are affected." if len(by) > 1 else ""
    return _sentence(f"Most affected: {join_words(ranked)}")


def _missing_types(sizes: Mapping[str, LabelSizes]) -> list[tuple[str, float]]:
    """List the types that are expected from their proportion and absent from the generated cells."""
    n_real = sum(size["real"] + size["reference"] for size in sizes.values())
    n_generated = sum(size["generated"] for size in sizes.values())
    fractions = {label: (size["real"] + size["reference"]) / max(n_real, 1) for label, size in sizes.items()}
    return [
        (label, fractions[label])
        for label, size in sizes.items()
        if not size["generated"] and fractions[label] * n_generated >= _MIN_EXPECTED
    ]


def _passing_text(group: str, scores: MetricRecords) -> str:
    if group == "two_sample" and scores:
        return f"No classifier distinguishes them from real cells: {_auc_text(scores)}"
    if not scores:
        return "No type differs."
    if len(scores) == 1:
        one = next(iter(scores.values()))
        value, reference = format_number(one["value"]), format_number(one["reference"])
        return _sentence(f"{one['title']}: {value}, reference {reference}")
    return f"No metric of {len(scores)} is worse than the real-vs-real reference beyond noise."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
