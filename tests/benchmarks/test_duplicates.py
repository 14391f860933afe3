"""Planted duplicates: what becomes of counts, and what the page says."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.studies import duplicates
from tests.benchmarks.conftest import record


@pytest.mark.parametrize(
    ("planted", "mean"),
    [
        ("itself", 1.0),
        ("two, with chance .1", 1.1),
        ("two, with chance .3", 1.3),
        ("one and a Poisson number of mean .3", 1.3),
        ("one and a Poisson number of mean .5", 1.5),
        ("a geometric number of mean 1.45", 1.45),
    ],
)
def test_counts_become_more_by_what_is_planted(planted: str, mean: float) -> None:
    counts = np.full(40_000, 3)
    made = duplicates.PLANTED[planted](counts, np.random.default_rng(0))
    assert made.min() >= 3
    assert made.mean() == pytest.approx(3 * mean, rel=0.01)


def test_the_page_names_the_rates_and_both_fits() -> None:
    found = []
    for seed, rate in ((0, 0.28), (1, 0.0)):  # halves of the real cells are too few for logistic regression
        rows = [{"duplicates": on, "rate": rate if on else 0.0, "fit_seconds": 60.0} for on in (True, False)]
        for row in rows:
            for space in ("genes", "depth"):
                for classifier in ("forest", "logistic"):
                    row[f"{space}_{classifier}_generated"] = 0.55 if row["duplicates"] else 0.95
                    row |= {f"{space}_forest_real": 0.5}
            row |= {f"{words}_{sample}": 0.4 for words in ("ones", "twos") for sample in ("real", "generated")}
        found.append(record("duplicates", rows, data_set="toy", planted="two, with chance .3", seed=seed))
    table = duplicates.lines(found)[-1]
    assert "0.28, none" in table
    assert "0.550 / 0.950 (0.500)" in table
    assert "0.550 / 0.950 |" in table
