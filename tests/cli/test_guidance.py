"""Guidance as typed."""

from __future__ import annotations

import pandas as pd
import pytest

from scdiffuse._core.errors import SettingError, UnknownNameError
from scdiffuse.cells import Conditions
from scdiffuse.cli._guidance import Labels, read_scale, read_targets

OBS = pd.DataFrame({"cell_type": ["B", "B", "CD4:2", "CD4:2"], "donor": [1, 1, 2, 2], "day": [0.0, 1.0, 2.0, 3.0]})
CONDITIONS = Conditions.from_obs(OBS, ["cell_type", "donor"], ["day"])
CLASSIFIERS: Labels = {"organ": {"Spleen": 3, "a:1": 4}, "hour": None}
ALL: Labels = {"cell_type": ["B", "CD4:2"], "donor": ["1", "2"], "day": None, **CLASSIFIERS}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], 1.0),
        (["1.5"], 1.5),
        (["cell_type=2"], {"cell_type": 2.0}),
        (["cell_type=2", "day=0"], {"cell_type": 2.0, "day": 0.0}),
    ],
)
def test_a_scale_is_one_number_or_one_for_each_condition(words: list[str], found: object) -> None:
    assert read_scale(words, CONDITIONS) == found


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("organ=Spleen", ("Spleen", 1.0)),
        ("organ=Spleen:2.5", ("Spleen", 2.5)),
        ("organ=a:1", ("a:1", 1.0)),
        ("organ=a:1:3", ("a:1", 3.0)),
        ("organ=Splen", ("Splen", 1.0)),
        ("hour=4.5", (4.5, 1.0)),
        ("hour=-4.5:2", (-4.5, 2.0)),
    ],
)
def test_a_target_is_a_label_or_number_with_its_scale(word: str, found: object) -> None:
    name = word.partition("=")[0]
    assert read_targets("--toward", [word], CLASSIFIERS) == {name: found}


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("cell_type=B", ("B", 1.0)),
        ("cell_type=CD4:2", ("CD4:2", 1.0)),
        ("donor=2:0.5", ("2", 0.5)),
        ("day=1.5", (1.5, 1.0)),
        ("organ=Spleen:2", ("Spleen", 2.0)),
    ],
)
def test_cells_are_guided_away_from_conditions_and_classifiers(word: str, found: object) -> None:
    name = word.partition("=")[0]
    assert read_targets("--away", [word], ALL) == {name: found}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["much"], r"`--guidance` 'much' has the guidance scale 'much'; expected a number"),
        (["1.5", "day=2"], "`--guidance` '1.5' has no name and value; expected `--guidance name=value`. Write it as"),
        (["day=2", "day=3"], r"`--guidance` is given twice for 'day'; expected one value for each name"),
        (["day=x"], "has the guidance scale 'x'"),
    ],
)
def test_a_wrong_scale_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        read_scale(words, CONDITIONS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["organ"], r"`--toward` 'organ' has no name and value; .* Write it as `--toward organ=Spleen:2.0`"),
        (["organ="], "has no name and value"),
        (["organ=Spleen:much"], "has the guidance scale 'much'"),
        (["hour=late"], "`--toward` 'hour=late' gives text, but 'hour' has numbers; expected `--toward hour=4.5`"),
        (["organ=Spleen", "organ=a:1"], "is given twice"),
    ],
)
def test_a_wrong_target_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        read_targets("--toward", words, CLASSIFIERS)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="'cell_typ' is not a condition of this model"):
        read_scale(["cell_typ=2"], CONDITIONS)
    with pytest.raises(UnknownNameError, match="Add it with `scdiffuse add-classifier`"):
        read_targets("--toward", ["x=2"], CLASSIFIERS)
    with pytest.raises(UnknownNameError, match=r"not a condition or a classifier .* Did you mean 'organ'"):
        read_targets("--away", ["orgn=Spleen"], ALL)
