"""Combinations that were trained, and what lies between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scdiffuse.calibration import _grid as levels_module
from scdiffuse.calibration._grid import ConditionGrid
from scdiffuse.cells import ConditionTable


def rows_of(codes: list[list[int]], values: list[list[float]] | None = None) -> ConditionTable:
    numbers = np.zeros((len(codes), 0)) if values is None else np.array(values)
    return ConditionTable(np.array(codes, dtype=np.int64), numbers.astype(np.float32))


SOME = [[0, 0], [0, 1], [1, 0], [-1, 1]]


@pytest.fixture
def grid() -> ConditionGrid:
    """Two labels at the times 0, 1 and 3; the second label was not measured at time 3."""
    times = [0.0, 1.0, 3.0, 0.0, 1.0, np.nan]
    found = ConditionGrid.of([2], rows_of([[0], [0], [0], [1], [1], [1]], [[time] for time in times]))
    assert found is not None
    return found


def test_there_are_no_levels_without_conditions_or_a_cell_that_has_all() -> None:
    assert ConditionGrid.of([2, 2], rows_of(SOME)) is not None
    assert ConditionGrid.of([], rows_of([[], []])) is None
    assert ConditionGrid.of([2, 2], rows_of([[-1, 0], [1, -1]])) is None


def test_a_number_of_many_values_has_no_levels() -> None:
    table = rows_of([[]] * 40, [[float(at)] for at in range(40)])
    assert ConditionGrid.of([], table) is None
    assert ConditionGrid.of([], rows_of([[]] * 4, [[float(at)] for at in range(4)])) is not None


def test_places_are_labels_and_eighths_between_levels(grid: ConditionGrid) -> None:
    asked = rows_of([[0], [1], [0], [1], [0], [-1]], [[1.0], [0.5], [2.0], [3.5], [np.nan], [0.0]])
    assert grid.place(asked).tolist() == [[0, 8], [1, 4], [0, 12], [1, -1], [0, -1], [-1, 0]]


def test_corners_are_the_levels_on_both_sides_or_the_one_that_is_met(grid: ConditionGrid) -> None:
    between = grid.corners((1, 10))
    assert between.codes.tolist() == [[1, 1], [1, 2]]
    assert between.fractions.tolist() == [0.75, 0.25]
    assert between.distance == 0.75
    met = grid.corners((0, 8))
    assert met.codes.tolist() == [[0, 1]]
    assert met.fractions.tolist() == [1.0]
    assert met.distance == 0.0


def test_what_was_not_trained_is_known(grid: ConditionGrid) -> None:
    assert (grid.find(np.array([[0, 2], [1, 2], [1, 0]])) < 0).tolist() == [False, True, False]


def test_a_place_is_written_as_conditions_again(grid: ConditionGrid) -> None:
    asked = grid.conditions((1, 12))
    assert asked.codes.tolist() == [[1]]
    assert asked.values.tolist() == [[2.0]]
    assert grid.place(asked).tolist() == [[1, 12]]


def test_few_are_the_rarest_that_are_pooled_and_need_help_the_more_the_fewer_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = replace(rows_of([[at] for at in range(5)]), counts=np.array([10, 400, 100, 50, 1]))
    grid = ConditionGrid.of([5], table)
    assert grid is not None
    assert grid.few.tolist() == [0, 3, 4]
    assert grid.need.tolist() == pytest.approx([0.9, 0.5, 0.99])
    monkeypatch.setattr(levels_module, "_MOST_POOLED", 4)
    assert grid.pooled.tolist() == [0, 1, 2, 3]
    monkeypatch.setattr(levels_module, "_MOST_FEW", 1)
    assert grid.few.tolist() == [0]


def test_a_combination_has_a_place(grid: ConditionGrid) -> None:
    row = int(grid.find(np.array([[1, 1]]))[0])
    assert grid.place_of(row) == [1, 8]
