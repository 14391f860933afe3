"""Trajectories: exact where latents are normal, from the start cell to the target otherwise."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.sampling.test_predict import conditional_mean

from scdiffuse._core.errors import (
    ConditionError,
    CountsError,
    ExtrapolationWarning,
    GenesError,
    NotFittedError,
    SettingError,
    UnknownNameError,
)
from scdiffuse.generator import CellGenerator

LATENT = "X_scdiffuse"
TO = {"cell_type": "B", "day": 2.0}
SHORT = "ignore:The paths of branch .* cover:UserWarning"
NOISED: dict[str, Any] = {"method": "partial_noising", "progress": False}


@pytest.fixture
def start(simulated: ad.AnnData) -> ad.AnnData:
    """Cells of one type."""
    chosen = (simulated.obs["cell_type"] == "T") & simulated.obs["day"].notna()
    return simulated[chosen].copy()


def states(made: ad.AnnData, n_states: int) -> NDArray[np.float32]:
    """Latents, shape ``(n_states, N, D)``."""
    latents: NDArray[np.float32] = made.obsm[LATENT].reshape(n_states, -1, made.obsm[LATENT].shape[1])
    return latents


def ranks(made: NDArray[np.float32], start: NDArray[np.float32]) -> float:
    """Share of other start cells that a cell is less like than its own."""
    made, start = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (made, start))
    likeness = made @ start.T
    return float((likeness < np.diag(likeness)[:, None]).sum() / (len(made) * (len(made) - 1)))


@pytest.mark.filterwarnings(SHORT)
@pytest.mark.parametrize("method", ["partial_noising", "inversion"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.8, 1.0])
def test_normal_latents_move_as_far_as_their_noise_lets_them(
    normal: CellGenerator, start: ad.AnnData, keep: float, method: Any
) -> None:
    """With unit variance around m, a latent noised to angle theta is carried to cos z + sin noise + (1 - cos) m."""
    made = normal.trajectory(start, TO, n_states=4, keep=keep, method=method, solver_steps=64, progress=False)
    path = states(made, 4)
    whole = conditional_mean(normal, start, **TO) - conditional_mean(normal, start)
    signal = keep / np.hypot(keep, 1.0 - keep)
    share = 1.0 if method == "inversion" else 1.0 - signal
    for state, weight in enumerate((0.0, 1 / 3, 2 / 3, 1.0)):
        np.testing.assert_allclose(path[state] - path[0], weight * share * whole, atol=5e-3)


@pytest.mark.filterwarnings(SHORT)
def test_the_start_is_noised_to_exactly_the_level_of_keep(normal: CellGenerator, start: ad.AnnData) -> None:
    """Of two different draws of noise, the part of the start cell that both share is cos theta."""

    def begun(keep: float) -> NDArray[np.float32]:
        made = normal.trajectory(start, TO, n_states=2, keep=keep, solver_steps=64, **NOISED)
        first: NDArray[np.float32] = states(made, 2)[0]
        return first

    still, noise, half = begun(1.0), begun(0.0), begun(0.6)
    own = conditional_mean(normal, start)
    cosine = 0.6 / np.hypot(0.6, 0.4)
    expected = cosine * (still - own) + np.sqrt(1 - cosine**2) * (noise - own) + own
    np.testing.assert_allclose(half, expected, atol=5e-3)


@pytest.mark.filterwarnings(SHORT)
@pytest.mark.parametrize("method", ["partial_noising", "inversion"])
def test_the_start_cell_is_remembered_the_more_the_more_is_kept(
    fitted: CellGenerator, start: ad.AnnData, method: Any
) -> None:
    kept = (0.0, 0.3, 0.6, 1.0)
    still = states(fitted.trajectory(start, TO, n_states=2, keep=1.0, **NOISED), 2)[0]
    found = []
    for keep in kept:
        made = fitted.trajectory(start, TO, n_states=2, keep=keep, method=method, solver_steps=16, progress=False)
        found.append(ranks(states(made, 2)[0] - still.mean(axis=0), still - still.mean(axis=0)))
    assert found[0] == pytest.approx(0.5, abs=0.12)
    assert found == sorted(found)
    assert found[-1] > 0.95


@pytest.mark.filterwarnings(SHORT)
def test_keeping_all_of_a_noised_cell_stays_at_the_start(fitted: CellGenerator, start: ad.AnnData) -> None:
    path = states(fitted.trajectory(start, TO, n_states=3, keep=1.0, **NOISED), 3)
    np.testing.assert_allclose(path[0], fitted.encode(start), atol=1e-6)
    assert np.array_equal(path[0], path[1])
    assert np.array_equal(path[0], path[2])


def test_keeping_all_of_the_noise_begins_at_the_start_and_moves(fitted: CellGenerator, start: ad.AnnData) -> None:
    path = states(fitted.trajectory(start, TO, n_states=3, keep=1.0, solver_steps=64, progress=False), 3)
    np.testing.assert_allclose(path[0], fitted.encode(start), atol=0.02)
    assert np.abs(path[2] - path[0]).max() > 0.1


@pytest.mark.parametrize("method", ["partial_noising", "inversion"])
def test_keeping_nothing_forgets_the_start(
    fitted: CellGenerator, start: ad.AnnData, simulated: ad.AnnData, method: Any
) -> None:
    others = simulated[simulated.obs["cell_type"] == "NK"][: start.n_obs].copy()
    others.obs = start.obs.copy()
    asked: dict[str, Any] = {"n_states": 2, "keep": 0.0, "method": method, "progress": False}
    made = [fitted.trajectory(one, TO, **asked) for one in (start, others)]
    assert np.array_equal(made[0].obsm[LATENT], made[1].obsm[LATENT])
    assert (made[0].X != made[1].X).nnz == 0


def test_rows_hold_state_weight_start_and_conditions(fitted: CellGenerator, start: ad.AnnData) -> None:
    obs = fitted.trajectory(start, TO, n_states=3, n_cells=5, progress=False).obs
    assert obs["state"].tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert obs["weight"].tolist() == [0.0] * 5 + [0.5] * 5 + [1.0] * 5
    assert set(obs["start_cell"]) <= set(start.obs_names)
    assert obs["start_cell"].tolist() == obs["start_cell"].tolist()[:5] * 3
    assert obs["cell_type"].tolist()[:5] == ["T"] * 5
    assert obs["cell_type"][5:10].isna().all()
    assert obs["cell_type"].tolist()[10:] == ["B"] * 5
    days = start.obs.loc[obs["start_cell"][:5], "day"].to_numpy()
    assert obs["day"].to_numpy().reshape(3, 5)[1] == pytest.approx((days + 2.0) / 2)
    own = start.obs.loc[obs["start_cell"], "treated"].tolist()
    assert obs["treated"].tolist() == own
    assert obs.index.is_unique


@pytest.mark.filterwarnings(SHORT)
@pytest.mark.parametrize("method", ["partial_noising", "inversion"])
def test_pseudotime_runs_from_0_to_1_along_each_cell(fitted: CellGenerator, start: ad.AnnData, method: Any) -> None:
    obs = fitted.trajectory(start, TO, n_states=5, method=method, progress=False).obs
    times = obs["pseudotime"].to_numpy().reshape(5, -1)
    assert set(times[0]) == {0.0}
    assert times[-1] == pytest.approx(1.0)
    assert (np.diff(times, axis=0) > 0).all()


def test_a_branch_is_the_way_to_its_target_alone(fitted: CellGenerator, start: ad.AnnData) -> None:
    both = fitted.trajectory(start, {"b": {"cell_type": "B"}, "nk": {"cell_type": "NK"}}, n_states=3, progress=False)
    alone = fitted.trajectory(start, {"cell_type": "NK"}, n_states=3, progress=False)
    branch = both[both.obs["branch"] == "nk"]
    assert (branch.X != alone.X).nnz == 0
    assert list(both.obs["branch"].cat.categories) == ["b", "nk"]
    beginnings = both[both.obs["state"] == 0].obsm[LATENT]
    assert np.array_equal(beginnings[: start.n_obs], beginnings[start.n_obs :])


@pytest.mark.filterwarnings(SHORT)
@pytest.mark.parametrize("method", ["partial_noising", "inversion"])
def test_paths_are_continuous(fitted: CellGenerator, start: ad.AnnData, method: Any) -> None:
    lengths = []
    for n_states in (5, 9, 17):
        made = fitted.trajectory(start, TO, n_states=n_states, keep=0.3, method=method, progress=False)
        path = states(made, n_states)
        lengths.append(float(np.linalg.norm(np.diff(path, axis=0), axis=2).max()))
    assert lengths[2] < 0.7 * lengths[1] < 0.49 * lengths[0]


def test_a_start_may_be_generated(fitted: CellGenerator) -> None:
    made = fitted.trajectory({"cell_type": "T"}, {"cell_type": "B"}, n_cells=6, n_states=2, keep=1.0, progress=False)
    assert made.n_obs == 12
    assert fitted.trajectory({"cell_type": "T"}, {"cell_type": "B"}, n_states=2, progress=False).n_obs == 200
    assert set(made.obs["start_cell"]) == {f"start-{at}" for at in range(6)}


def test_a_condition_that_is_called_like_a_column_keeps_its_name(simulated: ad.AnnData, small: Any) -> None:
    cells = simulated.copy()
    cells.obs["state"] = cells.obs["branch"] = cells.obs["cell_type"]
    model = CellGenerator(cells, conditions=["state", "branch"], config=small).fit(max_epochs=1, progress=False)
    start, to = {"state": "T", "branch": "T"}, {"state": "B", "branch": "B"}
    obs = model.trajectory(start, to, n_cells=2, n_states=2, progress=False).obs
    assert obs["state"].tolist() == obs["branch"].tolist() == ["T", "T", "B", "B"]
    assert obs["trajectory_state"].tolist() == [0, 0, 1, 1]
    assert obs["trajectory_branch"].nunique() == 1


def test_a_number_beyond_the_range_is_warned_of(fitted: CellGenerator, start: ad.AnnData) -> None:
    with pytest.warns(ExtrapolationWarning, match="'day'"):
        fitted.trajectory(start, {"day": 9.0}, n_states=2, n_cells=2, progress=False)


@pytest.mark.parametrize(
    ("to", "more", "error", "words"),
    [
        (TO, {"n_states": 1}, SettingError, "`n_states` must be a whole number of at least 2, .* got 1"),
        (TO, {"n_states": 3.5}, SettingError, "`n_states` must be a whole number of at least 2, .* got 3.5"),
        (TO, {"keep": 1.5}, SettingError, "`keep` must lie between 0 .forget the start cell. and 1"),
        (TO, {"keep": -0.1}, SettingError, "`keep` must lie between 0 .forget the start cell. and 1"),
        (TO, {"keep": float("nan")}, SettingError, "`keep` must lie between 0 .forget the start cell. and 1"),
        (TO, {"method": "magic"}, SettingError, "`method` must be 'inversion' or 'partial_noising', got 'magic'"),
        (TO, {"n_cells": 1.5}, SettingError, r"`n_cells` is 1\.5; expected a whole number"),
        (TO, {"n_cells": 0}, SettingError, "`n_cells` is 0, but there are"),
        (TO, {"n_cells": 999}, SettingError, "`n_cells` is 999, but there are"),
        ({}, {}, SettingError, "`to` names no condition"),
        ("B", {}, SettingError, "`to` must name conditions and a label or number each"),
        (TO, {"batch_size": 0}, SettingError, "`batch_size` must be at least 1, got 0"),
        (TO, {"solver_steps": 0}, SettingError, "`solver_steps` must be at least 1"),
        ({"a": {"cell_type": "B"}, "b": {}}, {}, SettingError, "`to` names no condition"),
        ({"cell_typ": "B"}, {}, UnknownNameError, "is not a condition of this model.*Did you mean 'cell_type'"),
        ({"cell_type": "BB"}, {}, UnknownNameError, "'BB' is not a trained label of 'cell_type'"),
    ],
    ids=str,
)
def test_bad_requests_are_refused(
    fitted: CellGenerator, start: ad.AnnData, to: Any, more: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        fitted.trajectory(start, to, progress=False, **more)


def test_cells_that_do_not_fit_are_refused(fitted: CellGenerator, start: ad.AnnData, bare: CellGenerator) -> None:
    with pytest.raises(GenesError, match="The data lack 1 of the"):
        fitted.trajectory(start[:, fitted.genes[1:]].copy(), TO)
    with pytest.raises(CountsError, match="looks normalised"):
        fitted.trajectory(ad.AnnData(start.X * 20.5, start.obs, start.var), TO)
    with pytest.raises(ConditionError, match="`to` needs a model with conditions, and this one has none"):
        bare.trajectory(start, TO)
    with pytest.raises(NotFittedError, match="`trajectory` needs a fitted model"):
        CellGenerator(start).trajectory(start, TO)


@pytest.mark.parametrize("keep", [0.8, 1.0])
def test_paths_that_do_not_arrive_are_warned_of(fitted: CellGenerator, start: ad.AnnData, keep: float) -> None:
    words = r"The paths of branch 'target' cover \d+% of the change .* Take `method='inversion'`, or lower `keep`"
    with pytest.warns(UserWarning, match=words):
        fitted.trajectory(start, TO, n_states=2, keep=keep, **NOISED)


def test_a_branch_that_does_not_arrive_is_named(fitted: CellGenerator, start: ad.AnnData) -> None:
    with pytest.warns(UserWarning, match="The paths of branch '(b|nk)' cover") as found:
        fitted.trajectory(start, {"b": {"cell_type": "B"}, "nk": {"cell_type": "NK"}}, n_states=2, keep=1.0, **NOISED)
    assert len(found) == 2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.8, 1.0])
def test_inverted_paths_arrive(fitted: CellGenerator, start: ad.AnnData, keep: float) -> None:
    fitted.trajectory(start, TO, n_states=2, keep=keep, solver_steps=16, progress=False)


@pytest.mark.filterwarnings("error")
def test_cells_that_are_at_the_target_have_nowhere_to_arrive(fitted: CellGenerator, start: ad.AnnData) -> None:
    fitted.trajectory(start, {"cell_type": "T"}, n_states=2, keep=1.0, **NOISED)
