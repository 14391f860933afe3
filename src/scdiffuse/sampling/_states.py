"""States of a trajectory: the conditions of start and target at each, and the weight of the target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from scdiffuse._core.errors import SettingError
from scdiffuse.cells import Conditions, ConditionTable

__all__ = ["State", "states_along", "states_between"]

Numbers = NDArray[np.float32]

_STRAGGLERS = 0.05  # of the cells of each label, the furthest on the way, say nothing of where the label ends


class State(NamedTuple):
    """What ``B`` cells are denoised towards at one state."""

    weight: Numbers
    """Weight of the target, from 0 to 1, shape ``(B,)``."""
    start: ConditionTable
    """Conditions at weight 0."""
    target: ConditionTable
    """Conditions at weight 1."""
    numbers: Numbers
    """Numbers that the cells have here, shape ``(B, C_continuous)``; NaN where one end alone has a number."""

    @property
    def shared(self) -> ConditionTable:
        """What start and target have in common, the rest missing."""
        here, there = self.start, self.target
        codes = np.where(here.codes == there.codes, here.codes, -1)
        return ConditionTable(codes, np.where(here.values == there.values, here.values, np.float32(np.nan)))

    @property
    def defined(self) -> ConditionTable:
        """Conditions that the cells have; between two labels there is none."""
        ends, shared = [(self.weight == end)[:, None] for end in (0.0, 1.0)], self.shared
        codes = np.select(ends, [self.start.codes, self.target.codes], shared.codes)
        values = np.select(ends, [self.start.values, self.target.values], shared.values)
        return ConditionTable(codes, np.where(np.isnan(self.numbers), values, self.numbers))


def states_between(start: ConditionTable, target: ConditionTable, weights: Numbers) -> Iterator[State]:
    """Give states whose weights and numbers change evenly.

    Parameters
    ----------
    start, target
        Conditions of ``B`` cells at both ends.
    weights
        Weight of the target at each state.

    Yields
    ------
    The states; numbers that both ends have are interpolated.
    """
    for weight in weights:
        between = (1.0 - weight) * start.values + weight * target.values
        both = ~np.isnan(between)
        here, there = (ConditionTable(end.codes, np.where(both, between, end.values)) for end in (start, target))
        yield State(np.full(len(start), weight, dtype=np.float32), here, there, between)


def states_along(
    start: ConditionTable,
    target: ConditionTable,
    weights: Numbers,
    *,
    name: str,
    conditions: Conditions,
    training: ConditionTable,
) -> Iterator[State]:
    """Give states whose numbers change evenly, and whose labels change where those of the training cells do.

    Parameters
    ----------
    start, target
        Conditions of ``B`` cells at both ends.
    weights
        Fraction of the way at each state.
    name
        The number that labels change along.
    conditions
        Conditions of the model.
    training
        Those of the training cells.

    Returns
    -------
    The states.

    Raises
    ------
    UnknownNameError
        The model has no such condition.
    SettingError
        It is no number, an end lacks it, or no training cell with a number has the labels of an end.
    """
    at = _position(name, conditions, start=start, target=target)
    ways, which = np.unique(np.concatenate([start.codes, target.codes], axis=1), axis=0, return_inverse=True)
    courses = []
    for way in ways:
        here, there = np.split(way, 2)
        courses.append(_course(here, there, name=name, at=at, conditions=conditions, training=training))
    rows_of_way = [np.flatnonzero(which.ravel() == way) for way in range(len(ways))]

    def states() -> Iterator[State]:
        for even in states_between(start, target, weights):
            weight, here, there = even.weight.copy(), even.start.values.copy(), even.target.values.copy()
            for course, rows in zip(courses, rows_of_way, strict=True):
                ends = start.values[rows, at], target.values[rows, at]
                found = course.at(even.numbers[rows, at], ends, even.weight[rows])
                weight[rows], here[rows, at], there[rows, at] = found
            sides = ConditionTable(start.codes, here), ConditionTable(target.codes, there)
            yield State(weight, *sides, even.numbers)

    return states()


def _position(name: str, conditions: Conditions, *, start: ConditionTable, target: ConditionTable) -> int:
    """Find the number that labels change along, which all cells need at both ends."""
    conditions.require(name)
    if name not in conditions.continuous:
        msg = f"`along` is {name!r}, a condition with labels; expected a number, one of {list(conditions.continuous)}."
        raise SettingError(msg + " Name the time or the dose along which cells change.")
    at = list(conditions.continuous).index(name)
    missing = int(np.isnan(start.values[:, at]).sum())
    if missing:
        msg = f"`along` is {name!r}, and {missing:,} of {len(start):,} start cells have no such number; expected one"
        raise SettingError(msg + " each. Fill the column, or leave these cells out.")
    if bool((start.values[:, at] == target.values[:, at]).all()) or bool(np.isnan(target.values[:, at]).any()):
        msg = f"`along` is {name!r}, and `to` does not change it; expected the number that the cells reach, such as"
        raise SettingError(msg + f" {{{name!r}: {conditions.continuous[name].max:g}}}. Put it into `to`.")
    return at


class _Bracket(NamedTuple):
    """Measured numbers of training cells of the same labels: states lie between the two next to them."""

    numbers: Numbers

    def at(
        self, numbers: Numbers, ends: tuple[Numbers, Numbers], fraction: Numbers
    ) -> tuple[Numbers, Numbers, Numbers]:
        """Find the weight of the measured number behind a number, that before it, and that behind it."""
        del ends, fraction
        last = len(self.numbers) - 1
        behind = np.searchsorted(self.numbers, numbers)
        high = self.numbers[np.minimum(behind, last)]
        low = np.where(high == numbers, high, self.numbers[np.maximum(behind - 1, 0)])
        beyond = (numbers < self.numbers[0]) | (numbers > self.numbers[-1])
        low, high = np.where(beyond, numbers, low), np.where(beyond, numbers, high)
        width = high - low
        return np.where(width > 0.0, (numbers - low) / np.where(width > 0.0, width, 1.0), 0.0), low, high


@dataclass(frozen=True, eq=False)
class _Course:
    """How training cells go from some labels to others as a number changes."""

    numbers: Numbers
    """Numbers at which they were measured, rising."""
    fractions: NDArray[np.float64]
    """Fraction of the target's labels at each, monotone."""
    ranges: tuple[tuple[float, float], tuple[float, float]]
    """Least and largest number with the labels of the start, and with those of the target."""

    def at(
        self, numbers: Numbers, ends: tuple[Numbers, Numbers], fraction: Numbers
    ) -> tuple[Numbers, Numbers, Numbers]:
        """Find the weight of the target, and the numbers of start and target, no further than they were measured."""
        first, now, last = (np.interp(one, self.numbers, self.fractions) for one in (ends[0], numbers, ends[1]))
        whole = np.maximum(last - first, 0.0)
        weight = np.clip(now - first, 0.0, whole) + (1.0 - whole) * fraction  # evenly, as far as labels do not change
        here, there = (
            np.clip(numbers, np.minimum(end, low), np.maximum(end, high))
            for end, (low, high) in zip(ends, self.ranges, strict=True)
        )
        return np.clip(weight, 0.0, 1.0), here, there


