"""Genes in JSON."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from scdiffuse.model._metadata import var_from_json, var_to_json


@pytest.mark.parametrize(
    "values", [["a", None, "b"], ["a", 1, 2.5], [True, None, False], [None, None, None], [1, None, 2]]
)
def test_each_column_of_genes_can_be_written(values: list[object], tmp_path: Path) -> None:
    var = var_from_json(json.dumps({"names": ["g1", "g2", "g3"], "columns": {"symbol": values}}))
    ad.AnnData(np.ones((2, 3), np.float32), var=var).write_h5ad(tmp_path / "cells.h5ad")
    found = ad.read_h5ad(tmp_path / "cells.h5ad").var["symbol"]
    assert list(found.isna()) == [value is None for value in values]


@pytest.mark.parametrize("value", [[1], {}, [[]]])
def test_values_of_genes_that_are_no_values_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="column 'symbol' of the genes"):
        var_from_json(json.dumps({"names": ["g1"], "columns": {"symbol": [value]}}))


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
