from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError, SettingError, UnknownNameError
from scdiffuse._core.random import cell_uniforms
from scdiffuse.cells import ConditionPlan, Conditions, ConditionTable, plan_conditions

CELLS = np.arange(2000)


@pytest.fixture
def conditions(obs: pd.DataFrame) -> Conditions:
    return Conditions.from_obs(obs, ["cell_type", "treated"], ["day"])


@pytest.fixture
def training(conditions: Conditions, obs: pd.DataFrame) -> ConditionTable:
    return conditions.encode(obs)


def frame(conditions: Conditions, plan: ConditionPlan) -> pd.DataFrame:
    return conditions.decode(plan.table(np.arange(plan.n_cells)))


def test_open_conditions_follow_the_training_proportions(conditions: Conditions, training: ConditionTable) -> None:
    table = plan_conditions(conditions, training, n_cells=20_000).table(np.arange(20_000))
    drawn, held = table.distinct(), training.distinct()
    assert np.array_equal(drawn.codes, held.codes)
    assert drawn.counts / 20_000 == pytest.approx(held.counts / 60, abs=0.01)


@pytest.mark.parametrize("where", [None, {"treated": True}, {"day": 2}])
def test_a_cell_ignores_how_many_others_there_are(
    conditions: Conditions, training: ConditionTable, where: dict[str, Any] | None
) -> None:
    many = plan_conditions(conditions, training, n_cells=2000, where=where).table(CELLS)
    few = plan_conditions(conditions, training, n_cells=50, where=where).table(np.array([49, 7]))
    assert np.array_equal(few.codes, many.codes[[49, 7]])
    assert np.array_equal(few.values, many.values[[49, 7]], equal_nan=True)


def test_batches_make_no_difference(conditions: Conditions, training: ConditionTable) -> None:
    plan = plan_conditions(conditions, training, n_cells=2000)
    parts = np.concatenate([plan.table(part).codes for part in np.array_split(CELLS, 7)])
    assert np.array_equal(parts, plan.table(CELLS).codes)


def test_the_seed_changes_the_draw(conditions: Conditions, training: ConditionTable) -> None:
    first, second = (plan_conditions(conditions, training, n_cells=99, seed=seed).table(CELLS[:99]) for seed in (0, 1))
    assert not np.array_equal(first.codes, second.codes)


def test_a_given_label_is_kept_and_the_rest_suits_it(
    conditions: Conditions, training: ConditionTable, obs: pd.DataFrame
) -> None:
    cells = frame(conditions, plan_conditions(conditions, training, n_cells=500, where={"cell_type": "NK"}))
    assert (cells["cell_type"] == "NK").all()
    suited = obs[obs["cell_type"] == "NK"]
    assert set(zip(cells["treated"], cells["day"].fillna(-1), strict=True)) == set(
        zip(suited["treated"], suited["day"].fillna(-1), strict=True)
    )


def test_a_given_number_is_kept_and_the_rest_is_drawn_near_it(conditions: Conditions) -> None:
    obs = pd.DataFrame({"cell_type": ["early"] * 5 + ["late"] * 5, "treated": [True, False] * 5})
    obs["day"] = [0.0] * 5 + [9.0] * 5
    conditions = Conditions.from_obs(obs, ["cell_type", "treated"], ["day"])
    cells = frame(conditions, plan_conditions(conditions, conditions.encode(obs), n_cells=50, where={"day": 8.0}))
    assert (cells["day"] == 8.0).all()
    assert (cells["cell_type"] == "late").all()


def matching(training: ConditionTable, codes: NDArray[np.int64], values: NDArray[np.float32]) -> NDArray[np.intp]:
    """Find the training rows of one request by looking at all of them."""
    rows = np.flatnonzero(((codes < 0) | (training.codes == codes)).all(axis=1))
    asked = ~np.isnan(values)
    if not rows.size or not asked.any():
        return rows if rows.size else np.arange(len(training))
    far = np.abs(training.values[rows][:, asked] - values[asked]).max(axis=1)
    near: NDArray[np.intp] = rows[np.isnan(far).all() | (far <= max(0.1, np.nanmin([*far, np.inf]) + 1e-6))]
    return near


