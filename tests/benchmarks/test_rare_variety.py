"""The study of rare types: copies of one cell cover few real ones, and its goals count types."""

from __future__ import annotations

import numpy as np
from benchmarks.studies import rare_variety
from tests.benchmarks.conftest import record


def test_cells_that_are_all_alike_cover_fewer_than_other_real_ones() -> None:
    draw = np.random.default_rng(0)
    real, alike = draw.normal(size=(60, 3)), draw.normal(size=(60, 3)) * 0.01
    of_real, of_alike = (rare_variety._coverage(real, made, seed=0) for made in (draw.normal(size=(60, 3)), alike))
    assert of_real["coverage_low"] <= of_real["coverage_generated"] <= 1
    assert of_alike["coverage_generated"] < of_alike["coverage_low"]


def test_the_goals_count_types_over_the_mean_of_their_seeds() -> None:
    about = {"type": "NK", "n_trained": 40, "n_real": 30, "n_generated": 15, "right_type_real": 0.5}
    about |= {"coverage_real": 0.9, "coverage_low": 0.8, "coverage_high": 1.0, "coverage_generated": 0.7}
    records = [
        record("rare_variety", [about | {"right_type_generated": value}], data_set="x", seed=seed)
        for seed, value in enumerate((0.4, 0.7))
    ]
    text = "\n".join(rare_variety.lines(records))
    assert "right type no more than .1 more often than real ones: 1 of 1" in text
    assert "other real cells, or above: 0 of 1" in text
