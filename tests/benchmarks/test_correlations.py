"""The study of correlations within types: what it compares and what its section says."""

from __future__ import annotations

from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from benchmarks.studies import correlations
from tests.benchmarks.conftest import record


def rows(*pairs: tuple[float, float]) -> list[dict[str, Any]]:
    shape = {"n_fitted": 400, "n_cells": 100}
    return [
        {"sample": sample, "slope": slope, "r": r} | shape
        for sample, (slope, r) in zip(correlations.SAMPLES, pairs, strict=True)
    ]


def test_the_section_has_generated_and_refitted_cells_as_parts_of_their_references() -> None:
    records = [
        record("correlations", rows((1.0, 0.5), (0.8, 0.4), (0.5, 0.8), (0.4, 0.6)), data_set="pbmc68k", seed=0),
        record("correlations", rows((1.0, 0.5), (0.6, 0.3), (0.5, 0.8), (0.4, 0.6)), data_set="pbmc68k", seed=1),
    ]
    _, table = correlations.lines(records)
    assert table.splitlines()[2] == "| pbmc68k | 2 | 400 | 1.00, 0.50 | 0.70, 0.35 | 0.70, 0.70 | 0.80, 0.75 |"


def test_types_of_few_cells_and_differences_between_types_count_for_nothing() -> None:
    rng = np.random.default_rng(0)

    def cells(n_rare: int) -> anndata.AnnData:
        labels = np.array(["a"] * 200 + ["b"] * 200 + ["rare"] * n_rare)
        programme = rng.normal(size=len(labels)) * (labels != "rare")
        rates = 20 * np.exp(np.outer(programme, [0.5, 0.5, -0.5, 0, 0, 0]))
        rates[labels == "b", 5] *= 9
        rates[labels == "rare"] = 200 * rng.random((n_rare, 6))
        counts = rng.poisson(rates).astype(np.float32)
        names = [str(cell) for cell in range(len(labels))]
        return anndata.AnnData(counts, obs=pd.DataFrame({"cell_type": labels}, index=names))

    line = correlations._compare(cells(0), cells(9), genes=slice(None))
    assert line.slope == pytest.approx(1.0, abs=0.1)
    assert line.r > 0.97
