"""The tree of settings: there and back, and what is refused."""

from __future__ import annotations

import json

import pytest

from scdiffuse._core.errors import SettingError
from scdiffuse.model import DiffusionConfig, ModelConfig, TrainConfig


def test_settings_survive_json() -> None:
    config = ModelConfig(
        diffusion=DiffusionConfig(width=7), autoencoder_training=TrainConfig(patience=3), validation_fraction=0.2
    )
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("share", [0.0, 0.5, -1.0])
def test_a_validation_fraction_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(SettingError, match=r"`validation_fraction` must lie between 0 and 0.5, got .*; 0.1 suits"):
        ModelConfig(validation_fraction=share)
