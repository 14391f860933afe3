"""Settings as typed."""

from __future__ import annotations

import pytest

from scdiffuse._core.errors import SettingError, UnknownNameError
from scdiffuse.cli._settings import read_settings
from scdiffuse.model import ModelConfig


def test_nothing_typed_leaves_the_defaults() -> None:
    assert read_settings([]) == ModelConfig()


def test_a_setting_is_found_by_its_path() -> None:
    config = read_settings(
        ["diffusion.solver_steps=20", "validation_fraction=0.2", "autoencoder_training.learning_rate=1"]
    )
    assert (config.diffusion.solver_steps, config.validation_fraction) == (20, 0.2)
    assert config.autoencoder_training.learning_rate == 1.0


def test_an_unknown_setting_is_refused_with_a_guess() -> None:
    with pytest.raises(UnknownNameError, match=r"not a setting; .* Did you mean 'diffusion.solver_steps'\?"):
        read_settings(["difusion.solver_steps=20"])


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("diffusion.solver_steps", "has no `=`; expected `--set name=value`"),
        (
            "diffusion.solver_steps=many",
            "has another type than the default 10; expected int. Write it as `--set diffusion.solver_steps=10`",
        ),
        ("autoencoder_training.batch_size=0", "`batch_size` must be at least 1, got 0"),
    ],
)
def test_a_wrong_setting_is_explained(pair: str, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        read_settings([pair])
