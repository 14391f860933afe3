"""How far to trust each of many cells: the verdicts of `Support`, computed for all of them at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.slots import OBS_SUPPORT
from scdiffuse.cells import ConditionTable
from scdiffuse.model import FittedModel
from scdiffuse.sampling._coverage import SLACK, Verdict, expect_error, is_marked, matches, verdict_of

__all__ = ["Verdicts"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Verdicts:
    """Verdicts of the cells of a model."""

    model: FittedModel
    _errors: dict[bytes, float | None] = field(default_factory=dict)
    """Expected errors of the combinations that were asked before."""

    def mark(self, obs: pd.DataFrame, table: ConditionTable) -> pd.DataFrame:
        """Add the verdict of each cell.

        Parameters
        ----------
        obs
            Columns of ``B`` cells.
        table
            Their conditions.

        Returns
        -------
        The columns, with ``support`` (a category) where cells can have unseen conditions.
        """
        if not is_marked(self.model.conditions) or OBS_SUPPORT in self.model.conditions.names:
            return obs
        verdicts = pd.Categorical(self.of(table), categories=list(get_args(Verdict)))
        return obs.assign(**{OBS_SUPPORT: verdicts})

    def of(self, table: ConditionTable) -> list[Verdict]:
        """Find the verdict of each cell, as `Support.verdict` has it for one."""
        training, found = self.model.trained_on, np.empty(len(table), dtype=object)
        labels, which = np.unique(table.codes, axis=0, return_inverse=True)
        for at, codes in enumerate(labels):
            rows = np.flatnonzero(which.ravel() == at)
            known = matches(training.codes, codes)
            asked, near = table.take(rows), training.take(known) if known.any() else training
            is_measured, is_outside = _place(asked.values, near.values)
            errors = [None] * len(rows) if known.any() else self._expected_errors(asked)
            found[rows] = [
                verdict_of(is_trained=bool(known.any()), is_measured=measured, is_outside=outside, expected_error=error)
                for measured, outside, error in zip(is_measured.tolist(), is_outside.tolist(), errors, strict=True)
            ]
        return list(found)

    def _expected_errors(self, table: ConditionTable) -> list[float | None]:
        """Look up the expected error of each cell, once for all numbers that are nearest to the same grid values."""
        expected = self.model.networks.expected
        if expected is None:
            return [None] * len(table)
        # A number that is missing is no demand, one out of range is; neither has a position.
        asked = np.concatenate([np.rint(expected.grid.positions(table)), np.isnan(table.values)], axis=1)
        places, first, which = np.unique(asked, axis=0, return_index=True, return_inverse=True)
        for place, row in zip(places, first, strict=True):
            if place.tobytes() not in self._errors:
                self._errors[place.tobytes()] = expect_error(expected, table.take(slice(row, row + 1)))
        return [self._errors[places[at].tobytes()] for at in which.ravel()]


def _place(asked: NDArray[np.float32], held: NDArray[np.float32]) -> tuple[Mask, Mask]:
    """Tell which cells have measured numbers only, and which have one out of the range; a missing one is no demand."""
    is_measured, is_outside = np.ones(len(asked), dtype=bool), np.zeros(len(asked), dtype=bool)
    for column, measured in zip(asked.T, held.T, strict=True):
        values = np.sort(measured[~np.isnan(measured)])
        given = ~np.isnan(column)
        if not values.size:
            is_outside |= given
            continue
        above = np.searchsorted(values, column)
        sides = [values[(above - back).clip(0, len(values) - 1)] for back in (0, 1)]
        gap = np.min([np.abs(column - side) for side in sides], axis=0)
        is_measured &= ~given | (gap <= SLACK)
        is_outside |= given & ((column < values[0] - SLACK) | (column > values[-1] + SLACK))
    return is_measured, is_outside
