"""Labels, numbers and tables that name predicted perturbations, and what the notes say of them."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from tests.evaluation.test_perturbations import FEW, N_GENES, draw_cells, only, scaled_effect

from scdiffuse._core.errors import ConditionError, CountsError
from scdiffuse.evaluation import evaluate_perturbations
from scdiffuse.evaluation._reading import label_of


@pytest.fixture(scope="module")
def real() -> ad.AnnData:
    return draw_cells(0)


@pytest.fixture(scope="module")
def made() -> ad.AnnData:
    return only(draw_cells(1), "a", "x")


def renamed(cells: ad.AnnData, names: dict[str, Any], dtype: Any) -> ad.AnnData:
    """Copy cells with other labels of drugs."""
    cells = cells.copy()
    cells.obs["drug"] = cells.obs["drug"].map(names).astype(dtype)
    return cells


def held_out(*given: Any, **settings: Any) -> list[str]:
    report = evaluate_perturbations(*given, **FEW | settings)
    return [one["perturbation"] for one in report.held_out]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (np.float32(0.1), "0.1"),
        (float(np.float32(0.1)), "0.1"),
        (0.1, "0.1"),
        (1 / 3, "0.3333333333333333"),
        (123456792.0, "123456792"),
        (1e300, f"1{'0' * 300}"),
        (float("inf"), "inf"),
        (np.nan, ""),
    ],
)
def test_a_number_is_written_alike_in_single_and_double_precision(value: float, label: str) -> None:
    assert label_of(value) == label


def test_doses_are_the_same_in_single_and_double_precision(real: ad.AnnData, made: ad.AnnData) -> None:
    doses = {"none": 0, "x": 0.1, "y": 2}
    cells = renamed(real, doses, np.float32)
    assert held_out(cells, renamed(made, doses, np.float64), control=0) == ["0.1"]


@pytest.mark.parametrize("dtype", [float, pd.CategoricalDtype([0.0, 1.0, 2.0])])
def test_text_that_says_a_number_finds_it(real: ad.AnnData, made: ad.AnnData, dtype: Any) -> None:
    cells = renamed(real, {"none": 0.0, "x": 1.0, "y": 2.0}, dtype)
    assert held_out(cells, renamed(made, {"x": "1.0"}, object), control="0.0") == ["1"]
    table = scaled_effect(real, 1.0).rename(index={"x": "01"})
    assert held_out(cells, table, control="0") == ["1"]


def test_genes_of_means_may_be_numbers(real: ad.AnnData) -> None:
    cells = real.copy()
    cells.var_names = [str(at) for at in range(N_GENES)]
    assert held_out(cells, scaled_effect(real, 1.0).set_axis(range(N_GENES), axis=1)) == ["x"]


@pytest.mark.parametrize(
    ("value", "index", "error", "words"),
    [
        ("n.d.", ("a", "x"), CountsError, r"holds 'n.d.' in row \('a', 'x'\) for gene 'g3'; expected finite numbers"),
        (np.nan, ("a", "x"), CountsError, "holds 'nan' in row"),
        (1.0, ("a", np.nan), ConditionError, r"names \('a', nan\) twice or not at all"),
    ],
)
def test_a_table_of_means_says_what_is_wrong_with_it(
    real: ad.AnnData, value: Any, index: Any, error: type[Exception], words: str
) -> None:
    table = scaled_effect(real, 1.0).astype(object)
    table.iloc[0, 3] = value
    table.index = pd.MultiIndex.from_tuples([index])
    with pytest.raises(error, match=words):
        evaluate_perturbations(real, table, **FEW)


def test_one_perturbation_has_one_row_of_means(real: ad.AnnData) -> None:
    cells = renamed(real, {"none": 0, "x": 1, "y": 2}, int)
    table = pd.concat([scaled_effect(real, 1.0).rename(index={"x": name}) for name in ("1", "1.0")])
    with pytest.raises(ConditionError, match=r"names \('a', '1.0'\) twice"):
        evaluate_perturbations(cells, table, **FEW | {"control": 0})


def test_log_expression_of_another_scale_is_noted(real: ad.AnnData, made: ad.AnnData) -> None:
    notes = evaluate_perturbations(real, made, predicted_values="log1p", **FEW).settings["notes"]
    assert notes[0].startswith("Predicted expression adds up to another amount than that of real cells: a, x (")
    cpm = scaled_effect(real, 1.0).map(lambda value: np.log1p(100 * np.expm1(value)))
    notes = evaluate_perturbations(real, cpm, **FEW).settings["notes"]
    assert notes[0].startswith("Predicted expression adds up to another amount than that of real cells: a, x (1e+02 ")
    notes = evaluate_perturbations(real, scaled_effect(real, 1.0), **FEW).settings["notes"]
    assert not any("adds up" in note for note in notes)


def test_cells_without_a_perturbation_are_counted(real: ad.AnnData, made: ad.AnnData) -> None:
    gaps = real.copy()
    gaps.obs.loc[gaps.obs_names[::5], "drug"] = None
    notes = evaluate_perturbations(gaps, made, **FEW).settings["notes"]
    assert notes[0] == f"{gaps.obs['drug'].isna().sum()} cells of `real` have no 'drug' and are left out."


def test_a_single_control_cell_is_too_few_wherever_it_is(real: ad.AnnData, made: ad.AnnData) -> None:
    is_control = ((real.obs["kind"] == "a") & (real.obs["drug"] == "none")).to_numpy()
    train = real[~is_control | (np.cumsum(is_control) == 1)].copy()
    with pytest.raises(ConditionError, match=r"No predicted perturbation has .*: a, x \(80 cells, 1 control cell\)\."):
        evaluate_perturbations(real[~is_control].copy(), made, train=train, **FEW)


def four_drugs(real: ad.AnnData) -> ad.AnnData:
    """Add two drugs, which no other cells have."""
    more = draw_cells(2, drugs=("x", "y"))
    more.obs["drug"] = more.obs["drug"].map({"x": "p", "y": "q"})
    return ad.concat([real, more])


def test_perturbations_without_features_leave_the_others_theirs(real: ad.AnnData, made: ad.AnnData) -> None:
    cells, settings = four_drugs(real), FEW | {"cell_type_key": None}
    features = pd.DataFrame({"f": [1.0, 2.0, 1.1]}, index=["x", "y", "p"])  # none of q
    few = evaluate_perturbations(cells, made, perturbation_features=features, **settings)
    without = cells[(cells.obs["drug"] != "q").to_numpy()].copy()
    all_known = evaluate_perturbations(without, made, perturbation_features=features, **settings)
    for row in ("nearest_effect", "ridge", "kernel_ridge_counts"):
        assert few.measures["mse"]["rows"][row] is not None
    ridge = [one.measures["mse"]["rows"]["ridge"] for one in (few, all_known)]
    assert ridge[0] is not None
    assert ridge[1] is not None
    assert ridge[0]["value"] == pytest.approx(ridge[1]["value"])


def test_a_baseline_that_some_perturbations_lack_is_noted(real: ad.AnnData) -> None:
    features = pd.DataFrame({"f": [2.0, 1.1, 3.0]}, index=["y", "p", "q"])  # none of x
    predicted = ad.concat([only(draw_cells(1), "a", drug) for drug in ("x", "y")])
    settings = FEW | {"cell_type_key": None, "perturbation_features": features}
    notes = evaluate_perturbations(four_drugs(real), predicted, **settings).settings["notes"]
    assert "Not computed of x: nearest_effect, nearest_effect_counts, nearest_level. No features say" in notes[0]


def test_held_out_cells_that_are_too_few_to_score_are_no_part_of_baselines(real: ad.AnnData) -> None:
    is_few = ((real.obs["kind"] == "b") & (real.obs["drug"] == "x")).to_numpy()
    few = real[~is_few | (np.cumsum(is_few) <= 10)].copy()
    predicted = ad.concat([only(draw_cells(1), kind, "x") for kind in "ab"])
    rows = evaluate_perturbations(few, predicted, **FEW).measures["mse"]["rows"]
    alone = evaluate_perturbations(real[~is_few].copy(), only(predicted, "a", "x"), **FEW).measures["mse"]["rows"]
    assert rows["average_effect"] == alone["average_effect"]
