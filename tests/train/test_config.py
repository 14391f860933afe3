"""How long training takes, and settings that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from scdiffuse._core.errors import SettingError
from scdiffuse.train import TrainConfig

CONFIG = TrainConfig(batch_size=10, min_steps=100, few_cells=1_000, max_steps=500)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1, got 0"),
        ({"precision": "fp8"}, "`precision` must be 'float32' or 'bf16', got 'fp8'"),
        ({"patience": 0}, "`patience` must be at least 1, got 0"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be positive"),
        ({"decay": 1.0}, "`decay` must be at least 0 and below 1, got 1.0"),
        ({"beta2": 1.0}, "`beta2` must be at least 0 and below 1, got 1.0"),
        ({"warm_up_steps": 0}, "`warm_up_steps` must be at least 1, got 0"),
        ({"late_warm_up": 0.0}, "`late_warm_up` must be positive, got 0.0"),
        ({"largest_batch_fraction": 0.0}, "`largest_batch_fraction` must be above 0 and at most 1, got 0.0"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        TrainConfig(**setting)


@pytest.mark.parametrize(("n_cells", "n_steps"), [(50, 100), (1_000, 100), (4_000, 200), (10_000_000, 500)])
def test_steps_grow_with_the_square_root_of_the_cells(n_cells: int, n_steps: int) -> None:
    assert CONFIG.n_steps(n_cells) == n_steps


def test_epochs_cap_the_steps() -> None:
    assert CONFIG.n_steps(50, 2) == 10
    assert CONFIG.n_steps(5, 2) == 2


@pytest.mark.parametrize(("n_cells", "n_batch"), [(20, 20), (60, 32), (300, 100), (5_000, 128)])
def test_a_step_holds_a_fraction_of_few_cells(n_cells: int, n_batch: int) -> None:
    assert TrainConfig(largest_batch_fraction=1 / 3).n_batch(n_cells) == n_batch


def test_a_step_is_not_smaller_than_the_smallest_batch() -> None:
    config = TrainConfig(largest_batch_fraction=0.1, smallest_batch=5)
    assert [config.n_batch(n_cells) for n_cells in (3, 40, 200)] == [3, 5, 20]
