from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from scdiffuse._core.errors import ConditionError, SettingError, UnknownNameError
from scdiffuse.cells import Conditions, ConditionTable, mask_labels


@pytest.fixture
def conditions(obs: pd.DataFrame) -> Conditions:
    return Conditions.from_obs(obs, ["cell_type", "donor", "treated"], ["day"])


def test_labels_keep_category_order_or_are_sorted(conditions: Conditions) -> None:
    assert conditions.categorical["cell_type"] == ("T", "NK", "B")
    assert conditions.categorical["donor"] == (10, 11, 12, 13)
    assert conditions.categorical["treated"] == (False, True)
    assert conditions.names == ("cell_type", "donor", "treated", "day")


def test_ranges_ignore_missing_numbers(conditions: Conditions, obs: pd.DataFrame) -> None:
    days = obs["day"].dropna()
    seen = conditions.continuous["day"]
    assert (seen.min, seen.max) == (0, 4)
    assert (seen.mean, seen.std) == pytest.approx((days.mean(), days.std(ddof=0)))


def test_encoding_marks_missing_values(conditions: Conditions, obs: pd.DataFrame) -> None:
    table = conditions.encode(obs)
    assert table.codes.dtype == np.int64
    assert table.values.dtype == np.float32
    assert (table.codes[:, 0] == -1).tolist() == obs["cell_type"].isna().tolist()
    assert np.isnan(table.values[:, 0]).tolist() == obs["day"].isna().tolist()
    assert np.nanmean(table.values) == pytest.approx(0, abs=1e-6)
    assert np.nanstd(table.values) == pytest.approx(1, abs=1e-6)


def test_decoding_gives_back_what_was_encoded(conditions: Conditions, obs: pd.DataFrame) -> None:
    back = conditions.decode(conditions.encode(obs))
    assert back["cell_type"].cat.categories.tolist() == ["T", "NK", "B"]
    for name in conditions.categorical:
        given = obs[name].astype(object)
        assert (
            back[name].astype(object).where(given.notna().to_numpy(), None).tolist()
            == given.where(given.notna(), None).tolist()
        )
    assert back["day"].equals(obs["day"].reset_index(drop=True))


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (pd.Series(["b", "a"] * 4), str),
        (pd.Series([3, 1] * 4), int),
        (pd.Series([3, 1] * 4, dtype="int8"), int),
        (pd.Series([3, None] * 4, dtype="Int64"), int),
        (pd.Series([True, False] * 4), bool),
        (pd.Series([True, None] * 4, dtype="boolean"), bool),
        (pd.Series(["b", None] * 4, dtype="string"), str),
        (pd.Categorical([2, 1] * 4, categories=[2, 1, 9]), int),
        (pd.Categorical([True, False] * 4), bool),
        (pd.Series([1.0, np.nan] * 4), float),
    ],
)
def test_labels_of_every_kind_keep_it(labels: pd.Series[Any], kind: type) -> None:
    obs = pd.DataFrame({"label": labels})
    conditions = Conditions.from_obs(obs, ["label"], [])
    assert {type(label) for label in conditions.categorical["label"]} == {kind}
    back = Conditions.from_json(conditions.to_json()).decode(conditions.encode(obs))
    assert {type(label) for label in back["label"].dropna().tolist()} == {kind}
    assert back["label"].isna().tolist() == obs["label"].isna().tolist()


@pytest.mark.parametrize(
    "numbers",
    [
        pd.Series([1, 2, 5]),
        pd.Series([1, None, 5], dtype="Int64"),
        pd.Series([1.5, np.nan, 5], dtype="float32"),
        pd.Series(pd.Categorical([1.5, 2.5, 1.5])),
        pd.Series(pd.Categorical([1.5, None, 2.5])),
        pd.Series([1, None, 2.5], dtype=object),
        pd.Series([2020.0, 2020.5, 2021.0]),
        pd.Series([7.0, 7.0, 7.0]),
        pd.Series([True, False, True]),
    ],
)
def test_numbers_of_every_kind_come_back(numbers: pd.Series[Any]) -> None:
    obs = pd.DataFrame({"day": numbers})
    conditions = Conditions.from_obs(obs, [], ["day"])
    back = conditions.decode(conditions.encode(obs))["day"]
    expected = [float(one) if pd.notna(one) else None for one in numbers]
    assert [None if np.isnan(one) else one for one in back] == expected


