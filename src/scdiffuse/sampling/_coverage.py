"""How much of what is asked for was seen in training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.html import html_card
from scdiffuse._core.scalars import plain_scalar
from scdiffuse._core.slots import OBS_UNSEEN
from scdiffuse.calibration import ExpectedExpression
from scdiffuse.cells import ConditionPlan, ConditionRange, Conditions, ConditionTable, Label

__all__ = [
    "SLACK",
    "NumberSupport",
    "Support",
    "Verdict",
    "expect_error",
    "find_support",
    "is_marked",
    "is_unseen",
    "matches",
    "verdict_of",
    "with_unseen",
]

Verdict = Literal["seen", "near", "extrapolated", "cannot tell"]
"""How far to trust a prediction."""

_MOST_NEAREST = 10
_MOST_SHOWN = 3
_NEAR, _TOO_FAR = 1 / 4, 2 / 3  # expected errors, see docs/control.md
SLACK = 1e-4  # training standard deviations: what float32 makes of a number


@dataclass(frozen=True, kw_only=True)
class NumberSupport:
    """Where a number asked for lies among those measured."""

    asked: float
    low: float
    """Smallest number of the training cells with the labels asked for, of all of them if there are none."""
    high: float
    """Largest one."""
    below: float | None
    """Nearest number measured in those cells that is not above the one asked for."""
    above: float | None
    """Nearest one that is not below."""

    @property
    def is_outside(self) -> bool:
        """Whether the number lies outside of what was measured."""
        return self.below is None or self.above is None


@dataclass(frozen=True, kw_only=True, eq=False)
class Support:
    """How much of a combination of conditions was seen in training."""

    where: Mapping[str, Label | None]
    """What was asked for."""
    n_cells: int
    """Training cells with all of the labels asked for."""
    marginals: Mapping[str, int]
    """Training cells with each of these labels, whatever their other conditions are."""
    nearest: pd.DataFrame
    """Combinations of labels that were trained: ``n_shared`` labels as asked for and ``n_cells``, the nearest first."""
    numbers: Mapping[str, NumberSupport]
    """Range and nearest measured values of each number asked for."""
    expected_error: float | None = None
    """Part of the change of expression that a prediction of unseen labels is expected to miss, 0 to 1, if known."""

    @property
    def is_unseen(self) -> bool:
        """Whether no training cell has these labels, or a number lies outside of what these cells have."""
        return self.n_cells == 0 or any(number.is_outside for number in self.numbers.values())

    @property
    def verdict(self) -> Verdict:
        """How far to trust a prediction.

        ``"seen"``: training cells have these labels, and the numbers were measured. ``"near"``: a number lies between
        measured ones, or unseen labels are expected to miss at most a quarter of the change of expression.
        ``"extrapolated"``: at most two thirds. ``"cannot tell"``: more, or nobody knows.
        """
        numbers = self.numbers.values()
        return verdict_of(
            is_trained=self.n_cells > 0,
            is_measured=all(number.below == number.above for number in numbers),
            is_outside=any(number.is_outside for number in numbers),
            expected_error=self.expected_error,
        )

    def __str__(self) -> str:
        """Describe the coverage in plain sentences."""
        labels = [f"{name} {label!r}" for name, label in self.where.items() if name in self.marginals]
        sentences = []
        if labels:
            alone = "; ".join(f"{name} alone: {self.marginals[name]:,}" for name in self.marginals)
            sentences.append(f"{self.n_cells:,} training cells have {' and '.join(labels)} ({alone}).")
        if self.n_cells == 0 and len(self.nearest):
            first = self.nearest.iloc[0]
            combination = ", ".join(f"{name} {plain_scalar(first[name])!r}" for name in self.marginals)
            sentences.append(f"The combination is unseen; the nearest is {combination} ({first['n_cells']:,} cells).")
        sentences += [_describe(name, number) for name, number in self.numbers.items()]
        if self.is_unseen:
            sentences.append(self._prediction())
        return " ".join(sentences) or "Nothing was asked for: every training cell counts."

    def __repr__(self) -> str:
        return f"Support({self})"

    def _prediction(self) -> str:
        if self.expected_error is None:
            return "Prediction: cannot tell how far it can be trusted."
        missed = f"about {self.expected_error:.0%} of the change of expression is expected to be missed"
        return f"Prediction: {self.verdict}; {missed}."

    def _repr_html_(self) -> str:
        """Show a card in a notebook."""
        rows: dict[str, object] = {"training cells": f"{self.n_cells:,}"}
        rows |= {f"{name} {self.where[name]}": f"{n:,} cells alone" for name, n in self.marginals.items()}
        rows |= {name: _describe(name, number) for name, number in self.numbers.items()}
        if self.is_unseen:
            rows["prediction"] = self._prediction().removeprefix("Prediction: ")
        for at, (_, row) in enumerate(self.nearest.head(_MOST_SHOWN if self.marginals else 0).iterrows()):
            combination = ", ".join(f"{name} {row[name]}" for name in self.nearest.columns[:-2])
            rows[f"nearest {at + 1}"] = f"{combination}: {row['n_cells']:,} cells"
        return html_card("Unseen in training" if self.is_unseen else "Seen in training", rows)


def _describe(name: str, number: NumberSupport) -> str:
    asked = f"{name} {number.asked:g}"
    if number.is_outside:
        return f"{asked} lies outside of what was measured, {number.low:g} to {number.high:g}: this is extrapolation."
    if number.below == number.above:
        return f"{asked} was measured."
    return f"{asked} lies between the measured {number.below:g} and {number.above:g}: this is interpolation."


def verdict_of(*, is_trained: bool, is_measured: bool, is_outside: bool, expected_error: float | None) -> Verdict:
    """Tell how far to trust a prediction.

    Parameters
    ----------
    is_trained
        Training cells have all labels.
    is_measured
        Each number was measured in them.
    is_outside
        A number lies out of the range of what was measured.
    expected_error
        Part of the change of expression that is expected to be missed, if known.
    """
    if is_trained and not is_outside:
        return "seen" if is_measured else "near"
    if expected_error is None or is_outside or expected_error > _TOO_FAR:
        return "cannot tell"
    return "near" if expected_error <= _NEAR else "extrapolated"


def find_support(
    conditions: Conditions, training: ConditionTable, plan: ConditionPlan, *, expected: ExpectedExpression | None = None
) -> Support:
    """Compare one request with the training cells.

    Parameters
    ----------
    conditions
        The vocabulary.
    training
        Conditions of the training cells.
    plan
        A plan of one request; what it leaves open or asks as missing counts as no demand.
    expected
        Expected expression of the model; the error of unseen labels is not known without it.

    Returns
    -------
    What was found.
    """
    codes, values = plan.requests.codes[0], plan.requests.values[0]
    given = [at for at, code in enumerate(codes) if code >= 0]
    names = list(conditions.categorical)
    matching = matches(training.codes, codes)
    near = training.take(matching) if matching.any() else training
    numbers = {
        name: _number(values[at], near.values[:, at], seen)
        for at, (name, seen) in enumerate(conditions.continuous.items())
        if not np.isnan(values[at])
    }
    n_cells = int(training.counts[matching].sum())
    return Support(
        where={names[at]: conditions.categorical[names[at]][codes[at]] for at in given}
        | {name: held.asked for name, held in numbers.items()},
        n_cells=n_cells,
        marginals={names[at]: int(training.counts[training.codes[:, at] == codes[at]].sum()) for at in given},
        nearest=_nearest(conditions, training, codes),
        numbers=numbers,
        expected_error=None if n_cells or expected is None else expect_error(expected, plan.requests),
    )


def expect_error(expected: ExpectedExpression, requests: ConditionTable) -> float | None:
    """Look up the expected error of a request.

    What it leaves open is as in the trained combination that is nearest, and so is a mapped label, as what it does to
    genes was measured; neither counts as a change.
    """
    grid = expected.grid
    codes = np.rint(grid.positions(requests)[0]).astype(np.int64)
    is_mapped = expected.is_mapped(codes)
    codes[is_mapped] = -1
    if (codes[requests.codes.shape[1] :] < 0)[~np.isnan(requests.values[0])].any():
        return None
    is_given = codes >= 0
    trained, n_cells = grid.seen[grid.pooled], grid.n_cells[grid.pooled]
    nearest = trained[np.lexsort((-n_cells, -((trained == codes) & is_given).sum(axis=1)))[0]]
    return expected.expected_error(np.where(is_given, codes, nearest), measured=~is_given)


def matches(rows: NDArray[np.int64], codes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which rows have all the labels; a missing one is no demand."""
    found: NDArray[np.bool_] = ((codes < 0) | (rows == codes)).all(axis=1)
    return found


