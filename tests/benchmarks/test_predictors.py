"""Predictions of other methods: what they may see, what is kept of them, and what the section says of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from benchmarks.designs import Design, HeldOut
from benchmarks.predictors import Prediction, Predictor, Question
from benchmarks.studies import perturbations
from tests.benchmarks.conftest import record

from benchmarks import predict_peers, predictors

DESIGN = Design(data_set="toy", key="drug", control="none", context="kind")
QUESTION = Question("drug", "none", "x", "kind", "b")


@pytest.fixture
def adata() -> anndata.AnnData:
    pairs = [("a", "none"), ("a", "x"), ("b", "none"), ("b", "x"), ("b", "none")]
    obs = pd.DataFrame(pairs, columns=["kind", "drug"], index=list("01234"))
    return anndata.AnnData(np.arange(10, dtype=np.float32).reshape(5, 2), obs=obs)


@pytest.fixture
def files(adata: anndata.AnnData, tmp_path: Path) -> dict[str, str]:
    found = {"training": adata, "control": adata[[2, 4]].copy()}
    for name, cells in found.items():
        cells.write_h5ad(tmp_path / f"{name}.h5ad")
    return {name: str(tmp_path / f"{name}.h5ad") for name in (*found, "cells")}


def toy(monkeypatch: pytest.MonkeyPatch, values: np.ndarray) -> None:
    """Put a method in the list that answers with given values."""

    def predict(*_: object, seed: int, **__: object) -> Prediction:
        return Prediction(values, {"n_epochs": seed})

    module: Any = ModuleType("benchmarks.predictors.toy")
    module.predict = predict
    monkeypatch.setitem(sys.modules, module.__name__, module)
    method = Predictor(name="Toy", module="toy", training="its clock", packages=("numpy",), installs=())
    monkeypatch.setitem(predictors.PREDICTORS, "Toy", method)
    monkeypatch.setattr(torch.optim, "Adam", torch.optim.Adam)


def test_methods_see_what_our_fit_sees_and_predict_the_control_cells_of_the_context(adata: anndata.AnnData) -> None:
    wanted = HeldOut("b", "x")
    found = predict_peers.parts(DESIGN, wanted, adata, seed=0)
    assert found["training"].tolist() == [True, True, True, False, True]
    assert found["control"].tolist() == [False, False, True, False, True]
    assert predict_peers.question(DESIGN, wanted) == QUESTION


def test_a_prediction_is_kept_with_the_labels_asked_for(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    toy(monkeypatch, np.array([[-0.5, 1.0], [2.0, 0.0]]))
    about = predictors.answer(method="Toy", question=QUESTION._asdict(), seed=7, **files)
    cells = anndata.read_h5ad(files["cells"])
    assert cells.X.tolist() == [[-0.5, 1.0], [2.0, 0.0]]
    assert cells.obs.astype(str).to_numpy().tolist() == [["x", "b"], ["x", "b"]]
    assert cells.obs_names.tolist() == ["2", "4"]
    assert (about["settings"], about["n_training"], about["versions"]["numpy"]) == ({"n_epochs": 7}, 5, np.__version__)


@pytest.mark.parametrize("values", [np.zeros((3, 2)), np.full((2, 2), np.nan)])
def test_an_answer_of_another_shape_or_without_numbers_is_refused(
    values: np.ndarray, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    toy(monkeypatch, values)
    with pytest.raises(ValueError, match=r"Toy returned .* expected \(2, 2\)"):
        predictors.answer(method="Toy", question=QUESTION._asdict(), seed=0, **files)


def test_fused_steps_are_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = torch.optim.Adam
    monkeypatch.setattr(torch.optim, "Adam", plain)
    predictors._fuse_adam()
    ends = []
    for kind in (plain, torch.optim.Adam):
        weights = torch.nn.Parameter(torch.linspace(-1, 1, 50))
        optimiser = kind([weights], lr=0.01, eps=0.01, weight_decay=1e-6)
        for step in range(1, 20):
            weights.grad = torch.sin(step * weights.detach())
            optimiser.step()
        ends.append(weights.detach())
    assert optimiser.defaults["fused"]
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-5, atol=1e-6)


def test_what_is_done_is_not_done_again(
    adata: anndata.AnnData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "toy-no_x_b-seed0"
    folder.mkdir()
    for name in ("Toy.json", "Toy.log1p.h5ad"):
        (folder / name).touch()
    options = predict_peers._parser().parse_args(["--out", str(tmp_path), "--python", str(tmp_path / "none")])
    method = Predictor(name="Toy", module="toy", training="", packages=(), installs=())
    predict_peers.predict(DESIGN, HeldOut("b", "x"), adata, method=method, seed=0, options=options)
    assert capsys.readouterr().out == "toy-no_x_b-seed0, Toy: already done\n"
    options.overwrite = True
    with pytest.raises(SystemExit, match="Make it with `--set-up`"):
        predict_peers.predict(DESIGN, HeldOut("b", "x"), adata, method=method, seed=0, options=options)


def test_the_section_says_what_others_took_and_averages_over_their_own_fits() -> None:
    scored = {"kind": "prediction", "levels": {}, "behind": {}}
    records = []
    for seed, epochs in ((0, 30), (1, 50), (2, None)):
        rows: list[dict[str, Any]] = [
            {"answer": f"ours, {way}", "mse": 0.1, "pearson_delta": 0.5, "de_spearman": own} | scored
            for way, own in (("predict", 0.6), ("generate", 0.8))
        ]
        if epochs is not None:
            about = {"versions": {"python": "3", "toy": "1.2"}, "training": "its clock"}
            about |= {"settings": {"n_epochs": epochs}, "cost": {"cpu_seconds": 10.0 * epochs}}
            rows.append(
                {"about": about}
                | {"answer": "Toy", "mse": 0.25 + seed / 2, "pearson_delta": 0.6, "de_spearman": 0.7}
                | scored
            )
        records.append(record("perturbations", json.loads(json.dumps(rows)), data_set="s", held_out="a, x", seed=seed))
    text = "\n".join(perturbations.lines(records))
    assert "| Toy | 0.600 |  | 0.500 |" in text
    assert "- *Toy* (toy 1.2), trained on the same cells by its clock: 30 to 50 epochs, 400 CPU" in text
    assert "2 of 3 fits. In the means of these it is ahead of both of ours in: pearson delta." in text
