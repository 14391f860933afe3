"""The ratio of right types, which a trial of few cells may not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
from benchmarks.layout import only
from benchmarks.records import plain
from benchmarks.studies import main_job
from tests.benchmarks.conftest import record

if TYPE_CHECKING:
    from scdiffuse import CellGenerator


class Made:
    """Stands in for a model: each cell has counts of its type's gene alone."""

    def generate(self, *, where: pd.DataFrame, **_: object) -> anndata.AnnData:
        return cells(where["cell_type"].tolist())


def cells(looks: list[str], labels: list[str] | None = None) -> anndata.AnnData:
    counts = np.array([[9.0, 1.0] if look == "a" else [1.0, 9.0] for look in looks], np.float32)
    obs = pd.DataFrame({"cell_type": pd.Categorical(labels or looks)}, index=[str(at) for at in range(len(looks))])
    return anndata.AnnData(counts, obs=obs)


def test_a_type_that_no_real_cell_is_given_has_no_ratio() -> None:
    model: CellGenerator = Made()  # type: ignore[assignment]
    held_out, reference = cells(["a", "a"], ["a", "b"]), cells(["a", "a"], ["a", "b"])
    reference.obs_names = ["2", "3"]
    rows = main_job.right_types(model, {"fit": cells(["a", "b"] * 5), "held_out": held_out, "reference": reference})
    text = main_job.lines([record("main_job", plain(rows), part="pbmc3k", threads=1)])[0]
    assert len(only(rows, value=1.0)) == 1
    assert "| pbmc3k: a given the right type, generated / real | 1.000 |" in text
    assert "| pbmc3k: b given the right type, generated / real | not measured |" in text
