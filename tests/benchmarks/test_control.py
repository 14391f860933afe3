from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
import pytest
from benchmarks.layout import REAL
from benchmarks.models import Fit
from benchmarks.studies import held_out_combinations as combinations
from benchmarks.studies import held_out_stages as stages
from benchmarks.studies import held_out_times as times
from benchmarks.studies import rare_types as rare
from benchmarks.studies import start_cell
from tests.benchmarks.conftest import record

from benchmarks import spaces

if TYPE_CHECKING:
    from pathlib import Path


def test_a_cell_at_its_own_start_is_found_first() -> None:
    starts = np.random.default_rng(0).normal(size=(20, 3))
    assert start_cell.retrieval(starts, starts) == {"first": 1.0, "ahead_of": 1.0}


def test_the_rank_counts_the_starts_that_lie_nearer() -> None:
    starts = np.array([[0.0], [1.0], [2.0], [10.0]])
    made = np.array([[1.6], [1.0], [0.1], [10.0]])
    assert start_cell.ranks(made, starts).tolist() == [2.0, 0.0, 2.0, 0.0]


def test_starts_at_one_place_are_found_by_chance() -> None:
    assert start_cell.retrieval(np.zeros((5, 2)), np.ones((5, 2))) == {"first": 0.0, "ahead_of": 0.5}


@pytest.mark.parametrize(
    ("passed", "must", "answer"),
    [([0, 1, 1, 2], [1], True), ([0, 2, 2], [1], False), ([0, 1, 0, 2], [1], False), ([0, 1, 2, 3], [1, 3], True)],
)
def test_stages_are_passed_in_order_or_not(passed: list[int], must: list[int], *, answer: bool) -> None:
    assert stages.in_order(passed, must) is answer


def test_the_nearest_stage_is_that_of_the_mean_cell() -> None:
    real, known = np.array([[0.0], [2.0], [9.0], [11.0]]), np.array([0, 0, 3, 3])
    cells, steps = np.array([[-5.0], [6.0], [4.0], [16.0]]), np.array([0, 0, 1, 1])
    assert stages.nearest_stages(cells, steps, real=real, stages=known) == [0, 3]


def test_straight_lines_end_at_real_ends() -> None:
    cells, steps = stages.interpolate(np.zeros((3, 2)), np.full((4, 2), 5.0), seed=0)
    assert (cells[steps == 0] == 0).all()
    assert (cells[steps == steps.max()] == 5).all()
    assert cells[steps == (stages.N_STATES - 1) // 2] == pytest.approx(2.5)


def test_neighbours_are_the_nearest_hours_with_enough_cells() -> None:
    hours = np.repeat([2, 4, 6, 8, 10, 14], [60, 3, 60, 60, 60, 60])
    assert times.neighbours(hours, 8, (8,)) == (6.0, 10.0, 0.5)
    assert times.neighbours(hours, 6, (6, 8, 10)) == (2.0, 14.0, 1 / 3)


def test_a_mix_has_its_share_of_both_ends() -> None:
    mixed = times.mix(np.zeros((4, 1)), np.ones((9, 1)), 0.25, n=100, seed=0)
    assert mixed.sum() == 25


def test_displacement_moves_a_shifted_cloud_by_its_share_of_the_shift() -> None:
    low = np.random.default_rng(0).normal(size=(30, 2))
    high = (low + np.array([40.0, 0.0]))[::-1]
    moved = times.displace(low, high, 0.25, coordinates=(low, high), n=30, seed=0)
    order = np.argsort(moved[:, 1])
    assert moved[order] == pytest.approx((low + np.array([10.0, 0.0]))[np.argsort(low[:, 1])])


def test_fold_changes_are_of_mean_expression() -> None:
    treated, base = np.log1p([[0.0, 6.0], [6.0, 0.0]]), np.log1p([[0.0, 3.0], [0.0, 3.0]])
    assert spaces.log_fold_change(treated, base) == pytest.approx([2.0, 0.0])


def test_half_of_every_change_has_slope_one_half() -> None:
    real = np.random.default_rng(0).normal(size=500)
    assert spaces.agreement(real, real / 2) == {"pearson": pytest.approx(1.0), "slope": pytest.approx(0.5)}


def test_no_change_has_no_correlation_and_no_slope() -> None:
    agreed = spaces.agreement(np.arange(10.0), np.zeros(10))
    assert np.isnan(agreed["pearson"])
    assert agreed["slope"] == 0


def test_halves_share_nothing_and_split_each_label() -> None:
    labels = np.repeat(["a", "b"], [10, 5])
    first, second = spaces.halves(labels, seed=1)
    assert sorted([*first, *second]) == list(range(15))
    assert (labels[first] == "a").sum() == 5
    assert (labels[first] == "b").sum() in {2, 3}


@pytest.fixture
def shifted() -> anndata.AnnData:
    """Three types at two levels; the second level has twice the counts of the first gene, relative to the others."""
    obs = pd.DataFrame(
        {"level": np.tile(["off", "on"], 9), "cell_type": np.repeat(["a", "b", "c"], 6)},
        index=[f"cell-{row}" for row in range(18)],
    )
    counts = np.tile([10.0, 10.0, 80.0], (18, 1)).astype(np.float32)
    counts[obs["level"].to_numpy() == "on"] = [20.0, 10.0, 70.0]
    return anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=["x", "y", "z"]))