def _number(asked: float, measured: NDArray[np.float32], seen: ConditionRange) -> NumberSupport:
    decimals = 6 - math.ceil(math.log10(seen.max - seen.min or 1.0))
    held = np.sort(measured[~np.isnan(measured)].astype(np.float64))
    below, above = held[held <= asked + SLACK], held[held >= asked - SLACK]

    def plain(standardised: float) -> float:
        return round(standardised * seen.std + seen.mean, decimals) + 0.0  # no negative zeros

    return NumberSupport(
        asked=plain(asked),
        low=plain(held[0]) if held.size else seen.min,
        high=plain(held[-1]) if held.size else seen.max,
        below=plain(below[-1]) if below.size else None,
        above=plain(above[0]) if above.size else None,
    )


def _nearest(conditions: Conditions, training: ConditionTable, codes: NDArray[np.int64]) -> pd.DataFrame:
    """List trained combinations by the labels that they share, then by their cells."""
    labels = ConditionTable(training.codes, training.values[:, :0], training.counts).distinct()
    shared = ((labels.codes == codes) & (codes >= 0)).sum(axis=1)
    order = np.lexsort((-labels.counts, -shared))[:_MOST_NEAREST]
    vocabulary = Conditions(categorical=conditions.categorical, continuous={})
    table = vocabulary.decode(labels.take(order))
    return table.assign(n_shared=shared[order], n_cells=labels.counts[order])


