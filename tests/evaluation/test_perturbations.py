"""Predicted perturbations beside baselines: what is known exactly, and what must never win."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scdiffuse._core.errors import (
    ConditionError,
    CountsError,
    GenesError,
    OutputExistsError,
    SettingError,
    UnknownNameError,
)
from scdiffuse.evaluation import PerturbationReport, evaluate_perturbations
from scdiffuse.evaluation.perturbations._rows import CONTROLS
from scdiffuse.evaluation.perturbations._summary import combine

N_GENES, N_CELLS = 60, 80
KEYS: dict[str, Any] = {"perturbation_key": "drug", "control": "none", "cell_type_key": "kind", "progress": False}
FEW: dict[str, Any] = KEYS | {"n_draws": 2, "n_top": 10}


def draw_cells(
    seed: int, *, kinds: str = "ab", drugs: tuple[str, ...] = ("none", "x", "y"), n: int = N_CELLS
) -> ad.AnnData:
    """Draw cells of some types under drugs; each drug changes six genes fourfold, the same in every type."""
    fixed, stream = np.random.default_rng(0), np.random.default_rng([1, seed])
    base = fixed.gamma(1.0, 3.0, (3, N_GENES)) + 0.3
    counts, obs = [], []
    for kind in kinds:
        for drug in drugs:
            means = base["abc".index(kind)].copy()
            at = {"none": 0, "x": 1, "y": 2}[drug]
            means[6 * at : 6 * at + 6 if at else 0] *= 4
            counts.append(stream.poisson(means * stream.gamma(8, 1 / 8, (n, 1))))
            obs += [(kind, drug)] * n
    matrix = sparse.csr_matrix(np.vstack(counts), dtype=np.float32)
    table = pd.DataFrame(obs, columns=["kind", "drug"], index=[f"{seed}-{i}" for i in range(len(obs))])
    return ad.AnnData(matrix, obs=table, var=pd.DataFrame(index=[f"g{i}" for i in range(N_GENES)]))


def only(cells: ad.AnnData, kind: str, drug: str) -> ad.AnnData:
    return cells[((cells.obs["kind"] == kind) & (cells.obs["drug"] == drug)).to_numpy()].copy()


@pytest.fixture(scope="module")
def real() -> ad.AnnData:
    return draw_cells(0)


@pytest.fixture(scope="module")
def perfect(real: ad.AnnData) -> PerturbationReport:
    """New cells of the same truth, in the place of the prediction of drug x in type a."""
    return evaluate_perturbations(real, only(draw_cells(1, n=160), "a", "x"), **KEYS | {"n_draws": 6, "n_top": 10})


def value(report: PerturbationReport, measure: str, row: str) -> float:
    held = report.measures[measure]["rows"][row]
    assert held is not None
    return held["value"]


def test_real_cells_score_1_and_the_best_baseline_0(perfect: PerturbationReport) -> None:
    table = perfect.to_frame().query("perturbation == 'all'").set_index(["measure", "row"])["normalised"]
    for name, one in perfect.measures.items():
        if one["normalised"] is not None:
            assert table[name, "real_half"] == 1.0
            assert one["best"] is not None
            assert table[name, one["best"]] == 0.0


def test_control_cells_have_their_known_values(real: ad.AnnData, perfect: PerturbationReport) -> None:
    assert value(perfect, "pearson_delta", "control_cells") == 0.0
    assert value(perfect, "de_overlap", "control_cells") < 0.2
    assert value(perfect, "de_roc_auc", "control_cells") == pytest.approx(0.5, abs=0.2)
    assert value(perfect, "energy_distance", "control_cells") > 2 * value(perfect, "energy_distance", "real_half")


def test_cells_of_the_truth_are_ahead_and_control_cells_are_not(real: ad.AnnData, perfect: PerturbationReport) -> None:
    assert perfect.measures["wmse"]["level"] == "ahead"
    assert perfect.measures["energy_distance"]["level"] == "ahead"
    assert perfect.verdict.startswith("Ahead of every baseline in ")
    untouched = only(real, "a", "none")
    untouched.obs["drug"] = "x"
    report = evaluate_perturbations(real, untouched, **FEW)
    assert report.level == "not_ahead"
    assert report.verdict.startswith("Ahead of every baseline in none of ")


def test_shuffled_genes_of_real_cells_differ_only_where_genes_meet(perfect: PerturbationReport) -> None:
    assert value(perfect, "de_overlap", "shuffled_real") == value(perfect, "de_overlap", "real_half")
    assert value(perfect, "energy_distance", "shuffled_real") != value(perfect, "energy_distance", "real_half")


def test_the_order_of_cells_and_genes_changes_nothing(real: ad.AnnData) -> None:
    made = only(draw_cells(1), "a", "x")
    stream = np.random.default_rng(0)
    report = evaluate_perturbations(real, made, **FEW)
    other = evaluate_perturbations(
        real[stream.permutation(real.n_obs)].copy(),
        made[stream.permutation(made.n_obs)][:, stream.permutation(N_GENES)].copy(),
        **FEW,
    )
    assert other.to_json() == report.to_json()


def test_larger_effects_keep_their_rank_and_lose_the_verdict(real: ad.AnnData) -> None:
    made = evaluate_perturbations(real, scaled_effect(real, 1.0), **FEW)
    larger = evaluate_perturbations(real, scaled_effect(real, 8.0), **FEW)
    for measure in ("discrimination_l1", "discrimination_l2", "discrimination_cosine"):
        assert value(larger, measure, "prediction") >= value(made, measure, "prediction")
    assert larger.measures["wmse"]["level"] == "not_ahead"
    assert larger.level == "not_ahead"


def scaled_effect(real: ad.AnnData, scale: float) -> pd.DataFrame:
    """Predict the true means of drug x in type a, with an effect as many times too large."""

    def mean(drug: str) -> np.ndarray:
        counts = only(real, "a", drug).X.toarray()
        return np.asarray(np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)).mean(axis=0))

    values = mean("none") + scale * (mean("x") - mean("none"))
    index = pd.MultiIndex.from_tuples([("a", "x")])
    return pd.DataFrame([values], index=index, columns=real.var_names)


def test_measures_of_cells_are_blank_for_means_and_say_why(real: ad.AnnData) -> None:
    report = evaluate_perturbations(real, scaled_effect(real, 1.0), **FEW)
    table = report.to_frame().query("row == 'prediction' and perturbation == 'x'").set_index("measure")
    assert table["value"].notna()["pearson_delta"]
    assert table["value"].isna()["energy_distance"]
    assert table.loc["energy_distance", "reason"] == "Only the mean is known, and this needs cells."
    assert report.measures["energy_distance"]["level"] == "unscored"


def test_log_expression_is_taken_as_it_is_when_said(real: ad.AnnData) -> None:
    counted = only(draw_cells(1), "a", "x")
    logs = counted.copy()
    counts = logs.X.toarray()
    logs.X = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)
    with pytest.raises(CountsError, match=r"`predicted` holds values .* pass `predicted_values='log1p'`"):
        evaluate_perturbations(real, logs, **FEW)
    one = evaluate_perturbations(real, counted, **FEW)
    other = evaluate_perturbations(real, logs, predicted_values="log1p", **FEW)
    assert value(other, "mse", "prediction") == pytest.approx(value(one, "mse", "prediction"), rel=1e-5)


def test_targeted_genes_are_their_own_features(real: ad.AnnData) -> None:
    cells = real.copy()
    cells.obs["drug"] = cells.obs["drug"].map({"none": "none", "x": "g6", "y": "g12"})
    cells.obs["kind"] = "one"
    more = draw_cells(2)
    more.obs["drug"] = more.obs["drug"].map({"none": "none", "x": "g7", "y": "g13"})
    both = ad.concat([cells, more])
    wanted = both[both.obs["drug"] == "g7"].copy()
    report = evaluate_perturbations(both, wanted, **FEW | {"cell_type_key": None})
    held = report.measures["mse"]["rows"]
    assert held["kernel_ridge"] is not None
    assert held["nearest_level"] is not None


def test_the_report_is_a_verdict_tables_json_and_a_page(perfect: PerturbationReport, tmp_path: Path) -> None:
    assert repr(perfect).startswith(perfect.verdict)
    assert perfect._repr_html_().count("<table>") == 1
    plain = perfect.to_json(tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text()) == plain
    assert list(plain)[:2] == ["verdict", "level"]
    assert perfect.table(("a", "x")).equals(perfect.table())
    page = perfect.save(tmp_path / "page.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert all(title in page for title in CONTROLS.values())
    with pytest.raises(OutputExistsError):
        perfect.save(tmp_path / "page.html")


def test_a_page_about_cells_takes_it_as_a_section(perfect: PerturbationReport, tmp_path: Path) -> None:
    from scdiffuse.evaluation import Report

    settings: Any = {"summary": "s", "version": "1", "model": "m", "data": "d", "date": "now"}
    report = Report(title="Title", metrics={}, by={}, verdicts={}, settings=settings)
    assert "Predicted perturbations" not in report.save(tmp_path / "without.html").read_text()
    page = report.save(tmp_path / "with.html", perturbations=perfect).read_text()
    assert perfect.verdict.split(".")[0] in page
    assert page.count('<section aria-labelledby="perturbations">') == 1


def test_conditions_held_out_are_no_part_of_baselines(real: ad.AnnData) -> None:
    made = only(draw_cells(1), "a", "x")
    report = evaluate_perturbations(real, made, train=real, **FEW)
    alone = evaluate_perturbations(real, made, **FEW)
    assert report.settings["notes"][0].startswith("`train` holds cells of held-out perturbations: a, x. Baselines")
    assert report.measures == alone.measures


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"perturbation_key": "drugs"}, UnknownNameError, "`perturbation_key` 'drugs' is not a column.*mean 'drug'"),
        ({"cell_type_key": "type"}, UnknownNameError, "`cell_type_key` 'type' is not a column of the `obs` of `real`"),
        ({"control": "nothing"}, ConditionError, "There is no control cell of type 'a', expected cells with `drug`"),
        ({"control": "nothing"}, ConditionError, r"Those given have \['.*'\]\."),
        ({"n_draws": 1}, SettingError, "`n_draws` is 1, expected at least 2"),
        ({"fdr": 5}, SettingError, "`fdr` is 5, expected a fraction"),
        ({"expression": "cpm"}, SettingError, "`expression` is 'cpm', expected one of"),
        (
            {"expression": "counts", "predicted_values": "log1p"},
            SettingError,
            "`predicted_values` is 'log1p' and `expression` 'counts'",
        ),
    ],
)
def test_a_mistake_is_named(real: ad.AnnData, changed: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        evaluate_perturbations(real, only(real, "a", "x"), **FEW | changed)


def test_too_few_real_cells_are_not_scored(real: ad.AnnData) -> None:
    few = real[np.r_[0:80, 80:90, 160:480]].copy()  # ten cells of drug x in type a
    made = draw_cells(1, drugs=("x", "y"), kinds="a")
    with pytest.raises(ConditionError, match=r"No predicted perturbation has 20 real cells.*a, x \(10 cells\)"):
        evaluate_perturbations(few, only(made, "a", "x"), **FEW)
    report = evaluate_perturbations(few, made, **FEW)
    assert [one["perturbation"] for one in report.held_out] == ["y"]
    assert report.settings["notes"][0] == "Not scored, with fewer than 20 real cells and 2 control cells: a, x (10)."


def test_means_need_an_index_that_names_conditions(real: ad.AnnData) -> None:
    with pytest.raises(ConditionError, match="The index of `predicted` has 1 levels and 1 rows; expected cell type"):
        evaluate_perturbations(real, scaled_effect(real, 1.0).droplevel(0), **FEW)


def test_genes_are_chosen_with_training_cells_of_other_conditions(real: ad.AnnData) -> None:
    train = draw_cells(2, drugs=("none", "y"), n=50)
    report = evaluate_perturbations(real, only(real, "a", "x"), train=train, **FEW | {"n_genes": 20})
    assert report.settings["n_genes"] == 20


def test_a_profile_of_one_cell_is_a_mean(real: ad.AnnData) -> None:
    profile = only(real, "a", "x")[:1].copy()
    report = evaluate_perturbations(real, profile, **FEW)
    assert value(report, "pearson_delta", "prediction") > 0
    assert report.measures["energy_distance"]["rows"]["prediction"] is None
    assert "So few cells were predicted that they are noisy themselves: a, x (1)." in report.settings["notes"]


def test_one_cell_of_another_drug_is_no_sample_of_it(real: ad.AnnData) -> None:
    is_other = ((real.obs["kind"] == "a") & (real.obs["drug"] == "y")).to_numpy()
    few = real[~is_other | (np.cumsum(is_other) == 1)].copy()
    report = evaluate_perturbations(few, only(real, "a", "x"), **FEW)
    assert report.held_out[0]["n_others"] == 0


def test_long_numbers_are_different_labels(real: ad.AnnData) -> None:
    cells = real.copy()
    cells.obs["drug"] = cells.obs["drug"].map({"none": 0, "x": 1000001, "y": 1000002}).astype(int)
    made = cells[cells.obs["drug"] != 0].copy()
    report = evaluate_perturbations(cells, made, **FEW | {"control": 0})
    assert {one["perturbation"] for one in report.held_out} == {"1000001", "1000002"}


def test_doses_are_their_own_features_whatever_the_control_is_called(real: ad.AnnData) -> None:
    cells = real[real.obs["kind"] == "a"].copy()
    more = only(draw_cells(3), "a", "y")
    more.obs["drug"] = "z"
    cells = ad.concat([cells, more], index_unique="-")
    cells.obs["drug"] = cells.obs["drug"].map({"none": "vehicle", "x": "1", "y": "10", "z": "100"})
    report = evaluate_perturbations(cells, cells[cells.obs["drug"] == "1"].copy(), **FEW | {"control": "vehicle"})
    assert value(report, "pearson_delta", "nearest_effect") > -1


@pytest.mark.parametrize(("rows", "words"), [({"x": np.nan, "y": 1.0}, "no finite numbers"), (None, "has two rows")])
def test_features_that_cannot_be_used_are_refused(real: ad.AnnData, rows: dict[str, float] | None, words: str) -> None:
    table = pd.DataFrame({"f": [0.0, 1.0]}, index=["x", "x"]) if rows is None else pd.DataFrame({"f": rows})
    with pytest.raises(ConditionError, match=f"'x' .*{words}"):
        evaluate_perturbations(real, only(real, "a", "x"), **FEW | {"perturbation_features": table})


def test_a_measure_that_one_condition_lacks_in_some_draws_is_told_of_the_others() -> None:
    rows = [(row, "direction_match") for row in ("prediction", "real_half")]
    known, partly = ({row: np.array([0.5, end]) for row in rows} for end in (0.7, np.nan))
    assert combine([known, partly])["prediction", "direction_match"].tolist() == [0.5, 0.7]


def test_control_cells_alone_predict_nothing(real: ad.AnnData) -> None:
    with pytest.raises(ConditionError, match="All of `predicted` is labelled 'none', the control; expected predicted"):
        evaluate_perturbations(real, only(real, "a", "none"), **FEW)


def test_cells_without_a_type_are_left_out_and_counted(real: ad.AnnData) -> None:
    gaps = real.copy()
    gaps.obs.loc[gaps.obs_names[::7], "kind"] = None
    made = gaps[(gaps.obs["drug"] == "x").to_numpy()].copy()
    report = evaluate_perturbations(gaps, made, **FEW)
    assert {one["cell_type"] for one in report.held_out} == {"a", "b"}
    assert (
        report.settings["notes"][0]
        == f"{gaps.obs['kind'].isna().sum()} cells of `real` have no 'kind' and are left out."
    )


def test_a_control_of_zero_may_be_typed_with_decimals(real: ad.AnnData) -> None:
    cells = real.copy()
    cells.obs["drug"] = cells.obs["drug"].map({"none": 0.0, "x": 0.5, "y": 2.0}).astype(float)
    made = cells[(cells.obs["drug"] == 2.0).to_numpy()].copy()
    assert evaluate_perturbations(cells, made, **FEW | {"control": "0.0"}).settings["control"] == "0"


def test_baselines_that_are_missing_are_named(real: ad.AnnData) -> None:
    made = draw_cells(1, drugs=("x", "y"))
    report = evaluate_perturbations(real, made, **FEW)
    assert "Of 12 baselines 10 could not be computed, see the notes." in report.verdict
    assert any(note.startswith("Not computed: ") and "average_effect" in note for note in report.settings["notes"])
    found = evaluate_perturbations(real, only(real, "a", "x"), **FEW)
    assert "Of 12 baselines 4 could not be computed" in found.verdict
    assert "A regression needs two measured conditions." in found.settings["notes"][-1]


@pytest.mark.parametrize(
    ("features", "error", "words"),
    [
        ({"x": [1.0]}, SettingError, "is a dict; expected a DataFrame"),
        (pd.DataFrame({"f": [1.0]}, index=["X"]), ConditionError, "No row .* such as 'X', is a perturbation"),
    ],
)
def test_features_of_other_names_are_refused(
    real: ad.AnnData, features: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        evaluate_perturbations(real, only(real, "a", "x"), **FEW | {"perturbation_features": features})


def test_repeated_genes_are_named_by_the_argument(real: ad.AnnData) -> None:
    made = only(real, "a", "x")
    made.var_names = [*made.var_names[:-1], "g0"]
    with pytest.raises(GenesError, match="`predicted` names genes twice"):
        evaluate_perturbations(real, made, **FEW)