@pytest.mark.parametrize("number", [0.1, 1 / 3, 1e-9, 12345.678])
def test_equal_numbers_have_a_standard_deviation_of_one(number: float) -> None:
    assert Conditions.from_obs(pd.DataFrame({"day": [number] * 300}), [], ["day"]).continuous["day"].std == 1.0


@pytest.mark.parametrize("dtype", ["object", "category"])
def test_empty_text_is_no_label(dtype: str) -> None:
    obs = pd.DataFrame({"type": pd.Series(["b", "", "a", " "] * 2, dtype=dtype)})
    conditions = Conditions.from_obs(obs, ["type"])
    assert conditions.categorical["type"] == ("a", "b")
    assert conditions.encode(obs).codes.ravel().tolist() == [1, -1, 0, -1] * 2


def test_columns_of_one_name_are_refused(conditions: Conditions, obs: pd.DataFrame) -> None:
    for name, again in (("donor", "cell_type"), ("day", "note")):
        twice = obs.rename(columns={again: name})
        with pytest.raises(ConditionError, match=rf"has 2 columns '{name}'; expected one. Rename or drop"):
            Conditions.from_obs(twice, ["donor"], ["day"])
        with pytest.raises(ConditionError, match=rf"has 2 columns '{name}'"):
            conditions.encode(twice, partial=True)
    with pytest.raises(ConditionError, match="has 2 columns 'donor'"):
        mask_labels(obs.rename(columns={"cell_type": "donor"}), ["donor"])


def test_a_column_whose_name_is_no_text_is_refused() -> None:
    with pytest.raises(ConditionError, match=r"column 0 of `adata.obs` has a name of type int; expected text. Run"):
        Conditions.from_obs(pd.DataFrame({0: ["a", "b"] * 3}), [0])  # type: ignore[list-item]


def test_json_is_a_round_trip(conditions: Conditions) -> None:
    assert Conditions.from_json(conditions.to_json()) == conditions


def test_labels_are_found_as_text_too(conditions: Conditions) -> None:
    table = conditions.encode(pd.DataFrame({"donor": ["12"], "treated": ["True"]}), partial=True)
    assert table.codes.tolist() == [[-1, 2, 1]]
    assert np.isnan(table.values).all()


def test_no_conditions_at_all_still_count_cells(obs: pd.DataFrame) -> None:
    none = Conditions.from_obs(obs)
    table = none.encode(obs)
    assert len(table) == len(none.decode(table)) == 60
    assert table.distinct().counts.tolist() == [60]


def test_distinct_rows_count_their_cells(conditions: Conditions, obs: pd.DataFrame) -> None:
    table = conditions.encode(obs)
    distinct = table.distinct()
    frame = conditions.decode(table)
    expected = frame.groupby(list(frame.columns), dropna=False, observed=True).size()
    assert sorted(distinct.counts) == sorted(expected)
    assert np.array_equal(distinct.distinct().counts, distinct.counts)
    assert distinct.counts.sum() == 60


def test_numbers_beyond_training_move_to_its_end(conditions: Conditions, obs: pd.DataFrame) -> None:
    table = conditions.encode(obs)
    assert np.array_equal(conditions.within(table).values, table.values, equal_nan=True)
    asked = conditions.encode(pd.DataFrame({"day": [-3.0, 1.5, np.nan, 99.0]}), partial=True)
    assert conditions.decode(conditions.within(asked))["day"].tolist() == pytest.approx(
        [0, 1.5, np.nan, 4], nan_ok=True
    )


def test_rows_are_taken_with_their_counts() -> None:
    table = ConditionTable(np.array([[0], [1]]), np.zeros((2, 0), np.float32), np.array([5, 7]))
    assert table.take(np.array([1])).counts.tolist() == [7]


def test_an_unknown_column_is_refused_with_a_guess(obs: pd.DataFrame, conditions: Conditions) -> None:
    with pytest.raises(UnknownNameError, match=r"'celltype' is not a column .* Did you mean 'cell_type'"):
        Conditions.from_obs(obs, ["celltype"], [])
    with pytest.raises(UnknownNameError, match=r"'treated' is not a column"):
        conditions.encode(obs.drop(columns="treated"))