def is_unseen(conditions: Conditions, training: ConditionTable, table: ConditionTable) -> NDArray[np.bool_]:
    """Tell which cells have a combination of labels that no training cell has, or a number out of the training range.

    Parameters
    ----------
    conditions
        The vocabulary.
    training
        Conditions of the training cells.
    table
        Conditions of ``B`` cells; a missing one is no demand.

    Returns
    -------
    One answer a cell, shape ``(B,)``.
    """
    known = np.unique(training.codes, axis=0)
    asked, which = np.unique(table.codes, axis=0, return_inverse=True)
    new = np.array([not matches(known, codes).any() for codes in asked], dtype=bool)
    answer: NDArray[np.bool_] = new[which.ravel()] | _outside(conditions, table).any(axis=1)
    return answer


def _outside(conditions: Conditions, table: ConditionTable) -> NDArray[np.bool_]:
    """Tell which numbers lie out of the training range, shape ``(B, C_continuous)``."""
    low, high = conditions.standard_range
    answer: NDArray[np.bool_] = (table.values < low - SLACK) | (table.values > high + SLACK)  # not where missing
    return answer


def is_marked(conditions: Conditions) -> bool:
    """Tell whether cells can have unseen conditions: the model has two conditions or more, or unseen labels."""
    return OBS_UNSEEN not in conditions.names and (len(conditions.names) > 1 or bool(conditions.unseen))


def with_unseen(
    obs: pd.DataFrame, table: ConditionTable, *, conditions: Conditions, training: ConditionTable
) -> pd.DataFrame:
    """Mark cells whose conditions were not seen together in training.

    Parameters
    ----------
    obs
        Columns of ``B`` cells.
    table
        Their conditions.
    conditions, training
        As in `is_unseen`.

    Returns
    -------
    The columns, with ``unseen`` (``bool``) where `is_marked`.
    """
    if not is_marked(conditions):
        return obs
    return obs.assign(**{OBS_UNSEEN: is_unseen(conditions, training, table)})
