from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from scdiffuse._core.errors import ConditionError
from scdiffuse.cells import Conditions, mask_labels, split


def test_good_labels_stay_the_same_table(obs: pd.DataFrame) -> None:
    masked = mask_labels(obs, ["cell_type", "donor", "treated", "absent"])
    assert masked.obs is obs
    assert masked.messages == ()


@pytest.mark.parametrize("dtype", ["object", "category"])
def test_labels_of_one_cell_become_missing(dtype: str) -> None:
    obs = pd.DataFrame({"x": pd.Series(["a", "a", "b", "c", "a", None], dtype=dtype)})
    masked = mask_labels(obs, ["x"])
    assert masked.obs["x"].isna().tolist() == [False, False, True, True, False, True]
    assert masked.messages == ("2 cells have a label of 'x' of their own ('b', 'c'); their labels count as missing.",)
    assert obs["x"].isna().sum() == 1


def test_numbers_of_one_cell_become_missing_too() -> None:
    masked = mask_labels(pd.DataFrame({"x": [1, 1, 2, 3, 3]}), ["x"])
    assert masked.obs["x"].dropna().tolist() == [1, 1, 3, 3]
    assert masked.messages == ("1 cell has a label of 'x' of its own (2); its label counts as missing.",)


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint64", "Int64", "object"])
def test_whole_numbers_stay_whole_beside_missing_ones(dtype: str) -> None:
    masked = mask_labels(pd.DataFrame({"x": pd.Series([1, 1, 2, 3, 3], dtype=dtype)}), ["x"])
    assert Conditions.from_obs(masked.obs, ["x"]).categorical["x"] == (1, 3)
    assert {type(label) for label in Conditions.from_obs(masked.obs, ["x"]).categorical["x"]} == {int}


def test_large_numbers_stay_apart() -> None:
    labels = np.repeat(2**53 + np.arange(4), [2, 2, 2, 1])
    obs = mask_labels(pd.DataFrame({"x": labels}), ["x"]).obs
    conditions = Conditions.from_obs(obs, ["x"])
    assert conditions.categorical["x"] == (2**53, 2**53 + 1, 2**53 + 2)
    assert conditions.encode(obs).codes.ravel().tolist() == [0, 0, 1, 1, 2, 2, -1]


def test_empty_text_becomes_missing() -> None:
    masked = mask_labels(pd.DataFrame({"x": ["a", "", "a", " ", np.nan]}), ["x"])
    assert masked.obs["x"].isna().tolist() == [False, True, False, True, True]
    assert masked.messages == ("2 cells have no text in 'x'; their labels count as missing.",)


def test_a_column_that_names_cells_is_refused() -> None:
    obs = pd.DataFrame({"x": ["a", "b", "c", "d", "d"], "day": [0.0, 1.0, 2.0, 3.0, 3.0]})
    with pytest.raises(ConditionError, match=r"3 of the 5 cells with a label in 'x' have one of .* such as 'a'"):
        mask_labels(obs, ["x"])
    with pytest.raises(ConditionError, match=r"such as 0.0; .* Numbers can be `continuous`"):
        mask_labels(obs, ["day"])


@pytest.mark.parametrize("several", [["T", "B"], {"T": 1}, np.zeros(2)], ids=["list", "dict", "array"])
def test_several_labels_of_a_cell_are_refused(several: object) -> None:
    obs = pd.DataFrame({"x": [several] * 4})
    words = "column 'x' holds a .*; expected one text or number a cell"
    with pytest.raises(ConditionError, match=words):
        mask_labels(obs, ["x"])
    with pytest.raises(ConditionError, match=words):
        Conditions.from_obs(obs, ["x"])
    with pytest.raises(ConditionError, match=words):
        split(ad.AnnData(np.ones((4, 1)), obs=obs.set_axis(list("abcd"))), by="x")