def _course(
    start: NDArray[np.int64],
    target: NDArray[np.int64],
    *,
    name: str,
    at: int,
    conditions: Conditions,
    training: ConditionTable,
) -> _Bracket | _Course:
    """Learn one way from the training cells that have the labels of its ends, by isotonic regression."""
    changes, numbers = start != target, training.values[:, at]
    known = ~np.isnan(numbers)
    if not changes.any():
        own = known & (training.codes == start).all(axis=1)
        return _Bracket(np.unique(numbers[own if own.any() else known]))
    sides = [known & (training.codes == end)[:, changes].all(axis=1) for end in (start, target)]
    for end, side in zip((start, target), sides, strict=True):
        if not side.any():
            labels = conditions.decode(ConditionTable(end[None], training.values[:1])).iloc[0]
            wanted = {key: labels[key] for key, one in zip(conditions.categorical, changes, strict=True) if one}
            msg = f"No training cell with {name!r} has {wanted}, so that where labels change along {name!r} is not"
            raise SettingError(msg + " known; expected labels that training cells have. Leave `along` out.")
    averages = [float(np.average(numbers[side], weights=training.counts[side])) for side in sides]
    sign = 1.0 if averages[1] >= averages[0] else -1.0
    kept = (
        _without_last(sides[0], sign * numbers, training.counts),
        _without_last(sides[1], -sign * numbers, training.counts),
    )
    rows = np.flatnonzero(kept[0] | kept[1])
    measured, which = np.unique(numbers[rows], return_inverse=True)
    n_cells = np.bincount(which.ravel(), training.counts[rows])
    fractions = np.bincount(which.ravel(), training.counts[rows] * kept[1][rows]) / n_cells
    monotone = isotonic_regression(fractions, weights=n_cells, increasing=sign > 0.0).x
    ranges = [(float(numbers[side].min()), float(numbers[side].max())) for side in kept]
    return _Course(measured, monotone, (ranges[0], ranges[1]))


def _without_last(side: NDArray[np.bool_], numbers: Numbers, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Leave out the cells of one side with the largest numbers: stragglers, which are not where the others end."""
    rows = np.flatnonzero(side)
    rows = rows[np.argsort(numbers[rows], kind="stable")]
    n_cells = np.cumsum(counts[rows])
    last = numbers[rows[np.searchsorted(n_cells, (1.0 - _STRAGGLERS) * n_cells[-1])]]
    within: NDArray[np.bool_] = numbers <= last
    return side & within
