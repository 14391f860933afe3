"""Combinations that were trained, and what lies between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scdiffuse.calibration import CalibrationConfig, ConditionGrid
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


def test_there_is_no_grid_without_conditions_or_a_cell_that_has_all() -> None:
    assert ConditionGrid.of([2, 2], rows_of(SOME)) is not None
    assert ConditionGrid.of([], rows_of([[], []])) is None
    assert ConditionGrid.of([2, 2], rows_of([[-1, 0], [1, -1]])) is None


def test_a_number_of_many_values_has_no_grid() -> None:
    table = rows_of([[]] * 40, [[float(at)] for at in range(40)])
    assert ConditionGrid.of([], table) is None
    assert ConditionGrid.of([], table, CalibrationConfig(most_grid_values=40)) is not None
    few = rows_of([[]] * 4, [[float(at)] for at in range(4)])
    assert ConditionGrid.of([], few) is not None
    assert ConditionGrid.of([], few, CalibrationConfig(most_grid_values=3)) is None


def test_positions_are_labels_and_steps_between_grid_values(grid: ConditionGrid) -> None:
    asked = rows_of([[0], [1], [0], [1], [0], [-1]], [[1.0], [0.5], [2.0], [3.5], [np.nan], [0.0]])
    assert grid.positions(asked).tolist() == [[0, 1.0], [1, 0.5], [0, 1.5], [1, -1], [0, -1], [-1, 0]]
    assert grid.encode(asked).tolist() == [[0, 1], [1, -1], [0, -1], [1, -1], [0, -1], [-1, 0]]


def test_places_around_a_position_interpolate_between_them(grid: ConditionGrid) -> None:
    assert grid.places(np.array([1.0, 0.5])) == [((1, 4), 1.0)]
    (low, first), (high, second) = grid.places(np.array([0.0, 1.3]))
    assert (low, high) == ((0, 10), (0, 11))
    assert first == pytest.approx(0.6)
    assert second == pytest.approx(0.4)


def test_corners_are_the_grid_values_on_both_sides_or_the_one_that_is_met(grid: ConditionGrid) -> None:
    between = grid.corners((1, 10))
    assert between.codes.tolist() == [[1, 1], [1, 2]]
    assert between.weights.tolist() == [0.75, 0.25]
    assert between.distance == 0.75
    met = grid.corners((0, 8))
    assert met.codes.tolist() == [[0, 1]]
    assert met.weights.tolist() == [1.0]
    assert met.distance == 0.0


def test_what_was_not_trained_is_known(grid: ConditionGrid) -> None:
    assert (grid.find(np.array([[0, 2], [1, 2], [1, 0]])) < 0).tolist() == [False, True, False]


def test_a_place_is_written_as_conditions_again(grid: ConditionGrid) -> None:
    asked = grid.conditions((1, 12))
    assert asked.codes.tolist() == [[1]]
    assert asked.values.tolist() == [[2.0]]
    assert grid.positions(asked).tolist() == [[1, 1.5]]


def _uneven(**settings: int) -> ConditionGrid:
    """Five labels of 10, 400, 100, 50 cells and 1 cell."""
    table = replace(rows_of([[at] for at in range(5)]), counts=np.array([10, 400, 100, 50, 1]))
    grid = ConditionGrid.of([5], table, CalibrationConfig(**settings))  # type: ignore[arg-type]
    assert grid is not None
    return grid


def test_rare_combinations_are_those_of_few_cells_the_rarer_the_fewer() -> None:
    assert _uneven().rare.tolist() == [0, 3, 4]
    assert _uneven().rarity.tolist() == pytest.approx([0.9, 0.5, 0.99])
    assert _uneven(rare_cells=20).rare.tolist() == [0, 4]
    assert _uneven(rare_cells=20).rarity.tolist() == pytest.approx([0.5, 0.95])
    assert _uneven(rare_cells=1).rare.tolist() == []


def test_the_rarest_of_the_most_frequent_combinations_are_kept() -> None:
    assert _uneven(most_combinations=4).pooled.tolist() == [0, 1, 2, 3]
    assert _uneven(most_combinations=4, most_rare=1).rare.tolist() == [0]
    assert _uneven(most_rare=2).rare.tolist() == [0, 4]
    assert _uneven(most_rare=0).rare.tolist() == []


def test_groups_are_pooled_combinations_and_a_last_one_for_the_rest(grid: ConditionGrid) -> None:
    asked = rows_of([[0], [1], [1], [-1], [0]], [[3.0], [1.0], [np.nan], [0.0], [0.5]])
    group_of, n_groups = grid.groups(asked)
    assert n_groups == 6
    assert grid.seen[group_of[:2]].tolist() == [[0, 2], [1, 1]]
    assert group_of[2:].tolist() == [5, 5, 5]


def test_a_combination_has_a_place(grid: ConditionGrid) -> None:
    row = int(grid.find(np.array([[1, 1]]))[0])
    assert grid.place_of(row) == [1, 8]
