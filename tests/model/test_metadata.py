"""Genes in JSON."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from scdiffuse.model._metadata import var_from_json, var_to_json


def test_genes_and_their_columns_survive_json() -> None:
    var = pd.DataFrame(
        {
            "symbol": ["A", None],
            "length": [3, 4],
            "score": [0.5, np.nan],
            "chosen": [True, False],
            "kind": pd.Categorical(["coding", "other"]),
        },
        index=["gene-0", "gene-1"],
    )
    found = var_from_json(var_to_json(var))
    assert list(found.index) == list(var.index)
    assert list(found.columns) == list(var.columns)
    assert found["length"].tolist() == [3, 4]
    assert np.isnan(found["score"].iloc[1])
    assert found["chosen"].tolist() == [True, False]
    assert found["kind"].tolist() == ["coding", "other"]
    assert pd.isna(found["symbol"].iloc[1])


def test_columns_that_json_cannot_hold_are_left_out() -> None:
    var = pd.DataFrame(
        {"when": pd.to_datetime(["2020-01-01"]), "many": [[1, 2]], "n": np.array([7], dtype=np.int32)}, index=["gene-0"]
    )
    assert json.loads(var_to_json(var)) == {"names": ["gene-0"], "columns": {"n": [7]}}
