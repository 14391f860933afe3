"""Conditions and library sizes as typed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from scdiffuse._core.errors import DataFileError, SettingError, UnknownNameError
from scdiffuse.cells import Conditions, plan_conditions
from scdiffuse.cli._guidance import read_scale, read_targets
from scdiffuse.cli._where import read_library_size, read_screen, read_where, read_where_table


@pytest.fixture
def conditions() -> Conditions:
    obs = pd.DataFrame({"cell_type": ["B", "B", "T", "T"], "donor": [1, 1, 2, 2], "day": [0.0, 1.0, 2.0, 3.0]})
    return Conditions.from_obs(obs, ["cell_type", "donor"], ["day"])


def _write(folder: Path, text: str) -> Path:
    path = folder / "where.csv"
    path.write_text(text)
    return path


def test_labels_stay_text_and_numbers_become_numbers(conditions: Conditions) -> None:
    assert read_where("--where", ["cell_type=B", "day=1.5"], conditions) == {"cell_type": "B", "day": 1.5}


def test_a_label_may_hold_the_sign_of_equality(conditions: Conditions) -> None:
    assert read_where("--where", ["cell_type=B=x"], conditions) == {"cell_type": "B=x"}


def test_an_empty_value_leaves_a_condition_open(conditions: Conditions) -> None:
    assert read_where("--where", ["cell_type=", "day="], conditions) == {"cell_type": None, "day": None}


def test_several_values_of_a_condition_are_a_screen(conditions: Conditions) -> None:
    pairs = ["cell_type=B", "day=1.5", "cell_type=T"]
    assert read_screen(pairs, conditions, instead={}) == {"cell_type": ["B", "T"], "day": 1.5}
    assert read_screen(None, conditions, instead={"`--toward`": ["state=on"]}) is None


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["cell_type"], "`--to` 'cell_type' has no `=`; expected `--to name=value`"),
        (["cell_type=B", "cell_type=T"], r"`--to` is given twice for 'cell_type'; expected one value"),
        (["day=late"], "`--to` gives 'day' the value 'late', .* expected a number such as `--to day=1.5`"),
    ],
)
def test_a_wrong_condition_is_explained(pairs: list[str], words: str, conditions: Conditions) -> None:
    with pytest.raises(SettingError, match=words):
        read_where("--to", pairs, conditions)


def test_an_untrained_condition_is_refused_with_a_guess(conditions: Conditions) -> None:
    with pytest.raises(UnknownNameError, match=r"'celltype' is not a condition .* Did you mean 'cell_type'\?"):
        read_where("--where", ["celltype=B"], conditions)


def test_a_table_keeps_labels_as_text_and_counts_as_numbers(tmp_path: Path, conditions: Conditions) -> None:
    table = read_where_table(_write(tmp_path, "cell_type,donor,day,n_cells\nB,1,0.5,10\nT,,,20\n"), conditions)
    assert table["n_cells"].tolist() == [10, 20]
    assert table["donor"].tolist()[0] == "1"
    assert table["donor"].isna().tolist() == [False, True]
    assert table["day"].dtype == float


def test_numbers_of_cells_are_what_generation_takes_them_for(tmp_path: Path, conditions: Conditions) -> None:
    table = read_where_table(_write(tmp_path, "cell_type,n_cells\nB,10\nT,20\n"), conditions)
    training = conditions.encode(pd.DataFrame({"cell_type": ["B", "T"], "donor": [1, 2], "day": [0.0, 1.0]}))
    plan = plan_conditions(conditions, training, where=table, n_cells=None, seed=0)
    assert plan.requests.counts.tolist() == [10, 20]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cell_type,n_cells\nB,many\n", "column 'n_cells' of .* has 'many'; expected whole numbers"),
        ("day\nlate\n", r"`--where-table` gives 'day' the value 'late', .* expected a number such as `1\.5`"),
    ],
)
def test_text_in_place_of_a_number_is_explained(text: str, words: str, tmp_path: Path, conditions: Conditions) -> None:
    with pytest.raises(SettingError, match=words):
        read_where_table(_write(tmp_path, text), conditions)


def test_a_table_with_an_untrained_condition_is_refused(tmp_path: Path, conditions: Conditions) -> None:
    with pytest.raises(UnknownNameError, match="'organ' is not a condition"):
        read_where_table(_write(tmp_path, "organ\nlung\n"), conditions)


@pytest.mark.parametrize("text", [None, ""], ids=["missing", "empty"])
def test_a_table_that_cannot_be_read_is_explained(text: str | None, tmp_path: Path, conditions: Conditions) -> None:
    path = tmp_path / "absent.csv" if text is None else _write(tmp_path, text)
    with pytest.raises(DataFileError, match=r"cannot be read .* expected a .csv file"):
        read_where_table(path, conditions)


@pytest.mark.parametrize(("text", "name"), [("cell_type,\nB,B\n", "''"), ("cell_type,cell_type\nB,T\n", "'cell_type'")])
def test_names_that_are_empty_or_there_twice_are_refused(
    text: str, name: str, tmp_path: Path, conditions: Conditions
) -> None:
    with pytest.raises(DataFileError, match=f"has {name} in its first line, which is empty or there twice"):
        read_where_table(_write(tmp_path, text), conditions)


def test_longer_lines_than_the_first_are_refused(tmp_path: Path, conditions: Conditions) -> None:
    with pytest.raises(DataFileError, match="cannot be read"):
        read_where_table(_write(tmp_path, "cell_type\nB,T\n"), conditions)


def test_a_label_may_be_called_na(tmp_path: Path, conditions: Conditions) -> None:
    assert (
        read_where_table(_write(tmp_path, "cell_type,n_cells\nNA,1\n,2\n"), conditions)["cell_type"].tolist()[0] == "NA"
    )


@pytest.mark.parametrize(("text", "library_size"), [("2000", 2000), ("2000,500", (2000.0, 500.0))])
def test_a_library_size_is_one_number_or_a_mean_and_a_deviation(
    text: str, library_size: int | tuple[float, float]
) -> None:
    assert read_library_size(text) == library_size


@pytest.mark.parametrize("text", ["large", "20.5", "1,2,3", ""])
def test_another_library_size_is_explained(text: str) -> None:
    with pytest.raises(SettingError, match="is not a library size; expected counts a cell such as `2000`"):
        read_library_size(text)


def test_a_name_may_hold_the_sign_of_equality() -> None:
    odd = Conditions.from_obs(
        pd.DataFrame({"a=b": ["x", "x", "y=z", "y=z"], "a": [0.0, 1.0, 2.0, 3.0]}), ["a=b"], ["a"]
    )
    assert read_where("--where", ["a=b=y=z", "a=2"], odd) == {"a=b": "y=z", "a": 2.0}
    assert read_scale(["a=b=2", "a=3"], odd) == {"a=b": 2.0, "a": 3.0}
    assert read_targets("--away", ["a=b=y=z:0.5"], {"a=b": ["x", "y=z"]}) == {"a=b": ("y=z", 0.5)}
