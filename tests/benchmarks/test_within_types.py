"""The study of cells of one type: how types are taken and what its section says."""

from __future__ import annotations

from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from benchmarks.studies import within_types
from tests.benchmarks.conftest import record

_SHAPE = {"n_fitted": 300, "n_cells": 150, "n_tested": 50}


def rows(label: str, **aucs: float) -> list[dict[str, Any]]:
    return [
        {"type": label, "sample": sample, "classifier": "forest", "auc": auc} | _SHAPE for sample, auc in aucs.items()
    ]


def test_the_section_has_each_type_and_what_is_above_the_higher_reference() -> None:
    values = rows("B", generated=0.7, real=0.5, bootstrap=0.6) + rows("T", generated=0.6, bootstrap=0.58)
    values += rows("rare", bootstrap=0.7)  # too few held-out cells, though the model made enough
    _, table, gaps = within_types.lines([record("within_types", values, data_set="pbmc10k_cite", seed=0)])
    assert table.splitlines()[2:] == [
        "| pbmc10k_cite | B | 300 | 150 | 0.700 (0.500; 0.600) |",
        "| pbmc10k_cite | T | 300 | 150 | 0.600 (; 0.580) |",
    ]
    assert gaps == "- `pbmc10k_cite`, AUC above the higher reference, mean over types: forest 0.060."


def test_cells_of_a_type_are_drawn_from_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(within_types, "_MOST", 50)
    obs = pd.DataFrame({"cell_type": np.tile(["a", "b"], 100)}, index=[str(cell) for cell in range(200)])
    chosen = within_types._of_type(anndata.AnnData(np.zeros((200, 1), np.float32), obs=obs), "cell_type", "a")
    assert chosen.n_obs == 50
    assert set(chosen.obs["cell_type"]) == {"a"}
    assert chosen.obs_names.astype(int).max() > 150  # files are often sorted by donor
