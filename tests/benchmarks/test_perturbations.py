"""The study of predicted perturbations: what is left out of fits, and what its section says."""

from __future__ import annotations

import argparse
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from benchmarks.designs import Design, HeldOut
from benchmarks.records import Store
from benchmarks.studies import perturbations
from benchmarks.study import Context
from tests.benchmarks.conftest import record

from benchmarks import designs, perturbation_agreement


@pytest.fixture
def adata() -> anndata.AnnData:
    obs = pd.DataFrame(
        [("a", "none"), ("a", "x"), ("a", "y"), ("b", "none"), ("b", "x"), ("b", "x"), ("b", "?"), ("c", "x")],
        columns=["kind", "drug"],
        index=list("01234567"),
    )
    return anndata.AnnData(np.ones((8, 2), np.float32), obs=obs)


@pytest.fixture(autouse=True)
def few_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let conditions of one cell be scored, so that data can be small."""
    monkeypatch.setattr(designs, "_FEWEST_CELLS", 1)


def test_conditions_of_too_few_cells_are_not_left_out(adata: anndata.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(designs, "_FEWEST_CELLS", 2)
    design = Design(data_set="toy", key="drug", control="none", context="kind", ignored=("?",))
    assert design.held_out(adata[adata.obs["drug"] != "?"]) == [HeldOut("b", "x")]


def test_each_level_is_left_out_where_there_are_control_cells(adata: anndata.AnnData) -> None:
    design = Design(data_set="toy", key="drug", control="none", context="kind", ignored=("?",))
    assert [str(one) for one in design.held_out(adata[adata.obs["drug"] != "?"])] == ["a, x", "a, y", "b, x"]
    fit = design.fit(adata, HeldOut("b", "x"), 3)
    assert fit.key == "toy-no_x_b-seed3"
    assert fit.left_out(adata).tolist() == [False] * 4 + [True] * 3 + [False]


def test_the_most_frequent_levels_of_one_context_are_left_out_at_once(adata: anndata.AnnData) -> None:
    design = Design(data_set="toy", key="drug", control="none", context="kind", together="a")
    assert [str(one) for one in design.held_out(adata)] == ["a, x", "a, y"]
    fits = [design.fit(adata, one, 0) for one in design.held_out(adata)]
    assert fits[0] == fits[1]
    assert fits[0].left_out(adata).tolist() == [False, True, True] + [False] * 5


def test_a_number_is_a_continuous_condition(adata: anndata.AnnData) -> None:
    adata.obs["dose"] = [0, 1, 3, 0, 1, 1, 0, 1]
    design = Design(data_set="toy", key="dose", control=0, number=True)
    assert design.held_out(adata) == [HeldOut(None, 1), HeldOut(None, 3)]
    fit = design.fit(adata, HeldOut(None, 3), 0)
    assert (fit.conditions, fit.continuous) == ((), ("dose",))
    assert fit.left_out(adata).sum() == 1


def test_predictions_of_other_methods_are_read_as_their_names_say(adata: anndata.AnnData, tmp_path: Path) -> None:
    folder = tmp_path / "toy-no_x_b-seed0"
    folder.mkdir()
    adata.write_h5ad(folder / "scVI.h5ad")
    adata.write_h5ad(folder / "scGen.log1p.h5ad")
    context = Context(options=argparse.Namespace(predictions=tmp_path), store=Store(tmp_path, "toy", ()))
    (folder / "scGen.json").write_text('{"seed": 0}', encoding="utf-8")
    found = {one.name: (one.values, one.about) for one in perturbations._others(context, folder.name)}
    assert found == {"scGen": ("log1p", {"seed": 0}), "scVI": ("counts", None)}
    assert not list(perturbations._others(context, "toy-no_y_b-seed0"))


def test_the_section_names_what_is_not_beaten() -> None:
    ours = {"answer": "ours, predict", "kind": "prediction", "mse": 0.1, "pearson_delta": 0.9}
    ours |= {
        "levels": {"mse": "not_ahead", "pearson_delta": "ahead", "mae": "unscored"},
        "behind": {"mse": "ridge"},
    }
    rows = [ours, {"answer": "ridge", "kind": "baseline", "mse": 0.05, "pearson_delta": None}]
    lines = perturbations.lines([record("perturbations", rows, data_set="toy", held_out="a, x", seed=0)])
    text = "\n".join(lines)
    assert "| Ridge regression of pseudobulks |  |  | 0.050 |" in text
    assert "ahead of every baseline in 1 of 2 measures x conditions" in text
    assert "not ahead of: Ridge regression of pseudobulks (1)." in text


def test_agreement_takes_the_largest_difference() -> None:
    assert perturbation_agreement._worst([(1.0, 1.0), (2.0, 2.5), (None, float("nan"))]) == {"theirs": 2.0, "ours": 2.5}
    rows = [
        {"cells": "toy", "measure": name, "theirs": 0.0, "ours": size, "cell_eval": "0.8.2", "pdex": "0.3.0"}
        for name, size in (("mse", 1e-12), ("p", 3e-8))
    ]
    assert "The same to 1e-09: mse. Largest differences" in perturbation_agreement.lines(rows)[0]
    assert "single precision: p 3e-08." in perturbation_agreement.lines(rows)[0]


def test_the_measures_of_both_sides_are_of_the_same_arrays() -> None:
    real, predicted = perturbation_agreement.simulated()
    found = perturbation_agreement.measure(real[:240], predicted[:240])["scores"]
    assert set(found["pearson_delta"]) == {"g0", "g20", "g40"}
    assert all(0 < value < 1 for value in found["pearson_delta"].values())