def test_the_shift_of_expression_is_exact_where_all_types_shift_alike(shifted: anndata.AnnData) -> None:
    design = combinations.Design("toy", "level", "on", "off")
    question = combinations.Question(design, "a", shifted, None, 0)  # type: ignore[arg-type]
    genes = ["x", "y", "z"]
    predicted = spaces.log_normalise(question.rows("off"), genes) + combinations.mean_shift(question, genes)
    assert predicted == pytest.approx(spaces.log_normalise(question.rows("on"), genes), rel=1e-5)
    assert question.others == ["b", "c"]


def test_a_fit_leaves_out_the_combination_and_nothing_else(shifted: anndata.AnnData) -> None:
    fit = combinations.fit_of(combinations.Design("toy", "level", "on", "off"), "a", 0)
    left_out = shifted.obs[fit.left_out(shifted)]
    assert len(left_out) == 3
    assert set(left_out["level"]) == {"on"}
    assert set(left_out["cell_type"]) == {"a"}
    assert fit.key == "toy-no_on_a-seed0"


def test_a_fit_of_rows_leaves_out_the_other_rows(shifted: anndata.AnnData) -> None:
    fit = Fit(name="rows", data_set="toy", rows=np.array([0, 3]))
    assert np.flatnonzero(~fit.left_out(shifted)).tolist() == [0, 3]


@pytest.fixture
def donors() -> anndata.AnnData:
    rng = np.random.default_rng(0)
    labels = np.repeat(["common", "rare", "rarer", "tiny"], [300, 60, 50, 4])
    obs = pd.DataFrame({"cell_type": labels, "donor": rng.integers(8, size=len(labels)).astype(str)})
    obs.index = [f"cell-{row}" for row in range(len(obs))]
    return anndata.AnnData(np.ones((len(obs), 2), dtype=np.float32), obs=obs)


@pytest.mark.parametrize("data_set", rare.DONOR_KEYS)
def test_training_has_k_of_each_rare_type_and_no_held_out_cell(data_set: str, donors: anndata.AnnData) -> None:
    setting = rare.make_setting(data_set, donors, k=10, seed=0)
    labels = donors.obs["cell_type"].to_numpy()
    assert setting.rare == ("rarer", "rare")
    assert [(labels[setting.train] == label).sum() for label in setting.rare] == [10, 10]
    assert not set(setting.train) & set(setting.test)
    assert "tiny" not in labels[[*setting.train, *setting.test]]
    if rare.DONOR_KEYS[data_set]:
        assert not set(donors.obs["donor"].iloc[setting.train]) & set(donors.obs["donor"].iloc[setting.test])


def test_added_cells_bring_rare_types_to_the_size_and_keep_the_others() -> None:
    labels = np.repeat(["common", "rare"], [30, 5])
    training = rare.Training(np.random.default_rng(0).normal(size=(35, 4)), labels, ("rare",), 30, 0)
    cells, grown = rare.duplicated(training)
    assert training.missing() == {"rare": 25}
    assert (grown == "rare").sum() == (grown == "common").sum() == 30
    assert np.isin(cells[grown == "rare"], training.cells[labels == "rare"]).all()


def test_cells_of_the_peer_are_left_out_without_its_environment(donors: anndata.AnnData, tmp_path: Path) -> None:
    setting = rare.make_setting("kang_ctrl_8donors", donors, k=10, seed=0)
    training = rare.Training(np.zeros((2, 4)), np.array(["common", "rare"]), ("rare",), 1, 0)
    genes, missing = donors.var_names[:4].tolist(), tmp_path / "nothing"
    assert rare.drawn_by_scvi(training, setting, donors, genes=genes, work=tmp_path, python=missing) is None


def test_the_page_says_what_was_missed() -> None:
    def hour(answer: str, energy: float) -> dict[str, object]:
        return {"data_set": "toy", "without": "8", "time": 8, "answer": answer, "energy": energy, "hour": 8.0}

    found = [hour(*one) for one in (("ours", 1.0), ("mix of neighbours", 2.0), ("optimal transport", 0.5))]
    text = "\n".join(times.lines([record("held_out_times", [*found, hour(REAL, 0.1)], seed=0)]))
    assert "nearer to real cells than mix of neighbours: 1.00, **met**" in text
    assert "nearer to real cells than optimal transport: 0.00, **missed**" in text