def test_an_unknown_label_is_refused_with_a_guess(obs: pd.DataFrame, conditions: Conditions) -> None:
    with pytest.raises(UnknownNameError, match=r"'nk' is not a trained label of 'cell_type'; .* Did you mean 'NK'"):
        conditions.encode(obs.assign(cell_type="nk"))


def test_a_label_with_one_cell_is_refused(obs: pd.DataFrame) -> None:
    obs["donor"] = [*obs["donor"][:-1], 99]
    with pytest.raises(ConditionError, match=r"1 of the 5 labels in 'donor' have one cell only, such as 99; .* Merge"):
        Conditions.from_obs(obs, ["donor"], [])


def test_text_in_a_continuous_condition_is_refused(obs: pd.DataFrame) -> None:
    obs["day"] = ["E15", *obs["day"][1:]]
    with pytest.raises(ConditionError, match=r"The continuous condition 'day' holds 'E15'; .* `pd.to_numeric`"):
        Conditions.from_obs(obs, [], ["day"])


@pytest.mark.parametrize("number", [np.inf, 1e300, -1e31])
def test_numbers_beyond_measure_are_refused(obs: pd.DataFrame, number: float) -> None:
    obs.loc[obs.index[0], "day"] = number
    with pytest.raises(ConditionError, match=r"'day' holds (inf|1e\+300|-1e\+31); expected numbers up to 1e\+30"):
        Conditions.from_obs(obs, [], ["day"])


def test_an_empty_column_is_refused(obs: pd.DataFrame) -> None:
    obs["empty"] = np.nan
    with pytest.raises(ConditionError, match=r"'empty' is missing for all 60 cells; expected labels"):
        Conditions.from_obs(obs, ["empty"], [])
    with pytest.raises(ConditionError, match=r"'empty' is missing for all 60 cells; expected numbers"):
        Conditions.from_obs(obs, [], ["empty"])


@pytest.mark.parametrize("labels", [["a", 1] * 30, pd.to_datetime(["2024-01-01", "2024-01-02"] * 30)])
def test_labels_of_odd_types_are_refused(obs: pd.DataFrame, labels: Any) -> None:
    obs["odd"] = labels
    with pytest.raises(ConditionError, match=r"The labels in 'odd' are of type .*\.map\(str, na_action='ignore'\)`"):
        Conditions.from_obs(obs, ["odd"], [])


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([1j] * 60, r"holds np.complex128\(1j\); expected numbers"),
        (pd.to_datetime(["2024-01-01", "NaT"] * 30), r"`\(adata.obs\['odd'\] - adata.obs\['odd'\].min\(\)\) / pd"),
        (pd.to_timedelta([1, None] * 30, unit="D"), r"Count days: `\(adata.obs\['odd'\]\) / pd.Timedelta\(days=1\)`"),
        ([[1, 2]] * 60, r"holds a list, such as \[1, 2\]; expected one text or number a cell"),
    ],
    ids=["complex", "dates", "times", "lists"],
)
def test_what_is_no_number_is_refused(obs: pd.DataFrame, numbers: Any, words: str) -> None:
    obs["odd"] = numbers
    with pytest.raises(ConditionError, match=words):
        Conditions.from_obs(obs, [], ["odd"])


def test_a_column_named_twice_is_refused(obs: pd.DataFrame) -> None:
    with pytest.raises(SettingError, match=r"'day' is named more than once"):
        Conditions.from_obs(obs, ["day"], ["day"])


def test_the_column_of_generated_cells_is_refused(obs: pd.DataFrame) -> None:
    with pytest.raises(ConditionError, match=r"'source' marks generated cells"):
        Conditions.from_obs(obs.assign(source="hospital"), ["source"], [])


def test_an_untrained_condition_is_refused(conditions: Conditions) -> None:
    with pytest.raises(UnknownNameError, match=r"'days' is not a condition of this model; .* Did you mean 'day'"):
        conditions.require("days")


def test_a_number_far_from_the_training_cells_is_refused(conditions: Conditions) -> None:
    with pytest.raises(ConditionError, match=r"'day' = 1e\+29 is more than a million .* around 0 to 4"):
        conditions.encode(pd.DataFrame({"day": [1e29]}), partial=True)


