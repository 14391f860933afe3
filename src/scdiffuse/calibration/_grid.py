"""Combinations of labels and of grid values of numbers: which were trained, and what lies between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse.calibration._config import CalibrationConfig
from scdiffuse.cells import ConditionTable

__all__ = ["ConditionGrid", "Corners"]

_BETWEEN = 8  # steps from one grid value to the next, at which gene factors are found
_ON_GRID = 1e-5  # of a step: what float32 makes of a number


class Corners(NamedTuple):
    """Combinations that a request lies between, or the one that it is."""

    codes: NDArray[np.int64]
    """Labels, and grid values of numbers behind them, shape ``(U, C)``."""
    weights: NDArray[np.float64]
    """How near each is, shape ``(U,)``, summing to 1."""
    distance: float
    """How far from the nearest: 0 at a combination, 1 in the middle between two."""


@dataclass(frozen=True, eq=False)
class ConditionGrid:
    """The combinations of labels, and of numbers measured at few values, that a model was trained on."""

    n_labels: tuple[int, ...]
    """Number of labels of each categorical condition, then of the grid values of each number."""
    values: tuple[NDArray[np.float32], ...]
    """Grid values of each number, rising."""
    seen: NDArray[np.int64]
    """Codes of the trained combinations, none missing, shape ``(M, C)``."""
    n_cells: NDArray[np.int64]
    """Training cells of each, shape ``(M,)``."""
    config: CalibrationConfig

    @classmethod
    def of(
        cls, n_labels: Sequence[int], training: ConditionTable, config: CalibrationConfig | None = None
    ) -> ConditionGrid | None:
        """Find the grid, or nothing if no cell has all labels, or a number takes too many values.

        Parameters
        ----------
        n_labels
            Number of labels of each categorical condition.
        training
            Conditions of the training cells.
        config
            Settings; the defaults if not given.
        """
        config = config or CalibrationConfig()
        values = tuple(np.unique(column[~np.isnan(column)]) for column in training.values.T)
        if any(len(grid) > config.most_grid_values for grid in values):
            return None
        nothing = np.zeros((0, 0), np.int64)
        found = cls((*n_labels, *(len(grid) for grid in values)), values, nothing, nothing, config)
        if not found.n_labels:
            return None
        codes, which = np.unique(found.encode(training), axis=0, return_inverse=True)
        n_cells = np.bincount(which.ravel(), weights=training.counts, minlength=len(codes)).astype(np.int64)
        complete = (codes >= 0).all(axis=1)
        return replace(found, seen=codes[complete], n_cells=n_cells[complete]) if complete.any() else None

    @property
    def pooled(self) -> NDArray[np.int64]:
        """Rows of `seen` whose counts are added up, rising."""
        return np.sort(np.argsort(-self.n_cells, kind="stable")[: self.config.most_combinations])

    @property
    def rare(self) -> NDArray[np.int64]:
        """Rows of `seen`, among those pooled, with so few cells that networks draw them towards others."""
        rows = self.pooled[self.n_cells[self.pooled] < self.config.rare_cells]
        return np.sort(rows[np.argsort(self.n_cells[rows], kind="stable")[: self.config.most_rare]])

    @property
    def rarity(self) -> NDArray[np.float64]:
        """How rare each of the `rare` combinations is: 1 without cells, 0 with enough."""
        rarity: NDArray[np.float64] = 1.0 - self.n_cells[self.rare] / self.config.rare_cells
        return rarity

    def groups(self, table: ConditionTable) -> tuple[NDArray[np.int64], int]:
        """Find the pooled combination of each cell.

        Parameters
        ----------
        table
            Conditions of ``N`` cells.

        Returns
        -------
        Group of each cell, shape ``(N,)``, the last one for all that are in no pooled combination; and how many groups
        there are.
        """
        n_pooled = len(self.pooled)
        group = np.full(len(self.seen) + 1, n_pooled)  # the last of them is where -1 points to
        group[self.pooled] = np.arange(n_pooled)
        codes, which = np.unique(self.encode(table), axis=0, return_inverse=True)
        return group[self.find(codes)][which.ravel()], n_pooled + 1

    def encode(self, table: ConditionTable) -> NDArray[np.int64]:
        """Write numbers as grid values behind the labels, shape ``(N, C)``; -1 is missing or not on the grid."""
        positions = self.positions(table)
        return np.where(np.abs(positions - np.rint(positions)) < _ON_GRID, np.rint(positions), -1).astype(np.int64)

    def positions(self, table: ConditionTable) -> NDArray[np.float64]:
        """Find where conditions lie: labels, then each number in steps from grid value to grid value, from 0.

        Parameters
        ----------
        table
            Conditions of ``N`` cells.

        Returns
        -------
        Shape ``(N, C)``; -1 is missing or outside of what was measured.
        """
        columns = [table.codes.astype(np.float64)]
        for column, grid in zip(table.values.T, self.values, strict=True):
            at = np.interp(column, grid, np.arange(len(grid)), left=-1.0, right=-1.0) if len(grid) else -1.0
            columns.append(np.where(np.isnan(column), -1.0, at)[:, None])
        return np.concatenate(columns, axis=1)

    def places(self, position: NDArray[np.float64]) -> list[tuple[tuple[int, ...], float]]:
        """Find the places around a position, with weights that interpolate between them linearly.

        Places lie at grid values and at seven values between each two of them; labels are as they are.

        Parameters
        ----------
        position
            One row of what `positions` returned, nothing missing.

        Returns
        -------
        Places, whose numbers count eighths of a step, with weights that sum to 1; a position on a place has that alone.
        """
        n = len(position) - len(self.values)
        numbers = []
        for at in position[n:] * _BETWEEN:
            low = int(np.rint(at)) if abs(at - np.rint(at)) < _ON_GRID else int(np.floor(at))
            numbers.append((low, float(at - low) if at - low > _ON_GRID else 0.0))
        return _around([int(code) for code in position[:n]], numbers)

    def place_of(self, row: int) -> list[int]:
        """Return the place of a combination, a row of `seen`."""
        n = len(self.n_labels) - len(self.values)
        return [*self.seen[row, :n].tolist(), *(_BETWEEN * self.seen[row, n:]).tolist()]

    def corners(self, place: Sequence[int]) -> Corners:
        """Find the combinations around a place, one of those that `places` returned."""
        n = len(place) - len(self.values)
        numbers = [(at // _BETWEEN, at % _BETWEEN / _BETWEEN) for at in place[n:]]
        found = _around(place[:n], numbers)
        codes = np.array([corner for corner, _ in found], dtype=np.int64)
        weights = np.array([weight for _, weight in found])
        return Corners(codes, weights, max((4 * share * (1 - share) for _, share in numbers), default=0.0))

    def find(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find combinations, shape ``(U, C)``, among those `seen`; -1 where they were not trained."""
        places = {row.tobytes(): at for at, row in enumerate(np.ascontiguousarray(self.seen, np.int64))}
        asked = np.ascontiguousarray(codes, np.int64)
        return np.array([places.get(row.tobytes(), -1) for row in asked], dtype=np.int64)

    def conditions(self, place: Sequence[int]) -> ConditionTable:
        """Write a place as conditions again, one row."""
        n = len(place) - len(self.values)
        values = [
            np.interp(at / _BETWEEN, np.arange(len(grid)), grid)
            for at, grid in zip(place[n:], self.values, strict=True)
        ]
        return ConditionTable(np.array([place[:n]], dtype=np.int64), np.array([values], dtype=np.float32))


def _around(labels: Sequence[int], numbers: Sequence[tuple[int, float]]) -> list[tuple[tuple[int, ...], float]]:
    """List the points around a position with weights that sum to 1, given the point below each number and the rest."""
    sides: list[list[tuple[int, float]]] = [[(code, 1.0)] for code in labels]
    sides += [[(low, 1.0 - rest), *([(low + 1, rest)] if rest else [])] for low, rest in numbers]
    return [(tuple(at for at, _ in corner), math.prod(weight for _, weight in corner)) for corner in product(*sides)]