@pytest.mark.parametrize("given", [["u"], ["v"], ["u", "v"], ["type", "u"], ["type", "batch", "v"]], ids="-".join)
def test_rows_are_drawn_as_if_all_of_them_were_looked_at(given: list[str]) -> None:
    draw = np.random.default_rng(0)
    obs = pd.DataFrame({"type": np.array(["a", "b", "c"])[draw.integers(0, 3, 300)], "batch": draw.integers(0, 2, 300)})
    obs["u"] = np.where(draw.random(300) < 0.1, np.nan, draw.normal(size=300).round(2))
    obs["v"] = np.where(draw.random(300) < 0.1, np.nan, draw.exponential(size=300))
    conditions = Conditions.from_obs(obs, ["type", "batch"], ["u", "v"])
    asked = obs.sample(150, random_state=0)[given].reset_index(drop=True)
    for name in {"u", "v"} & {*given}:
        asked[name] += np.where(draw.random(150) < 0.5, draw.normal(size=150) * 2, 0.0)  # some far from all
    plan = plan_conditions(conditions, conditions.encode(obs), where=asked, seed=5)
    requests, training = conditions.encode(asked, partial=True), conditions.encode(obs).distinct()
    found = plan.table(np.arange(150))
    for cell, uniform in enumerate(cell_uniforms(5, "conditions", np.arange(150))):
        rows = matching(training, requests.codes[cell], requests.values[cell])
        ends = np.cumsum(training.counts[rows])
        row = rows[np.searchsorted(ends, uniform * ends[-1], side="right")]
        expected = [
            *np.where(plan.drawn_codes, training.codes[row], requests.codes[cell]),
            *np.where(plan.drawn_values, training.values[row], requests.values[cell]),
        ]
        np.testing.assert_array_equal([*found.codes[cell], *found.values[cell]], expected)


def test_numbers_of_many_cells_share_the_rows_of_their_labels() -> None:
    obs = pd.DataFrame({"type": ["a", "b"] * 150, "u": np.random.default_rng(0).normal(size=300)})
    conditions = Conditions.from_obs(obs, ["type"], ["u"])
    plan = plan_conditions(conditions, conditions.encode(obs), where=obs[["u"]])
    assert len(plan.pools) == 1


def test_a_combination_never_seen_is_generated_all_the_same(conditions: Conditions) -> None:
    obs = pd.DataFrame({"cell_type": ["T", "T", "B", "B"], "treated": [True, True, False, False], "day": [0, 1, 2, 3]})
    conditions = Conditions.from_obs(obs, ["cell_type", "treated"], ["day"])
    where = {"cell_type": "T", "treated": False}
    cells = frame(conditions, plan_conditions(conditions, conditions.encode(obs), n_cells=400, where=where))
    assert (cells["cell_type"] == "T").all()
    assert (cells["treated"] == False).all()  # noqa: E712 - a category, not a boolean
    assert set(cells["day"]) == {0, 1, 2, 3}


def test_none_asks_for_the_null(conditions: Conditions, training: ConditionTable) -> None:
    table = plan_conditions(conditions, training, n_cells=9, where={"cell_type": None, "day": None}).table(CELLS[:9])
    assert (table.codes[:, 0] == -1).all()
    assert np.isnan(table.values).all()
    assert (table.codes[:, 1] >= 0).all()


def test_a_table_gives_one_row_a_cell(conditions: Conditions, training: ConditionTable) -> None:
    asked = pd.DataFrame({"day": [3.0, np.nan, 1.25], "treated": [True, False, None], "cell_type": ["B", None, "T"]})
    plan = plan_conditions(conditions, training, where=asked)
    cells = frame(conditions, plan)
    assert plan.n_cells == 3
    assert cells["day"].fillna(-1).tolist() == [3.0, -1, 1.25]
    assert cells["cell_type"].astype(object).fillna("none").tolist() == ["B", "none", "T"]


def test_a_table_of_one_row_is_one_cell(conditions: Conditions, training: ConditionTable) -> None:
    plan = plan_conditions(conditions, training, where=pd.DataFrame({"cell_type": ["B"]}))
    assert frame(conditions, plan)["cell_type"].tolist() == ["B"]


def test_a_label_may_be_an_array_of_no_dimension(conditions: Conditions, training: ConditionTable) -> None:
    plan = plan_conditions(conditions, training, n_cells=1, where={"cell_type": np.array("B")})
    assert frame(conditions, plan)["cell_type"].tolist() == ["B"]


