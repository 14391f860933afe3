"""The tree of settings: there and back, and what is refused."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from scdiffuse._core.errors import SettingError
from scdiffuse._core.schema import find_mismatch
from scdiffuse.guidance import ClassifierConfig
from scdiffuse.model import CalibrationConfig, DiffusionConfig, ModelConfig, TrainConfig

SIXTEEN: Any = np.int64(16)
HALF: Any = 6.5
ZERO: Any = 0


def test_settings_survive_json() -> None:
    config = ModelConfig(
        diffusion=DiffusionConfig(width=7, solver_steps=9),
        autoencoder_training=TrainConfig(patience=3),
        calibration=CalibrationConfig(expected_expression=False, rare_cells=7),
        classifier=ClassifierConfig(width=5),
        distillation_training=TrainConfig(patience=9),
        library_size_scores=False,
        validation_fraction=0.2,
        latent={"kind": "embedding", "name": "X_pca", "width": 3},
    )
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("variances", [[0.003, 0.03, 0.3], [0.1]])
def test_a_saved_grid_of_variances_may_be_of_another_length(variances: list[float]) -> None:
    tree = json.loads(json.dumps(ModelConfig().to_dict()))
    tree["calibration"]["label_variances"] = variances
    config = ModelConfig.from_dict(tree)
    assert config.calibration.label_variances == tuple(variances)
    assert find_mismatch(tree, ModelConfig) is None


@pytest.mark.parametrize(("wrong", "words"), [(0.3, "expected a list"), ([0.1, "x"], "`.*.1` is 'x'; expected float")])
def test_a_grid_of_variances_that_is_none_is_refused(wrong: object, words: str) -> None:
    tree = ModelConfig().to_dict()
    tree["calibration"]["label_variances"] = wrong
    assert re.search(words, find_mismatch(tree, ModelConfig) or "")


@pytest.mark.parametrize("share", [0.0, 0.5, -1.0])
def test_a_validation_fraction_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(SettingError, match=r"`validation_fraction` must lie between 0 and 0.5, got .*; 0.1 suits"):
        ModelConfig(validation_fraction=share)


def test_settings_that_a_tree_lacks_have_their_defaults() -> None:
    tree = ModelConfig().to_dict()
    del tree["calibration"], tree["diffusion"]["solver_steps"]
    assert ModelConfig.from_dict(tree) == ModelConfig()


def test_fewer_than_two_quantiles_of_library_sizes_are_refused() -> None:
    with pytest.raises(SettingError, match=r"`library_size_knots` must be at least 2, got 1; 129 suits"):
        ModelConfig(library_size_knots=1)


@pytest.mark.parametrize(
    ("config", "settings", "words"),
    [
        (TrainConfig, {"patience": HALF}, r"`patience` is 6.5; expected int"),
        (DiffusionConfig, {"width": SIXTEEN}, r"`width` is .*16.*; expected int"),
        (TrainConfig, {"compiled": ZERO}, r"`compiled` is 0; expected bool"),
        (TrainConfig, {"batch_size": "16"}, r"`batch_size` is '16'; expected int"),
        (CalibrationConfig, {"expected_expression": "no"}, r"`expected_expression` is 'no'; expected bool"),
        (ModelConfig, {"library_size_scores": "no"}, r"`library_size_scores` is 'no'; expected bool"),
    ],
    ids=["decimals", "numpy", "number", "text for a number", "text", "text in the whole"],
)
def test_a_setting_that_does_not_load_again_is_refused(config: type[Any], settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=rf"The setting {words}. Pass one of that type"):
        config(**settings)
