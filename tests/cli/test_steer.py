"""Guidance in words."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from scdiffuse._core.errors import SettingError, UnknownNameError
from scdiffuse.cells import Conditions
from scdiffuse.cli._steer import read_avoid, read_guidance, read_guide, read_interval

OBS = pd.DataFrame({"cell_type": ["B", "B", "CD4:2", "CD4:2"], "donor": [1, 1, 2, 2], "day": [0.0, 1.0, 2.0, 3.0]})
CONDITIONS = Conditions.from_obs(OBS, ["cell_type", "donor"], ["day"])
CLASSIFIERS: dict[str, dict[str, Any]] = {"organ": {"labels": {"Spleen": 3, "a:1": 4}}, "hour": {"range": [0.0, 9.0]}}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], 1.0),
        (["1.5"], 1.5),
        (["cell_type=2"], {"cell_type": 2.0}),
        (["cell_type=2", "day=0"], {"cell_type": 2.0, "day": 0.0}),
    ],
)
def test_guidance_is_a_number_or_one_for_each_name(words: list[str], found: object) -> None:
    assert read_guidance(words, CONDITIONS) == found


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
def test_a_guide_is_a_value_with_its_strength(word: str, found: object) -> None:
    name = word.partition("=")[0]
    assert read_guide([word], CLASSIFIERS) == {name: found}


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
def test_conditions_and_classifiers_can_be_avoided(word: str, found: object) -> None:
    name = word.partition("=")[0]
    assert read_avoid([word], CONDITIONS, CLASSIFIERS) == {name: found}


def test_an_interval_is_two_times() -> None:
    assert read_interval("0.2,0.8") == (0.2, 0.8)
    assert read_interval(None) == (0.0, 1.0)
    for text in ("0.2", "a,b", "1,2,3"):
        with pytest.raises(SettingError, match=r"is not two times; .* Write them as `--interval 0.2,0.8`"):
            read_interval(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["much"], r"`--guidance much` has the strength 'much'; expected a number, or `name=number`"),
        (["1.5", "day=2"], "`--guidance` '1.5' has no name and value; expected `name=value`. Write it as"),
        (["day=2", "day=3"], r"`--guidance day=...` is given twice; expected one value a name"),
        (["day=x"], "has the strength 'x'"),
    ],
)
def test_wrong_guidance_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        read_guidance(words, CONDITIONS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["organ"], r"`--guide` 'organ' has no name and value; .* Write it as `--guide organ=Spleen:2.0`"),
        (["organ="], "has no name and value"),
        (["organ=Spleen:much"], "has the strength 'much'"),
        (["hour=late"], "`hour=late` does not give a number, but the name stands for numbers"),
        (["organ=Spleen", "organ=a:1"], "is given twice"),
    ],
)
def test_a_wrong_guide_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        read_guide(words, CLASSIFIERS)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="'cell_typ' is not a condition of this model"):
        read_guidance(["cell_typ=2"], CONDITIONS)
    with pytest.raises(UnknownNameError, match="Add it with `scdiffuse add-classifier`"):
        read_guide(["x=2"], CLASSIFIERS)
    with pytest.raises(UnknownNameError, match=r"no condition or classifier; .* Did you mean 'organ'"):
        read_avoid(["orgn=Spleen"], CONDITIONS, CLASSIFIERS)
