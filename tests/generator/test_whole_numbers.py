"""Whole numbers as numpy has them, and numbers with decimals: what is fitted can be saved, and loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from tests.fitted_model import twin

from scdiffuse._core.errors import SettingError
from scdiffuse.generator import CellGenerator, load
from scdiffuse.model import ModelConfig

WHOLE: dict[str, Any] = {"seed": np.int64(3), "max_epochs": np.int32(1), "progress": False}


def test_a_fit_with_whole_numbers_of_numpy_is_saved_and_goes_on(
    simulated: ad.AnnData, small: ModelConfig, tmp_path: Path
) -> None:
    model = CellGenerator(simulated, config=small).fit(tmp_path / "model", **WHOLE)
    assert load(tmp_path / "model").seed == 3
    model.fit(tmp_path / "model", resume=True, seed=3, max_epochs=1, progress=False)


def test_classifiers_and_distilled_models_with_whole_numbers_of_numpy_are_saved(
    fitted: CellGenerator, simulated: ad.AnnData, tmp_path: Path
) -> None:
    paths: dict[str, Any] = {"solver_steps": np.int64(2), "n_paths": np.int64(30)}
    fast = twin(fitted).distill(**paths, **WHOLE)
    fast.add_classifier("cell_type", simulated, **WHOLE)
    loaded = load(fast.save(tmp_path / "fast"))
    assert loaded.distillation == fast.distillation
    assert loaded.classifiers == fast.classifiers


@pytest.mark.parametrize("given", [{"seed": 3.0}, {"max_epochs": 2.0}], ids=str)
def test_numbers_with_decimals_are_refused_before_the_work(
    fitted: CellGenerator, simulated: ad.AnnData, small: ModelConfig, given: dict[str, Any]
) -> None:
    words = rf"`{next(iter(given))}` is .*\.0; expected a whole number"
    with pytest.raises(SettingError, match=words):
        CellGenerator(simulated, config=small).fit(progress=False, **given)
    with pytest.raises(SettingError, match=words):
        twin(fitted).add_classifier("cell_type", simulated, progress=False, **given)
    with pytest.raises(SettingError, match=words):
        fitted.distill(progress=False, **given)
