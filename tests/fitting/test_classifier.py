"""Which cells a classifier learns from."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from tests.fitted_model import twin

import scdiffuse.fitting._classifier as learning
from scdiffuse._core.errors import ConditionError
from scdiffuse.cells import open_source
from scdiffuse.fitting import read_labelled
from scdiffuse.generator import CellGenerator


@pytest.mark.parametrize("dtype", ["object", "category"])
def test_empty_text_is_no_class(adata: ad.AnnData, dtype: str) -> None:
    adata.obs["type"] = ["u", "v", "", " "] * 15
    adata.obs["type"] = adata.obs["type"].astype(dtype)
    cells = read_labelled(open_source(adata), "type", name="kind", kind=None)
    assert cells.conditions.categorical == {"kind": ("u", "v")}
    assert cells.rows.tolist() == [at for at in range(60) if at % 4 < 2]
    assert cells.table.codes.ravel().tolist() == [0, 1] * 15


def test_cells_without_a_number_are_left_out(adata: ad.AnnData) -> None:
    cells = read_labelled(open_source(adata), "day", name="day", kind=None)
    assert cells.rows.tolist() == np.flatnonzero(adata.obs["day"].notna()).tolist()


def test_columns_of_one_name_are_refused(adata: ad.AnnData) -> None:
    adata.obs.columns = ["day", *adata.obs.columns[1:]]
    with pytest.raises(ConditionError, match="has 2 columns 'day'; expected one"):
        read_labelled(open_source(adata), "day", name="day", kind=None)


def test_accuracy_is_measured_on_a_bounded_number_of_cells(
    bare: CellGenerator, simulated: ad.AnnData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(most: int) -> int:
        monkeypatch.setattr(learning, "_MOST_MEASURED", most)
        made = twin(bare).add_classifier("treated", simulated, max_epochs=1, progress=False)
        return made.classifiers["treated"]["n_held_out"]

    assert [measured(most) for most in (7, 15, 16_384)] == [7, 15, 15]
