"""States of a trajectory: where labels change along a number, exact on few cells."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.sampling.test_predict import conditional_mean

from scdiffuse._core.errors import SettingError, UnknownNameError
from scdiffuse.cells import ConditionRange, Conditions, ConditionTable
from scdiffuse.generator import CellGenerator
from scdiffuse.sampling._states import State, states_along, states_between

A, B = 0, 1
CONDITIONS = Conditions(
    categorical={"type": ("A", "B"), "sex": ("f", "m")},
    continuous={"day": ConditionRange(0.0, 6.0, 0.0, 1.0), "dose": ConditionRange(0.0, 1.0, 0.0, 1.0)},
)
GAP: list[tuple[float, int]] = [(0, A), (1, A), (2, A), (4, B), (5, B), (6, B)]


def table(*rows: tuple[float, int], sex: int = 0) -> ConditionTable:
    """Cells of some days and types."""
    days, types = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    codes = np.stack([types, np.full(len(rows), sex)], axis=1).astype(np.int64)
    return ConditionTable(codes, np.stack([days, np.full(len(rows), np.nan)], axis=1).astype(np.float32))


def follow(
    start: ConditionTable, target: ConditionTable, training: list[tuple[float, int]], *, n: int = 7, name: str = "day"
) -> list[State]:
    """Go from one to the other in states that are evenly spaced."""
    weights = np.linspace(0.0, 1.0, n, dtype=np.float32)
    return list(states_along(start, target, weights, name=name, conditions=CONDITIONS, training=table(*training)))


def days(states: list[State], side: str) -> list[float]:
    """Days of the first cell."""
    return [round(float(getattr(state, side).values[0, 0]), 4) for state in states]


def weights(states: list[State], cell: int = 0) -> list[float]:
    return [round(float(state.weight[cell]), 4) for state in states]


def test_without_a_number_to_follow_everything_changes_evenly() -> None:
    states = list(states_between(table((0, A)), table((6, B)), np.linspace(0, 1, 4, dtype=np.float32)))
    assert weights(states) == pytest.approx([0, 1 / 3, 2 / 3, 1], abs=1e-4)
    assert days(states, "start") == days(states, "target") == days(states, "defined") == [0, 2, 4, 6]
    assert [int(state.defined.codes[0, 0]) for state in states] == [A, -1, -1, B]


def test_labels_change_in_the_gap_between_those_of_training_cells() -> None:
    states = follow(table((0, A)), table((6, B)), GAP)
    assert weights(states) == [0, 0, 0, 0.5, 1, 1, 1]
    assert [int(state.defined.codes[0, 0]) for state in states] == [A, A, A, -1, B, B, B]
    assert days(states, "defined") == [0, 1, 2, 3, 4, 5, 6]


def test_no_label_is_asked_for_where_it_was_not_measured() -> None:
    states = follow(table((0, A)), table((6, B)), GAP)
    assert days(states, "start") == [0, 1, 2, 2, 2, 2, 2]
    assert days(states, "target") == [4, 4, 4, 4, 4, 5, 6]


def test_the_way_back_has_the_same_states() -> None:
    there, back = follow(table((0, A)), table((6, B)), GAP), follow(table((6, B)), table((0, A)), GAP)
    assert weights(back) == [1 - weight for weight in weights(there)[::-1]]
    assert days(back, "start") == days(there, "target")[::-1]


def test_where_both_labels_were_measured_the_weight_is_their_monotone_fraction() -> None:
    training: list[tuple[float, int]] = [(0, A), (1, A), (2, B), (3, A), (3, A), (4, B), (6, B)]
    assert weights(follow(table((0, A)), table((6, B)), training)) == pytest.approx(
        [0, 0, 1 / 3, 1 / 3, 1, 1, 1], abs=1e-4
    )


def test_stragglers_do_not_hold_the_others_back() -> None:
    """One cell in thirty keeps its label until day 5; the others change between days 2 and 4."""
    early: list[tuple[float, int]] = [(day, A) for day in (0, 1, 2) for _ in range(10)]
    late: list[tuple[float, int]] = [(day, B) for day in (4, 5, 6) for _ in range(10)]
    assert weights(follow(table((0, A)), table((6, B)), [*early, *late, (5, A), (1, B)])) == [0, 0, 0, 0.5, 1, 1, 1]


def test_the_target_has_all_weight_at_the_end_and_none_at_the_start() -> None:
    """What is left of the change is gone where labels change, and the rest evenly."""
    training: list[tuple[float, int]] = [(0, A), (1, A), (2, B), (3, A), (3, A), (4, B), (6, B)]
    assert weights(follow(table((3, A)), table((5, B)), training, n=3)) == pytest.approx([0, 5 / 6, 1], abs=1e-4)
    assert weights(follow(table((2, A)), table((4, B)), training, n=5)) == pytest.approx(
        [0, 1 / 12, 1 / 6, 7 / 12, 1], abs=1e-4
    )


def test_labels_that_do_not_change_along_the_number_change_evenly() -> None:
    training: list[tuple[float, int]] = [(day, kind) for day in range(7) for kind in (A, B)]
    states = follow(table((0, A)), table((6, B)), training)
    assert weights(states) == pytest.approx([at / 6 for at in range(7)], abs=1e-4)
    assert days(states, "start") == days(states, "target") == list(range(7))


def test_each_cell_starts_at_its_own_number() -> None:
    states = follow(table((0, A), (2, A)), table((6, B), (6, B)), GAP, n=3)
    assert weights(states) == [0, 0.5, 1]
    assert weights(states, cell=1) == [0, 1, 1]


def test_a_number_between_measured_ones_is_a_blend_of_both() -> None:
    states = follow(table((0, A)), table((5, A)), [(0, A), (1, A), (5, A), (3, B)], n=6)
    assert weights(states) == pytest.approx([0, 0, 0.25, 0.5, 0.75, 0], abs=1e-4)
    assert days(states, "start") == [0, 1, 1, 1, 1, 5]
    assert days(states, "target") == [0, 1, 5, 5, 5, 5]
    assert days(states, "defined") == [0, 1, 2, 3, 4, 5]


def test_numbers_beyond_the_measured_ones_are_extrapolated() -> None:
    states = follow(table((-1, A)), table((7, A)), GAP, n=5)
    assert days(states, "start")[0] == days(states, "target")[0] == -1
    assert days(states, "start")[-1] == days(states, "target")[-1] == 7


@pytest.mark.parametrize(
    ("start", "target", "name", "error", "words"),
    [
        ((0, A), (6, B), "days", UnknownNameError, "'days' is not a condition of this model.*Did you mean 'day'"),
        ((0, A), (6, B), "sex", SettingError, "`along` is 'sex', a condition with labels; expected a number"),
        ((np.nan, A), (6, B), "day", SettingError, "1 of 1 start cells have no such number"),
        ((3, A), (3, B), "day", SettingError, "`along` is 'day', and `to` does not change it"),
        ((0, A), (np.nan, B), "day", SettingError, "`along` is 'day', and `to` does not change it"),
    ],
    ids=str,
)
def test_bad_requests_are_refused(start: Any, target: Any, name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        follow(table(start), table(target), GAP, name=name)


def test_labels_that_no_training_cell_has_are_refused() -> None:
    with pytest.raises(SettingError, match=r"No training cell with 'day' has \{'type': 'B'\}"):
        follow(table((0, A)), table((6, B)), GAP[:3])


def test_other_conditions_may_be_new() -> None:
    start, target = table((0, A), sex=1), table((6, B), sex=1)
    assert weights(follow(start, target, GAP)) == [0, 0, 0, 0.5, 1, 1, 1]


@pytest.fixture
def start(simulated: ad.AnnData) -> ad.AnnData:
    """Cells of one type."""
    chosen = (simulated.obs["cell_type"] == "T") & simulated.obs["day"].notna()
    return simulated[chosen].copy()


def latents(made: ad.AnnData, n_states: int) -> NDArray[np.float32]:
    found: NDArray[np.float32] = made.obsm["X_scdiffuse"].reshape(n_states, -1, made.obsm["X_scdiffuse"].shape[1])
    return found


def test_normal_latents_are_at_the_blend_of_measured_numbers(normal: CellGenerator, start: ad.AnnData) -> None:
    """Days were measured at 0, .5, ... 2: a state at .8 lies between those of .5 and 1."""
    first = start[start.obs["day"] == 0.0].copy()
    made = normal.trajectory(first, {"day": 2.0}, along="day", n_states=6, keep=0.5, solver_steps=64, progress=False)
    path = latents(made, 6)
    assert made.obs["day"].to_numpy().reshape(6, -1)[2] == pytest.approx(0.8)
    mean = {day: conditional_mean(normal, first, day=day) for day in (0.0, 0.5, 1.0)}
    np.testing.assert_allclose(path[2] - path[0], 0.4 * mean[0.5] + 0.6 * mean[1.0] - mean[0.0], atol=5e-3)
    assert made.obs["weight"].to_numpy().reshape(6, -1)[2] == pytest.approx(0.6)
    assert made.uns["scdiffuse"]["settings"]["along"] == "day"


def test_labels_measured_at_all_numbers_change_as_without(fitted: CellGenerator, start: ad.AnnData) -> None:
    start = start[start.obs["day"] < 2.0].copy()
    asked: dict[str, Any] = {"to": {"cell_type": "B", "day": 2.0}, "n_states": 3, "progress": False}
    made = [fitted.trajectory(start, along=along, **asked) for along in (None, "day")]
    assert made[0].obs["day"].tolist() == made[1].obs["day"].tolist()
    np.testing.assert_allclose(latents(made[0], 3)[[0, 2]], latents(made[1], 3)[[0, 2]], atol=1e-6)
