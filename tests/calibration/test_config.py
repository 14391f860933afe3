"""Settings of the calibration that make no sense are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from scdiffuse._core.errors import SettingError
from scdiffuse.calibration import CalibrationConfig


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"expected_weight": 1.1}, "`expected_weight` must lie between 0 and 1, got 1.1; 0.6 suits"),
        ({"expected_weight": float("nan")}, "`expected_weight` must lie between 0 and 1, got nan"),
        ({"expected_scale": 0.0}, "`expected_scale` must be positive, got 0.0"),
        ({"label_variances": (0.1, 0.0, 0.3)}, "`label_variances` must be positive numbers, one at least, got "),
        ({"own_variances": ()}, "`own_variances` must be positive numbers, one at least, got "),
        ({"n_noise_bins": 0}, "`n_noise_bins` must be at least 1, got 0"),
        ({"gene_prior": -1.0}, "`gene_prior` must be positive, got -1.0"),
        ({"gene_variance": -0.1}, "`gene_variance` must not be negative, got -0.1"),
        ({"gene_variance": float("nan")}, "`gene_variance` must not be negative, got nan"),
        ({"rare_cells": 0}, "`rare_cells` must be at least 1, got 0"),
        ({"most_grid_values": 0}, "`most_grid_values` must be at least 1, got 0"),
        ({"most_combinations": 0}, "`most_combinations` must be at least 1, got 0"),
        ({"most_rare": -1}, "`most_rare` must not be negative, got -1"),
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        CalibrationConfig(**asked)


def test_the_ends_of_ranges_are_allowed() -> None:
    CalibrationConfig(expected_weight=0.0, gene_variance=0.0, most_rare=0, rare_cells=1)
    CalibrationConfig(expected_weight=1.0)
