"""Trajectories: exact where latents are normal, from the start cell to the target otherwise."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.sampling.test_predict import centre

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


@pytest.fixture
def start(simulated: ad.AnnData) -> ad.AnnData:
    """Cells of one type."""
    chosen = (simulated.obs["cell_type"] == "T") & simulated.obs["day"].notna()
    return simulated[chosen].copy()


def states(made: ad.AnnData, n_steps: int) -> NDArray[np.float32]:
    """Latents, shape ``(steps, N, D)``."""
    latents: NDArray[np.float32] = made.obsm[LATENT].reshape(n_steps, -1, made.obsm[LATENT].shape[1])
    return latents


def ranks(made: NDArray[np.float32], start: NDArray[np.float32]) -> float:
    """Share of other start cells that a cell is less like than its own."""
    made, start = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (made, start))
    likeness = made @ start.T
    return float((likeness < np.diag(likeness)[:, None]).sum() / (len(made) * (len(made) - 1)))


@pytest.mark.parametrize("via", ["noising", "inversion"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.8, 1.0])
def test_normal_latents_move_as_far_as_their_noise_lets_them(
    normal: CellGenerator, start: ad.AnnData, keep: float, via: Any
) -> None:
    """With unit variance around m, a latent noised to angle theta is carried to cos z + sin noise + (1 - cos) m."""
    made = normal.trajectory(start, TO, solver_steps=4, keep=keep, via=via, steps=64, progress=False)
    path = states(made, 4)
    whole = centre(normal, start, **TO) - centre(normal, start)
    signal = keep / np.hypot(keep, 1.0 - keep)
    share = 1.0 if via == "inversion" else 1.0 - signal
    for step, weight in enumerate((0.0, 1 / 3, 2 / 3, 1.0)):
        np.testing.assert_allclose(path[step] - path[0], weight * share * whole, atol=5e-3)


def test_the_start_is_noised_to_exactly_the_level_of_keep(normal: CellGenerator, start: ad.AnnData) -> None:
    """Of two different draws of noise, the part of the start cell that both share is cos theta."""
    still = states(normal.trajectory(start, TO, solver_steps=2, keep=1.0, steps=64, progress=False), 2)[0]
    noise = states(normal.trajectory(start, TO, solver_steps=2, keep=0.0, steps=64, progress=False), 2)[0]
    own = centre(normal, start)
    half = states(normal.trajectory(start, TO, solver_steps=2, keep=0.6, steps=64, progress=False), 2)[0]
    cosine = 0.6 / np.hypot(0.6, 0.4)
    expected = cosine * (still - own) + np.sqrt(1 - cosine**2) * (noise - own) + own
    np.testing.assert_allclose(half, expected, atol=5e-3)


@pytest.mark.parametrize("via", ["noising", "inversion"])
def test_the_start_cell_is_remembered_the_more_the_more_is_kept(
    fitted: CellGenerator, start: ad.AnnData, via: Any
) -> None:
    kept = (0.0, 0.3, 0.6, 1.0)
    still = states(fitted.trajectory(start, TO, solver_steps=2, keep=1.0, progress=False), 2)[0]
    found = []
    for keep in kept:
        made = fitted.trajectory(start, TO, solver_steps=2, keep=keep, via=via, steps=16, progress=False)
        found.append(ranks(states(made, 2)[0] - still.mean(axis=0), still - still.mean(axis=0)))
    assert found[0] == pytest.approx(0.5, abs=0.12)
    assert found == sorted(found)
    assert found[-1] > 0.95


def test_keeping_all_stays_at_the_start(fitted: CellGenerator, start: ad.AnnData) -> None:
    path = states(fitted.trajectory(start, TO, solver_steps=3, keep=1.0, progress=False), 3)
    np.testing.assert_allclose(path[0], fitted.encode(start), atol=1e-6)
    assert np.array_equal(path[0], path[1])
    assert np.array_equal(path[0], path[2])


def test_keeping_nothing_forgets_the_start(fitted: CellGenerator, start: ad.AnnData, simulated: ad.AnnData) -> None:
    others = simulated[simulated.obs["cell_type"] == "NK"][: start.n_obs].copy()
    others.obs = start.obs.copy()
    made = [fitted.trajectory(one, TO, solver_steps=2, keep=0.0, progress=False) for one in (start, others)]
    assert np.array_equal(made[0].obsm[LATENT], made[1].obsm[LATENT])
    assert (made[0].X != made[1].X).nnz == 0


def test_rows_tell_step_weight_start_and_conditions(fitted: CellGenerator, start: ad.AnnData) -> None:
    obs = fitted.trajectory(start, TO, solver_steps=3, n=5, progress=False).obs
    assert obs["step"].tolist() == [0] * 5 + [1] * 5 + [2] * 5
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


def test_pseudotime_runs_from_0_to_1_along_each_cell(fitted: CellGenerator, start: ad.AnnData) -> None:
    obs = fitted.trajectory(start, TO, solver_steps=5, progress=False).obs
    times = obs["pseudotime"].to_numpy().reshape(5, -1)
    assert set(times[0]) == {0.0}
    assert times[-1] == pytest.approx(1.0)
    assert (np.diff(times, axis=0) > 0).all()


def test_a_branch_is_the_way_to_its_target_alone(fitted: CellGenerator, start: ad.AnnData) -> None:
    both = fitted.trajectory(start, {"b": {"cell_type": "B"}, "nk": {"cell_type": "NK"}}, solver_steps=3, progress=False)
    alone = fitted.trajectory(start, {"cell_type": "NK"}, solver_steps=3, progress=False)
    branch = both[both.obs["branch"] == "nk"]
    assert (branch.X != alone.X).nnz == 0
    assert list(both.obs["branch"].cat.categories) == ["b", "nk"]
    beginnings = both[both.obs["step"] == 0].obsm[LATENT]
    assert np.array_equal(beginnings[: start.n_obs], beginnings[start.n_obs :])


def test_paths_are_continuous(fitted: CellGenerator, start: ad.AnnData) -> None:
    legs = []
    for n_steps in (5, 9, 17):
        path = states(fitted.trajectory(start, TO, solver_steps=n_steps, keep=0.3, progress=False), n_steps)
        legs.append(float(np.linalg.norm(np.diff(path, axis=0), axis=2).max()))
    assert legs[2] < 0.7 * legs[1] < 0.49 * legs[0]


def test_a_start_may_be_generated(fitted: CellGenerator) -> None:
    made = fitted.trajectory({"cell_type": "T"}, {"cell_type": "B"}, n=6, solver_steps=2, keep=1.0, progress=False)
    assert made.n_obs == 12
    assert fitted.trajectory({"cell_type": "T"}, {"cell_type": "B"}, solver_steps=2, progress=False).n_obs == 200
    assert set(made.obs["start_cell"]) == {f"start-{at}" for at in range(6)}


def test_estimates_are_blended_instead_of_numbers_if_asked(fitted: CellGenerator, start: ad.AnnData) -> None:
    asked: dict[str, Any] = {"n_steps": 3, "keep": 0.2, "progress": False}
    numbers = fitted.trajectory(start, {"day": 2.0}, **asked)
    estimates = fitted.trajectory(start, {"day": 2.0}, blend="estimates", **asked)
    assert np.array_equal(states(numbers, 3)[[0, 2]], states(estimates, 3)[[0, 2]])
    assert not np.array_equal(states(numbers, 3)[1], states(estimates, 3)[1])
    moving = start.obs["day"].to_numpy() != 2.0
    assert np.isnan(estimates.obs["day"].to_numpy().reshape(3, -1)[1][moving]).all()


def test_a_condition_that_is_called_like_a_column_keeps_its_name(simulated: ad.AnnData, small: Any) -> None:
    cells = simulated.copy()
    cells.obs["step"] = cells.obs["cell_type"]
    model = CellGenerator(cells, conditions=["step"], config=small).fit(max_epochs=1, progress=False)
    obs = model.trajectory({"step": "T"}, {"step": "B"}, n=2, solver_steps=2, progress=False).obs
    assert obs["step"].tolist() == ["T", "T", "B", "B"]
    assert obs["trajectory_step"].tolist() == [0, 0, 1, 1]


def test_a_number_beyond_the_range_is_warned_of(fitted: CellGenerator, start: ad.AnnData) -> None:
    with pytest.warns(ExtrapolationWarning, match="'day'"):
        fitted.trajectory(start, {"day": 9.0}, solver_steps=2, n=2, progress=False)


@pytest.mark.parametrize(
    ("to", "more", "error", "words"),
    [
        (TO, {"n_steps": 1}, SettingError, "`n_steps` must be at least 2, a beginning and an end, got 1"),
        (TO, {"keep": 1.5}, SettingError, "`keep` must lie between 0 .forget the start cell. and 1"),
        (TO, {"keep": -0.1}, SettingError, "`keep` must lie between 0 .forget the start cell. and 1"),
        (TO, {"keep": float("nan")}, SettingError, "`keep` must lie between 0 .forget the start cell. and 1"),
        (TO, {"blend": "both"}, SettingError, "`blend` must be 'conditions' or 'estimates', got 'both'"),
        (TO, {"via": "magic"}, SettingError, "`via` must be 'noising' or 'inversion', got 'magic'"),
        (TO, {"n": 0}, SettingError, "`n` is 0, but there are"),
        (TO, {"n": 999}, SettingError, "`n` is 999, but there are"),
        ({}, {}, SettingError, "`to` names no condition"),
        ("B", {}, SettingError, "`to` must name conditions and what they shall be"),
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
