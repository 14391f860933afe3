from __future__ import annotations

from typing import Any

import pytest

from scdiffuse._core.errors import SettingError
from scdiffuse.diffusion import DiffusionConfig


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"width": 0}, "`width` must be at least 1"),
        ({"depth": 0}, "`depth` must be at least 1"),
        ({"embedding_width": 0}, "`embedding_width` must be at least 1"),
        ({"solver_steps": 0}, "`solver_steps` must be at least 1"),
        ({"drop_each": 1.0}, "`drop_each` is a probability below 1"),
        ({"drop_all": -0.1}, "`drop_all` is a probability below 1"),
        ({"log_noise_std": 0.0}, "`log_noise_std` must be positive"),
        ({"ode_steps": 0}, "`ode_steps` must be at least 1"),
        ({"distillation_ode_steps": 0}, "`distillation_ode_steps` must be at least 1"),
        ({"validation_draws": 1}, "`validation_draws` must be at least 2"),
        ({"solver": "huen"}, r"`solver` must be one of \['euler', 'heun', 'multistep'\].* Did you mean 'heun'"),
    ],
)
def test_settings_out_of_range_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        DiffusionConfig(**given)