def test_a_table_with_counts_repeats_its_rows(conditions: Conditions, training: ConditionTable) -> None:
    asked = pd.DataFrame({"cell_type": ["B", "T", "NK"], "n_cells": [2, 0, 3]}, index=["x", "x", "x"])
    cells = frame(conditions, plan_conditions(conditions, training, where=asked))
    assert cells["cell_type"].tolist() == ["B"] * 2 + ["NK"] * 3
    assert cells["treated"].notna().all()


@pytest.mark.parametrize("name", ["n_cells", "n"])
def test_a_condition_may_be_called_like_the_number_of_cells(name: str) -> None:
    obs = pd.DataFrame({name: [1, 1, 2, 2]})
    conditions = Conditions.from_obs(obs, [name], [])
    plan = plan_conditions(conditions, conditions.encode(obs), where=pd.DataFrame({name: [2, 2, 1]}))
    assert frame(conditions, plan)[name].tolist() == [2, 2, 1]


def test_a_column_that_is_no_condition_is_refused(conditions: Conditions, training: ConditionTable) -> None:
    with pytest.raises(UnknownNameError, match="'n' is not a condition of this model"):
        plan_conditions(conditions, training, where=pd.DataFrame({"cell_type": ["B"], "n": [2]}))


def test_a_model_without_conditions_generates_too(obs: pd.DataFrame) -> None:
    none = Conditions.from_obs(obs)
    assert len(plan_conditions(none, none.encode(obs), n_cells=7).table(CELLS[:7])) == 7


def test_an_untrained_condition_is_refused(conditions: Conditions, training: ConditionTable) -> None:
    for where in ({"donr": "d3"}, pd.DataFrame({"donr": ["d3", "d4"]})):
        with pytest.raises(UnknownNameError, match=r"'donr' is not a condition of this model; expected one of"):
            plan_conditions(conditions, training, n_cells=2, where=where)


def test_an_untrained_label_is_refused(conditions: Conditions, training: ConditionTable) -> None:
    with pytest.raises(UnknownNameError, match=r"'absent' is not a trained label of 'cell_type'; .* 'T', 'NK', 'B'"):
        plan_conditions(conditions, training, n_cells=2, where={"cell_type": "absent"})


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"day": "late"}, "continuous condition 'day' holds 'late'"),
        ({"cell_type": ["T", "B"]}, "gives 'cell_type' 2 values; expected one label .* Pass a table"),
        ({"cell_type": pd.Index(["T"])}, "gives 'cell_type' 1 values; expected one label"),
        (pd.DataFrame([["T", "B"]], columns=["cell_type"] * 2), "table `where` has several columns 'cell_type'"),
        (pd.DataFrame([["T", 1, 1]], columns=["cell_type", *["n_cells"] * 2]), "has several columns 'n_cells'"),
    ],
)
def test_values_that_make_no_sense_are_refused(
    conditions: Conditions, training: ConditionTable, where: dict[str, Any] | pd.DataFrame, words: str
) -> None:
    with pytest.raises(ConditionError, match=words):
        plan_conditions(conditions, training, n_cells=2, where=where)


@pytest.mark.parametrize(
    ("n_cells", "where", "words"),
    [
        (None, None, "`n_cells` is missing; expected the number of cells"),
        (0, None, "`n_cells` must be at least 1, got 0"),
        (2.5, None, r"`n_cells` must be at least 1, got 2\.5; expected a whole number"),
        ("5", None, "`n_cells` must be at least 1, got '5'; expected a whole number"),
        (5, pd.DataFrame({"treated": [True, False]}), "`n_cells` is 5, but the table `where` has 2 cells"),
        (
            None,
            pd.DataFrame({"treated": [True], "n_cells": [1.5]}),
            "column 'n_cells' of `where` must hold whole numbers",
        ),
        (None, pd.DataFrame({"treated": []}), "has 0 rows and 1 columns; expected at least one each"),
    ],
)
def test_cell_numbers_that_make_no_sense_are_refused(
    conditions: Conditions, training: ConditionTable, n_cells: int | None, where: pd.DataFrame | None, words: str
) -> None:
    with pytest.raises(SettingError, match=words):
        plan_conditions(conditions, training, n_cells=n_cells, where=where)


@pytest.mark.parametrize("where", ["B", ["B", "T"], pd.Series({"cell_type": "B"}), 3])
def test_what_is_neither_mapping_nor_table_is_refused(
    conditions: Conditions, training: ConditionTable, where: Any
) -> None:
    with pytest.raises(SettingError, match=r"`where` is of type .*; expected a mapping .* `row.to_dict\(\)`"):
        plan_conditions(conditions, training, n_cells=3, where=where)