@pytest.mark.parametrize(
    "name", ["/abs", "a//b", "a/", "a/../b", "", " ", ".", "..", "_index", "a\nb", "unseen", "source", "x" * 300]
)
def test_names_that_no_file_can_hold_are_refused(obs: pd.DataFrame, name: str) -> None:
    frame = obs.rename(columns={"note": name})
    with pytest.raises(ConditionError, match=r"Rename the column"):
        Conditions.from_obs(frame, [name])


@pytest.mark.parametrize("name", ["a=b", "a/b", "cell type", "\u03b2-cell", "n_cells", "a.b"])
def test_unusual_names_are_fine(obs: pd.DataFrame, name: str) -> None:
    assert Conditions.from_obs(obs.rename(columns={"note": name}), [name]).names == (name,)


def test_empty_text_counts_as_missing(conditions: Conditions) -> None:
    assert conditions.encode(pd.DataFrame({"cell_type": ["", " ", "B"]}), partial=True).codes[:, 0].tolist() == [
        -1,
        -1,
        2,
    ]


@pytest.mark.parametrize("dtype", ["object", "category"])
def test_numbers_that_were_read_as_text_are_numbers(dtype: str) -> None:
    column = pd.Series(["1", "2.5", None, "4"], dtype=dtype)
    seen = Conditions.from_obs(pd.DataFrame({"day": column}), [], ["day"]).continuous["day"]
    assert (seen.min, seen.max) == (1.0, 4.0)


@pytest.mark.parametrize(
    ("trained", "given", "expected"),
    [
        ([1, 2], [1, 7], (7,)),
        ([1, 2], [1.0, 7.0, np.nan], (7,)),
        ([1, 2], ["1", "7", "new"], ("7", "new")),
        ([1, 2], ["2", "7"], (7,)),
        ([1, 2], [7.5], ("7.5",)),
        ([1.0, 2.0], [1, 7], (7.0,)),
        ([1.0, 2.0], ["1", "7"], (7.0,)),
        (["1", "2"], [1, 7], ("7",)),
        (["1", "2"], [1.0, 7.0], ("7",)),
        (["1.0", "2.0"], [1.0, 7.0], ("7.0",)),
        (["b", "c"], ["c", " ", "a"], ("a",)),
    ],
)
def test_new_labels_are_written_as_those_known(trained: list[Any], given: list[Any], expected: tuple[Any, ...]) -> None:
    known = Conditions.from_obs(pd.DataFrame({"donor": trained * 2}), ["donor"])
    found = known.new_labels(pd.DataFrame({"donor": given * 2}), "donor")
    assert found == expected
    assert [type(label) for label in found] == [type(label) for label in expected]
    codes = known.with_mapped("donor", found).encode(pd.DataFrame({"donor": given})).codes[:, 0]
    assert set(codes[codes >= len(trained)]) == set(range(len(trained), len(trained) + len(expected)))


def test_labels_of_several_types_are_categories_that_a_file_holds() -> None:
    known = Conditions.from_obs(pd.DataFrame({"donor": [1, 2] * 2}), ["donor"]).with_mapped("donor", ["new"])
    table = known.encode(pd.DataFrame({"donor": [2, "new", 1]}))
    assert known.decode(table)["donor"].tolist() == ["2", "new", "1"]


def test_a_label_is_written_as_the_vocabulary_does() -> None:
    known = Conditions.from_obs(pd.DataFrame({"day": [1.0, 3.0] * 2}), ["day"])
    assert [known.written("day", label) for label in ("3", 3, 3.5, "x")] == [3.0, 3.0, 3.5, "x"]


@pytest.mark.parametrize("label", ["B\0cell", "\ud800"], ids=["nul", "half"])
def test_labels_that_no_file_can_hold_are_refused(label: str) -> None:
    with pytest.raises(ConditionError, match=r"in 'cell_type' cannot be written: no `.h5ad` file .* Rename the label"):
        Conditions.from_obs(pd.DataFrame({"cell_type": ["T", "T", label, label]}), ["cell_type"])
    obs = pd.DataFrame({"cell_type": ["T", "T"]})
    with pytest.raises(ConditionError, match="cannot be written"):
        Conditions.from_obs(obs, ["cell_type"], described={"cell_type": ["T", label]})
