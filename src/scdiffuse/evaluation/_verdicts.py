"""What the numbers mean, group by group, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from scdiffuse.evaluation._phrases import phrase
from scdiffuse.evaluation._samples import Faults
from scdiffuse.evaluation._scoring import VALIDITY
from scdiffuse.evaluation._words import GROUP_TITLES, join, number, percent

__all__ = ["Verdict", "judge"]

Scores: TypeAlias = Mapping[str, Mapping[str, Any]]
Level = Literal["passes", "differs", "fails", "unscored"]
_LEVELS = {
    "passes": ("\u2713", "as close as real cells"),
    "differs": ("\u25b2", "differs"),
    "fails": ("\u2715", "fails"),
    "unscored": ("\u25cb", "not scored"),
}
_CLEAN_LEVELS = {"validity": "all counts", "privacy": "nothing given away"}
_FAILED_SKILL = 0.5  # typical skill of a group below which it fails
_MIN_EXPECTED = 5.0  # a type that should come up so often is missed when it does not
_N_TOLD = 2


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a group of metrics says."""

    group: str
    level: Level
    """``passes``: not to be told from other real cells. ``differs``: told apart, though nearer to real cells than to
    trivial ones. ``fails``: nearer to trivial ones, or outright wrong. ``unscored``: nothing could be measured."""
    text: str
    evidence: tuple[str, ...] = ()
    """Names of the metrics that are flagged."""
    labels: tuple[str, ...] = ()
    """Names of the types that are flagged."""

    @property
    def title(self) -> str:
        """Name of the group."""
        return GROUP_TITLES[self.group]

    @property
    def mark(self) -> str:
        """Sign of the level."""
        return _LEVELS[self.level][0]

    @property
    def level_text(self) -> str:
        """Words for the level."""
        return _CLEAN_LEVELS.get(self.group, _LEVELS["passes"][1]) if self.level == "passes" else _LEVELS[self.level][1]

    @property
    def flagged(self) -> bool:
        """Whether generated cells can be told from real ones by this group."""
        return self.level in {"differs", "fails"}

    def to_json(self) -> dict[str, Any]:
        """Give the verdict as plain values."""
        return {
            "level": self.level,
            "flagged": self.flagged,
            "text": self.text,
            "evidence": list(self.evidence),
            "labels": list(self.labels),
        }


def judge(
    metrics: Scores, *, by: Mapping[str, Scores], sizes: Mapping[str, Mapping[str, int]], faults: Faults
) -> dict[str, Verdict]:
    """Put the scores into words.

    Parameters
    ----------
    metrics
        Scores of the whole samples by metric, as in the JSON of a report.
    by
        The same by label.
    sizes
        Cells by label.
    faults
        Values that no count matrix can hold.

    Returns
    -------
    A verdict for every group, in the order of a page.
    """
    verdicts = {"validity": _judge_counts(faults)}
    for group in list(GROUP_TITLES)[1:]:
        own = _of_group(metrics, group)
        by_own = {label: _of_group(found, group) for label, found in by.items()}
        lost = _lost_types(sizes) if group == "biology" else []
        if own or any(by_own.values()) or lost:
            verdicts[group] = _judge_group(group, own, by=by_own, lost=lost)
    return verdicts


def _of_group(scores: Scores, group: str) -> dict[str, Mapping[str, Any]]:
    return {name: one for name, one in scores.items() if one["group"] == group}


def _judge_counts(faults: Faults) -> Verdict:
    kinds = {
        "negative values": faults.negative,
        "fractions": faults.fractional,
        "values that are not finite": faults.infinite,
        "no counts at all": faults.empty,
    }
    found = [f"{percent(n / faults.n_cells)} of the cells hold {kind}" for kind, n in kinds.items() if n]
    if not found:
        return Verdict(group="validity", level="passes", text="Every value is a whole number, none is negative.")
    level: Level = "fails" if faults.share else "differs"
    scored_as = " Negative and infinite values were scored as zero." if faults.negative or faults.infinite else ""
    return Verdict(group="validity", level=level, text=_sentence(join(found, most=4)) + scored_as, evidence=(VALIDITY,))


