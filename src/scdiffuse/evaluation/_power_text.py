"""What a group of metrics could have told, in words: the answer beside "as close as real cells" and "differs"."""

from __future__ import annotations

from collections.abc import Mapping

from scdiffuse.evaluation._detection import cells_to_tell
from scdiffuse.evaluation._formatting import format_number, join_words
from scdiffuse.evaluation._report_types import MetricRecord, MetricRecords
from scdiffuse.metrics._catalogue_two_sample import LEARNT

__all__ = ["bootstrap_text", "describe_power", "has_power", "learnt_text"]

_N_NAMED = 2


def has_power(scores: MetricRecords) -> bool:
    """Say whether at least half of the metrics that can tell something at all had cells enough to do so.

    Parameters
    ----------
    scores
        Metrics of one group, none of them flagged.

    Returns
    -------
    True also where nothing is known of any.
    """
    doubted = sum(bool(one["doubt"]) for one in scores.values())
    sure = sum(_is_sure(one) for one in scores.values())
    return doubted <= sure


def describe_power(group: str, scores: MetricRecords, *, by: Mapping[str, MetricRecords]) -> str:
    """Say what the metrics of a group that flagged nothing would have told, and how many cells would tell more.

    Parameters
    ----------
    group
        The group.
    scores
        Its metrics.
    by
        The same by label.

    Returns
    -------
    Sentences, or nothing where every metric had power.
    """
    if group == "two_sample" and scores:
        return _classifiers(scores, by)
    doubted = {name: one for name, one in scores.items() if one["doubt"]}
    if not doubted:
        return ""
    worst = sorted(doubted.values(), key=lambda one: -one["shortfall"])
    titles = join_words([one["title"] for one in worst[:_N_NAMED]])
    more = f" and {len(worst) - _N_NAMED} more" if len(worst) > _N_NAMED else ""
    few = min(one["n_cells"] for one in worst)
    return f"Too few cells to tell ({few:,} a side): {titles}{more}."


def learnt_text(one: MetricRecord) -> str:
    """Say how many cells a classifier learnt from."""
    n_cells = one["sizes"].get(LEARNT)
    return f"It learnt from {n_cells:,} cells a side." if n_cells else ""


def bootstrap_text(one: MetricRecord) -> str:
    """Say what finite training costs by itself, and what lies above it."""
    cost = one["bootstrap"]
    if cost is None:
        return ""
    higher = max(cost, one["reference"])
    above = max(one["value"] - higher, 0.0)
    return (
        f"A model refitted to as many cells of the fitted one is told from it at {format_number(cost)}: finite "
        f"training costs that by itself, and {format_number(above)} lies above both references."
    )


def _classifiers(scores: MetricRecords, by: Mapping[str, MetricRecords]) -> str:
    """Describe the power of the classifiers by the median of what they would have told."""
    told = sorted(one["detectable"] for one in scores.values() if one["detectable"] is not None)
    if not told:
        return ""
    sizes = [one["sizes"][LEARNT] for one in scores.values() if LEARNT in one["sizes"]]
    learnt = f"from {_between(min(sizes), max(sizes))} cells a side" if sizes else "from few cells"
    middle = told[len(told) // 2]
    sentence = f"They learn {learnt} and would have told an AUC of {format_number(middle)}"
    if not has_power(scores):
        short = sorted(scores.values(), key=lambda one: one["shortfall"])[len(scores) // 2]
        needed = cells_to_tell(short["n_cells"], short["shortfall"])
        return f"{sentence}, not less: to tell .60, compare about {needed:,} cells a side."
    unsure = [label for label, found in by.items() if found and not has_power(found)]
    types = f" Within {len(unsure)} of {len(by)} types, too few cells to tell." if unsure else ""
    return f"{sentence}; with more cells they see more.{types}"


def _between(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _is_sure(one: MetricRecord) -> bool:
    """Whether a metric separates something and had cells enough for it."""
    bounded = one["detectable"] is not None and (one["group"] == "two_sample" or one["normalised"] is not None)
    return not one["doubt"] and bounded
