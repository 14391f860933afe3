"""Cells of a screen, what they are predicted under, and the costs on the page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from benchmarks.models import Fit
from benchmarks.studies import screen
from tests.benchmarks.conftest import record

if TYPE_CHECKING:
    import anndata

OF_TYPES = screen.Screen(
    fit=Fit(name="screen", data_set="toy"), key="cell_type", start=("cell_type", "rare"), ignored=("b",)
)


def test_every_cell_is_taken_before_any_is_taken_again(toy: anndata.AnnData) -> None:
    found = OF_TYPES.cells(toy, 10, seed=0)
    assert set(found.obs["cell_type"]) == {"rare"}
    assert found.obs_names.is_unique
    rows = found.X.toarray()
    assert len(np.unique(rows[:4], axis=0)) == 4
    np.testing.assert_array_equal(rows[4:8], rows[:4])


@pytest.mark.parametrize(("key", "expected"), [("cell_type", ["a", "c"]), ("day", [2.0, 3.0, 4.0])])
def test_labels_are_those_that_are_not_given_and_numbers_span_what_was_measured(key: str, expected: list[Any]) -> None:
    conditions = SimpleNamespace(
        categorical={"cell_type": ("a", "b", "c", "rare", "z")}, continuous={"day": SimpleNamespace(min=2.0, max=4.0)}
    )
    one = screen.Screen(fit=OF_TYPES.fit, key=key, start=OF_TYPES.start, ignored=OF_TYPES.ignored)
    model: Any = SimpleNamespace(conditions=conditions)
    assert one.targets(model, len(expected)) == expected


def test_the_page_tells_minutes_and_rates_of_all_predictions() -> None:
    values = {"genes": 9, "key": "drug", "targets": 3, "peak_mib": 512.0, "fit_cpu_seconds": 90.0}
    values |= {"seconds": 60.0, "cpu_seconds": 120.0}
    made = record("screen", values, data_set="toy", n_cells=2000, n_labels=5, threads=2)
    assert "| toy | 9 | drug | 2000 | 3 | 2 | 1.000 | 2.000 | 100 | 50.00 | 512 | 1.500 |" in "\n".join(
        screen.lines([made])
    )