def _judge_group(group: str, scores: Scores, *, by: Mapping[str, Scores], lost: list[tuple[str, float]]) -> Verdict:
    flagged = _ranked(scores)
    labels = {label: _ranked(found) for label, found in by.items()}
    labels = {label: found for label, found in labels.items() if found}
    if not (flagged or labels or lost):
        return Verdict(group=group, level="passes", text=_praise(group, scores))
    sentences = []
    if lost:
        named = [f"{label} ({percent(share)} of the real cells)" for label, share in lost]
        sentences.append(_sentence(f"No cell of {join(named)} was generated"))
    if flagged:
        sentences.append(_tell(flagged, scores, group=group))
    if labels:
        sentences.append(_tell_labels(labels, by, alone=not flagged))
    return Verdict(
        group=group,
        level="fails" if lost or _has_failed(flagged, scores) else "differs",
        text=" ".join(sentences),
        evidence=tuple(dict.fromkeys([*flagged, *(["composition"] if lost else [])])),
        labels=tuple(dict.fromkeys([*(label for label, _ in lost), *labels])),
    )


def _has_failed(flagged: list[str], scores: Scores) -> bool:
    """Whether the group is nearer to trivial than to real, or cells are handed out that were trained on."""
    skills = [one["skill"] for one in scores.values() if one["skill"] is not None]
    if not flagged or not skills:
        return False
    return "exact_copies" in flagged or float(np.median(skills)) < _FAILED_SKILL


def _ranked(scores: Scores) -> list[str]:
    """Name the flagged metrics, farthest from the floor first: by skill lost, then by standard errors."""

    def weight(name: str) -> tuple[float, float]:
        one = scores[name]
        lost = 0.0 if one["skill"] is None else min(1 - one["skill"], 1.0)
        return lost, one["errors_off"] or 0.0

    return sorted((name for name, one in scores.items() if one["flagged"]), key=weight, reverse=True)


def _tell(flagged: list[str], scores: Scores, *, group: str) -> str:
    """Tell of the worst metrics, and of how many more there are."""
    n_told = 1 if group == "discriminators" else _N_TOLD
    told = join([phrase(name, scores[name]) for name in flagged[:n_told]])
    others = len(flagged) - n_told
    if others <= 0:
        return _sentence(told)
    what = "judges do" if group == "discriminators" else "metrics are off"
    return _sentence(f"{told}; {others} of {len(scores) - n_told} other {what} too")


def _tell_labels(labels: Mapping[str, list[str]], by: Mapping[str, Scores], *, alone: bool) -> str:
    """Tell which types stand out, and by what where nothing else was said."""

    def off(label: str) -> float:
        return max(float(by[label][name]["errors_off"] or 0.0) for name in labels[label])

    ranked = sorted(labels, key=off, reverse=True)
    if alone:
        told = [
            f"within {label}, {phrase(labels[label][0], by[label][labels[label][0]])}" for label in ranked[:_N_TOLD]
        ]
        rest = f"; {len(ranked) - _N_TOLD} more types stand out" if len(ranked) > _N_TOLD else ""
        return _sentence(join(told) + rest)
    if len(labels) == len(by):
        return "All types are affected." if len(by) > 1 else ""
    return _sentence(f"Most affected: {join(ranked)}")


def _lost_types(sizes: Mapping[str, Mapping[str, int]]) -> list[tuple[str, float]]:
    """Types that the generated cells should hold by their share, and hold none of."""
    n_real = sum(size["real"] + size["floor"] for size in sizes.values())
    n_generated = sum(size["generated"] for size in sizes.values())
    shares = {label: (size["real"] + size["floor"]) / max(n_real, 1) for label, size in sizes.items()}
    return [
        (label, shares[label])
        for label, size in sizes.items()
        if not size["generated"] and shares[label] * n_generated >= _MIN_EXPECTED
    ]


def _praise(group: str, scores: Scores) -> str:
    if group == "discriminators" and scores:
        values = [one["value"] for one in scores.values()]
        floors = [one["floor"] for one in scores.values()]
        return (
            f"No judge tells them from real cells: AUC {number(min(values))} to {number(max(values))}, "
            f"floor {number(min(floors))} to {number(max(floors))}."
        )
    if group == "privacy":
        return "No attack does better than on real cells that nobody trained on, and no cell is a copy."
    if not scores:
        return "No type stands out."
    if len(scores) == 1:
        one = next(iter(scores.values()))
        return _sentence(f"{one['title']}: {number(one['value'])}, and {number(one['floor'])} for other real cells")
    return f"All {len(scores)} metrics lie within the noise of other real cells, or nearer."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
