"""What the numbers mean, group by group, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scdiffusion.evaluation._phrases import phrase
from scdiffusion.evaluation._samples import Faults
from scdiffusion.evaluation._scoring import VALIDITY, Scored
from scdiffusion.evaluation._words import GROUP_TITLES, join, number, percent

__all__ = ["Verdict", "judge"]

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
_N_NAMED = 3


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
    def css(self) -> str:
        """Class of the level in a page."""
        return self.level

    def to_json(self) -> dict[str, Any]:
        """Give the verdict as plain values."""
        return {
            "level": self.level,
            "flagged": self.level in {"differs", "fails"},
            "text": self.text,
            "evidence": list(self.evidence),
            "labels": list(self.labels),
        }


def judge(
    scored: Mapping[str, Scored],
    *,
    by: Mapping[str, Mapping[str, Mapping[str, Any]]],
    sizes: Mapping[str, Mapping[str, int]],
    faults: Faults,
) -> dict[str, Verdict]:
    """Put the scores into words.

    Parameters
    ----------
    scored
        Scores of the whole samples, by metric.
    by
        Scores by label and metric.
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
        own = [one for one in scored.values() if one.group == group]
        by_own = {
            label: [(name, one) for name, one in found.items() if one["group"] == group] for label, found in by.items()
        }
        if own or any(by_own.values()):
            verdicts[group] = _judge_group(group, own, by=by_own, sizes=sizes if group == "biology" else {})
    return verdicts


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


def _judge_group(
    group: str,
    scored: Sequence[Scored],
    *,
    by: Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]],
    sizes: Mapping[str, Mapping[str, int]],
) -> Verdict:
    flagged = sorted((one for one in scored if one.flagged), key=_weight, reverse=True)
    labels = {label: [item for item in found if item[1]["flagged"]] for label, found in by.items()}
    labels = {label: found for label, found in labels.items() if found}
    lost = _lost_types(sizes)
    if not (flagged or labels or lost):
        return Verdict(group=group, level="passes", text=_praise(group, scored))
    sentences = []
    if lost:
        sentences.append(
            _sentence("No cell of " + join([f"{label} ({percent(share)} of real cells)" for label, share in lost]))
        )
    if flagged:
        sentences.append(_sentence(join([phrase(one) for one in flagged[:_N_NAMED]], most=_N_NAMED)))
        if len(flagged) > _N_NAMED:
            sentences.append(
                _sentence(f"{len(flagged) - _N_NAMED} more of {len(scored)} metrics are off the floor too")
            )
    if labels:
        sentences.append(_worst_labels(labels, len(by)))
    skills = [one.skill for one in scored if one.skill is not None]
    bad = bool(lost) or (bool(flagged) and bool(skills) and float(np.median(skills)) < _FAILED_SKILL)
    return Verdict(
        group=group,
        level="fails" if bad else "differs",
        text=" ".join(sentences),
        evidence=tuple(one.metric.name for one in flagged),
        labels=tuple(dict.fromkeys([*(label for label, _ in lost), *labels])),
    )


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


def _weight(one: Scored) -> float:
    """How bad a flagged score is: the part of the way to the trivial baseline, else in standard errors, damped."""
    if one.skill is not None:
        return 1 - one.skill
    gap = one.metric.loss(one.model.value) - one.metric.loss(one.floor.value)
    return float(np.tanh(gap / max(one.metric.loss(one.floor.value), 1e-9)))


def _worst_labels(labels: Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]], n_labels: int) -> str:
    def gap(item: tuple[str, Mapping[str, Any]]) -> float:
        one = item[1]
        loose = abs(one["value"] - one["floor"])
        return float(loose / max(abs(one["floor"]), 0.05))

    worst = {label: max(found, key=gap) for label, found in labels.items()}
    ranked = sorted(worst, key=lambda label: gap(worst[label]), reverse=True)
    told = [_tell(label, worst[label][1]) for label in ranked[:_N_NAMED]]
    return _sentence(f"{len(labels)} of {n_labels} types stand out, foremost {join(told)}")


def _tell(label: str, one: Mapping[str, Any]) -> str:
    return f"{label} ({one['title']} {number(one['value'])}, floor {number(one['floor'])})"


def _praise(group: str, scored: Sequence[Scored]) -> str:
    if group == "discriminators" and scored:
        values = [one.model.value for one in scored]
        floors = [one.floor.value for one in scored]
        return (
            f"No judge tells them from real cells: AUC {number(min(values))} to {number(max(values))}, "
            f"floor {number(min(floors))} to {number(max(floors))}."
        )
    if group == "privacy":
        return "No attack does better than on real cells that nobody trained on, and no cell is a copy."
    if not scored:
        return "No type stands out."
    number_of = "The metric lies" if len(scored) == 1 else f"All {len(scored)} metrics lie"
    return f"{number_of} within the noise of other real cells, or nearer."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
