"""A model's student: taught, used, kept with the model, and refused where it cannot do what is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from numpy.typing import NDArray

from scdiffuse._core.errors import ModelFolderError, NotFittedError, SettingError
from scdiffuse._core.slots import DISTILLED_FILE
from scdiffuse.generator import CellGenerator, load


@pytest.fixture
def taught(folder: Path) -> CellGenerator:
    return load(folder).distill(solver_steps=2, n_paths=300, max_epochs=2, seed=3, progress=False)


def _made(model: CellGenerator, n: int = 40, **options: Any) -> ad.AnnData:
    cells = model.generate(n, seed=1, progress=False, **options)
    assert isinstance(cells, ad.AnnData)
    return cells


def _counts(model: CellGenerator, **options: Any) -> NDArray[np.int32]:
    return np.asarray(_made(model, **options).X.toarray())


def test_a_student_makes_cells_in_its_steps(taught: CellGenerator) -> None:
    made = _made(taught, 9, solver="distilled")
    settings = json.loads(made.uns["scdiffuse"]["settings"])
    assert (settings["solver"], settings["steps"]) == ("distilled", 2)
    assert taught.distilled is not None
    assert taught.distilled["n_steps"] == 2
    assert 0 < taught.distilled["distance"] < 2
    assert "Student of 2 steps" in taught.summary()


def test_the_model_stays_as_it_was(fitted: CellGenerator, taught: CellGenerator) -> None:
    np.testing.assert_array_equal(_counts(taught), _counts(fitted))


def test_it_is_kept_with_the_model(taught: CellGenerator, tmp_path: Path) -> None:
    again = load(taught.save(tmp_path / "taught"))
    assert again.distilled == taught.distilled
    np.testing.assert_array_equal(_counts(again, solver="distilled"), _counts(taught, solver="distilled"))
    (tmp_path / "taught" / DISTILLED_FILE).write_bytes(b"other")
    with pytest.raises(ModelFolderError, match=r"`distilled.safetensors` .* was altered"):
        load(tmp_path / "taught")


def test_the_same_seed_teaches_the_same(taught: CellGenerator, folder: Path) -> None:
    again = load(folder).distill(solver_steps=2, n_paths=300, max_epochs=2, seed=3, progress=False)
    np.testing.assert_array_equal(_counts(again, solver="distilled"), _counts(taught, solver="distilled"))


def test_conditions_are_those_asked_for(taught: CellGenerator) -> None:
    made = _made(taught, 9, where={"cell_type": "NK"}, solver="distilled")
    assert (made.obs["cell_type"] == "NK").all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"guidance": 2.0}, "makes cells as the model learnt them"),
        ({"guidance": {"cell_type": 0.5}}, "makes cells as the model learnt them"),
        ({"avoid": {"cell_type": "NK"}}, "makes cells as the model learnt them"),
        ({"composition": "additive"}, "makes cells as the model learnt them"),
        ({"steps": 3}, "`steps` is 3, and the student was taught 2"),
    ],
)
def test_what_it_was_not_taught_is_refused(taught: CellGenerator, options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        taught.generate(5, solver="distilled", progress=False, **options)


def test_a_model_without_one_says_so(fitted: CellGenerator) -> None:
    assert fitted.distilled is None
    with pytest.raises(SettingError, match=r"this model has none; .* Call `distill` first"):
        fitted.generate(5, solver="distilled", progress=False)


@pytest.mark.parametrize("options", [{"n_steps": 0}, {"n_paths": 5}, {"max_epochs": 0}])
def test_numbers_out_of_range_are_refused(fitted: CellGenerator, options: dict[str, int]) -> None:
    with pytest.raises(SettingError, match="expected at least 1, 20 and 1"):
        fitted.distill(**options, progress=False)


def test_there_is_nothing_to_teach_before_the_fit(fitted: CellGenerator, simulated: Any) -> None:
    with pytest.raises(NotFittedError, match="`distill` needs a fitted model"):
        CellGenerator(simulated).distill()
