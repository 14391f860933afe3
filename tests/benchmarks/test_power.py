"""The study of power: its splits, its summaries, and what its section says."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from benchmarks.generators import GENERATORS
from benchmarks.records import Store
from benchmarks.studies import evaluation, power
from benchmarks.study import Context
from scipy import sparse
from tests.benchmarks.conftest import record


def rows(sample: str, aucs: tuple[float, ...], *, seed: int = 0) -> list[dict[str, Any]]:
    common = {"sample": sample, "space": "genes", "classifier": "forest", "seed": seed, "n_fitted": 900}
    sizes = (250, 500, 1000)
    return [common | {"n_cells": size, "auc": auc} for size, auc in zip(sizes, aucs, strict=True)]


def records() -> list[Any]:
    values = (
        rows("generated", (0.52, 0.54, 0.56)) + rows("real", (0.5, 0.5, 0.5)) + rows("bootstrap", (0.5, 0.51, 0.52))
    )
    about = {"data_set": "malaria_pberghei", "seed": 0}
    peer = rows("generated", (0.7, 0.8, 0.9))
    return [
        record("power", values, **about, generator="ours"),
        record("power", peer, **about, generator="scvi-nb"),
    ]


def test_the_section_names_cells_fitted_cells_learnt_from_and_cells_needed() -> None:
    about, _, table = power.lines(records())
    row, peer = table.splitlines()[-2:]
    assert "| malaria_pberghei | 900 | genes | forest | ours |" in row
    assert "| scvi-nb | 0.700 | 0.800 | 0.900 | 0.900 at 1,000 | ≤ 250 | ≤ 250 |" in peer
    assert "0.540 (0.500; 0.510)" in row
    assert "0.560 at 1,000 | 707 | 4,000 |" in row
    assert "eight times" in about


def test_both_curves_are_drawn(tmp_path: Any) -> None:
    power.draw(records(), tmp_path)
    assert (tmp_path / power.FIGURE).stat().st_size > 5_000


def test_another_generator_learns_from_the_same_cells(
    toy: anndata.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = sparse.vstack([toy.X] * 4, format="csr")
    obs = pd.concat([toy.obs] * 4).set_axis([f"cell-{row}" for row in range(4 * toy.n_obs)])
    monkeypatch.setattr(power, "read", lambda *_: anndata.AnnData(counts, obs=obs, var=toy.var))
    monkeypatch.setitem(power.CASES, "toy", power.Case(0.5))
    light = replace(GENERATORS["pca-mixture"], options={"n_components": 5})
    monkeypatch.setitem(GENERATORS, light.name, light)
    asked = {"sets": ["toy"], "seeds": [0], "sizes": [50], "classifiers": ["logistic"], "spaces": ["genes"]}
    options = argparse.Namespace(
        **asked, generators=[light.name], threads=1, timeout=100.0, seconds=None, overwrite=True
    )
    context = Context(options=options, store=Store(tmp_path, power.name, power.unit), work=tmp_path)
    (found,) = power.run(context)
    assert found.settings == {"data_set": "toy", "seed": 0, "generator": "pca-mixture"}
    assert {row["sample"] for row in found.rows} == {"generated"}
    assert {row["n_fitted"] for row in found.rows} == {188}

    monkeypatch.setitem(GENERATORS, light.name, replace(light, target="pca_mixture:Missing"))
    assert not list(power.run(context))
    assert "toy pca-mixture seed 0: failed" in capsys.readouterr().out


def test_a_data_set_is_split_by_the_stated_part_and_by_label() -> None:
    labels = np.repeat(["a", "b"], [60, 40])
    counts = sparse.csr_matrix(np.random.default_rng(0).poisson(2.0, (100, 8)).astype(np.float32))
    obs = pd.DataFrame({"cell_type": pd.Categorical(labels)}, index=[f"c{row}" for row in range(100)])
    fit, held_out = power.divide(anndata.AnnData(counts, obs=obs), power.Case(0.35), seed=0)
    assert (fit.n_obs, held_out.n_obs) == (35, 65)
    assert not set(fit.obs_names) & set(held_out.obs_names)
    assert (fit.obs["cell_type"] == "a").sum() == 21


def test_a_fault_has_three_answers() -> None:
    def verdicts(**levels: str) -> list[dict[str, Any]]:
        return [{"group": group, "level": level} for group, level in levels.items()]

    assert evaluation.answer(verdicts(validity="passes", biology="too_few")) == "too few to tell: biology"
    assert evaluation.answer(verdicts(biology="too_few", two_sample="fails")) == "caught: two_sample"
    assert evaluation.answer(verdicts(biology="passes", two_sample="passes")) == "as close as real cells"
