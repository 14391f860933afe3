"""A distilled model: trained, used, kept apart from the model it is made of, and refused where it cannot do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.fitted_model import networks_of

from scdiffuse import Guidance
from scdiffuse._core.errors import ModelFolderError, NotFittedError, SettingError
from scdiffuse._core.slots import DISTILLED_FILE
from scdiffuse.generator import CellGenerator, load


@pytest.fixture
def fast(folder: Path) -> CellGenerator:
    return load(folder).distill(solver_steps=2, n_paths=300, max_epochs=2, seed=3, progress=False)


def _made(model: CellGenerator, n_cells: int = 40, **options: Any) -> ad.AnnData:
    cells = model.generate(n_cells, seed=1, progress=False, **options)
    assert isinstance(cells, ad.AnnData)
    return cells


def _counts(model: CellGenerator, **options: Any) -> NDArray[np.int32]:
    return np.asarray(_made(model, **options).X.toarray())


def test_a_distilled_model_makes_cells_in_its_steps(fast: CellGenerator) -> None:
    settings = _made(fast, 9).uns["scdiffuse"]["settings"]
    assert (settings["solver"], settings["solver_steps"]) == ("distilled", 2)
    assert fast.distillation is not None
    assert (fast.distillation["solver_steps"], fast.distillation["n_paths"]) == (2, 300)
    assert 0 < fast.distillation["distance"] < 2
    assert "Distilled sampler of 2 steps" in fast.summary()


def test_the_steps_may_be_named(fast: CellGenerator) -> None:
    np.testing.assert_array_equal(_counts(fast, solver_steps=2), _counts(fast))


def test_distilling_returns_a_new_model_and_leaves_the_old_one_as_it_was(folder: Path, fitted: CellGenerator) -> None:
    model = load(folder)
    before, summary = _counts(model), model.summary()
    fast = model.distill(solver_steps=2, n_paths=300, max_epochs=2, seed=3, progress=False)
    assert fast is not model
    assert type(fast) is type(model)
    assert model.distillation is None
    assert model.summary() == summary
    np.testing.assert_array_equal(_counts(model), before)
    np.testing.assert_array_equal(_counts(model), _counts(fitted))
    assert not np.array_equal(_counts(fast), before)
    assert networks_of(fast) is networks_of(model)


def test_classifiers_of_the_new_model_are_its_own(folder: Path, simulated: ad.AnnData) -> None:
    model = load(folder).add_classifier("kind", simulated, obs_key="cell_type", max_epochs=1, progress=False)
    fast = model.distill(n_paths=300, max_epochs=1, progress=False)
    assert list(fast.classifiers) == ["kind"]
    fast.remove_classifier("kind")
    assert list(model.classifiers) == ["kind"]


def test_a_distilled_model_is_saved_and_loaded_alone(fast: CellGenerator, folder: Path, tmp_path: Path) -> None:
    again = load(fast.save(tmp_path / "fast"))
    assert again.distillation == fast.distillation
    assert again.summary() == fast.summary()
    np.testing.assert_array_equal(_counts(again), _counts(fast))
    assert not (folder / DISTILLED_FILE).exists()
    assert load(folder).distillation is None
    (tmp_path / "fast" / DISTILLED_FILE).write_bytes(b"other")
    with pytest.raises(ModelFolderError, match=r"`distilled.safetensors` .* was altered"):
        load(tmp_path / "fast")


def test_both_models_know_the_same_of_cells(fast: CellGenerator, fitted: CellGenerator, simulated: ad.AnnData) -> None:
    np.testing.assert_array_equal(fast.encode(simulated), fitted.encode(simulated))
    assert fast.conditions == fitted.conditions
    assert (fast.history, fast.seed, fast.was_stopped) == (fitted.history, fitted.seed, fitted.was_stopped)


def test_predictions_and_trajectories_take_the_full_solver(
    fast: CellGenerator, fitted: CellGenerator, simulated: ad.AnnData
) -> None:
    cells = simulated[:12].copy()
    predicted = [one.predict(cells, {"cell_type": "B"}, progress=False) for one in (fast, fitted)]
    assert (predicted[0].X != predicted[1].X).nnz == 0
    followed = [one.trajectory(cells, {"cell_type": "B"}, n_states=2, progress=False) for one in (fast, fitted)]
    assert (followed[0].X != followed[1].X).nnz == 0


def test_a_distilled_model_holds_no_cells_to_fit(fast: CellGenerator) -> None:
    with pytest.raises(NotFittedError, match="holds no training cells"):
        fast.fit()


def test_the_same_seed_trains_the_same(fast: CellGenerator, folder: Path) -> None:
    again, other = (
        load(folder).distill(solver_steps=2, n_paths=300, max_epochs=2, seed=seed, progress=False) for seed in (3, 4)
    )
    np.testing.assert_array_equal(_counts(again), _counts(fast))
    latents = [_made(model).obsm["X_scdiffuse"] for model in (other, fast)]
    assert not np.array_equal(*latents)


def test_conditions_are_those_asked_for(fast: CellGenerator) -> None:
    made = _made(fast, 9, where={"cell_type": "NK"})
    assert (made.obs["cell_type"] == "NK").all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"guidance": 2.0}, "makes cells as the model learnt them; expected `guidance` of 1"),
        ({"guidance": {"cell_type": 0.5}}, "makes cells as the model learnt them"),
        ({"guidance": Guidance(away={"cell_type": "NK"})}, "makes cells as the model learnt them"),
        ({"guidance": Guidance(composition="additive")}, "makes cells as the model learnt them"),
        ({"solver_steps": 3}, "`solver_steps` 3; a distilled model takes the 2 steps that it was trained for"),
        ({"solver": "heun"}, "`solver` is 'heun' .* Leave both out, or call `distill` with other `solver_steps`"),
    ],
    ids=str,
)
def test_what_it_was_not_trained_for_is_refused(fast: CellGenerator, options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        fast.generate(5, progress=False, **options)


@pytest.mark.parametrize("options", [{"solver_steps": 0}, {"n_paths": 5}, {"max_epochs": 0}], ids=str)
def test_numbers_out_of_range_are_refused(fitted: CellGenerator, options: dict[str, int]) -> None:
    with pytest.raises(SettingError, match="expected at least 1, 20 and 1"):
        fitted.distill(**options, progress=False)


def test_there_is_nothing_to_distill_before_the_fit(simulated: Any) -> None:
    with pytest.raises(NotFittedError, match="`distill` needs a fitted model"):
        CellGenerator(simulated).distill()
