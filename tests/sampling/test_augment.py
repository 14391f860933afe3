"""Real cells stay as they are, and generated ones are added to rare labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from tests.fitted_model import assert_same_uns

from scdiffuse._core.errors import ConditionError, CountsError, NotFittedError, SettingError, UnknownNameError
from scdiffuse.cells.datasets import pbmc68k
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig


@pytest.fixture
def uneven(simulated: ad.AnnData, fitted: CellGenerator) -> ad.AnnData:
    """Cells with few of type B and columns of every kind."""
    drop = np.flatnonzero(simulated.obs["cell_type"] == "B")[5:]
    cells = simulated[:, fitted.genes][np.setdiff1d(np.arange(simulated.n_obs), drop)].copy()
    n = cells.n_obs
    cells.obs["age"] = np.arange(n)
    cells.obs["is_fresh"] = np.arange(n) % 2 == 0
    cells.obs["note"] = [f"text {at}" for at in range(n)]
    return cells


def _counts(cells: ad.AnnData) -> dict[Any, int]:
    return {label: int(n) for label, n in cells.obs["cell_type"].value_counts().items() if n}


@pytest.mark.parametrize(
    ("n_per_label", "expected"),
    [
        ("max", {"T": 48, "NK": 48, "B": 48}),
        ("median", {"T": 48, "NK": 48, "B": 48}),
        (60, {"T": 60, "NK": 60, "B": 60}),
        (10, {"T": 48, "NK": 48, "B": 10}),
        ({"B": 20}, {"T": 48, "NK": 48, "B": 20}),
        ({"T": 3, "B": 6}, {"T": 48, "NK": 48, "B": 6}),
    ],
    ids=str,
)
def test_labels_get_as_many_cells_as_asked_for(
    fitted: CellGenerator, uneven: ad.AnnData, n_per_label: Any, expected: dict[str, int]
) -> None:
    assert _counts(fitted.augment(uneven, by="cell_type", n_per_label=n_per_label, progress=False)) == expected


@pytest.mark.parametrize("by", ["n_cells", "treated"])
def test_a_condition_may_be_called_like_the_number_of_cells(simulated: ad.AnnData, small: ModelConfig, by: str) -> None:
    cells = simulated.copy()
    cells.obs["n_cells"] = ["few", "many", "many"] * 50
    cells.obs["treated"] = cells.obs["n_cells"] == "few"
    model = CellGenerator(cells, conditions=["n_cells", "treated"], config=small).fit(max_epochs=1, progress=False)
    both = model.augment(cells, by=by, progress=False)
    assert both.obs[by].value_counts().tolist() == [100, 100]
    one = model.augment(cells, by=by, n_per_label={both.obs[by].iloc[0]: 51}, progress=False)
    assert one.n_obs == 151


def test_real_cells_are_not_touched(fitted: CellGenerator, uneven: ad.AnnData) -> None:
    both = fitted.augment(uneven, by="cell_type", progress=False)
    real = both[both.obs["source"] == "real"]
    assert list(real.obs_names) == list(uneven.obs_names)
    assert (real.X != uneven.X).nnz == 0
    for name in uneven.obs:
        pd.testing.assert_series_equal(
            real.obs[name].astype(object), uneven.obs[name].astype(object), check_dtype=False, obj=name
        )


def test_generated_cells_are_those_that_generate_makes(fitted: CellGenerator, uneven: ad.AnnData) -> None:
    both = fitted.augment(uneven, by="cell_type", seed=5, progress=False)
    made = both[both.obs["source"] == "generated"]
    again = fitted.generate(where=pd.DataFrame({"cell_type": ["B"], "n_cells": [43]}), seed=5, progress=False)
    assert isinstance(again, ad.AnnData)
    assert (made.X != again.X).nnz == 0
    assert made.obs["treated"].astype(bool).tolist() == again.obs["treated"].astype(bool).tolist()
    assert made.obs[["age", "is_fresh", "note"]].isna().all(axis=None)


def test_names_are_unique_and_counts_whole(fitted: CellGenerator, uneven: ad.AnnData) -> None:
    uneven.obs_names = [*uneven.obs_names[:-1], "generated-1"]
    both = fitted.augment(uneven, by="cell_type", progress=False)
    assert both.obs_names.is_unique
    assert both.X.dtype == np.int32
    assert list(both.obs.columns) == [*uneven.obs.columns, "source"]


def test_augmented_cells_can_be_written_and_read(fitted: CellGenerator, uneven: ad.AnnData, tmp_path: Path) -> None:
    both = fitted.augment(uneven, by="cell_type", progress=False)
    both.write_h5ad(tmp_path / "both.h5ad")
    read = ad.read_h5ad(tmp_path / "both.h5ad")
    assert _counts(read) == _counts(both)
    assert list(read.obs["source"].cat.categories) == ["real", "generated"]
    assert_same_uns(read.uns, both.uns)
    settings = both.uns["scdiffuse"]["settings"]
    assert (settings["augment"], settings["n_per_label"], settings["n_generated"]) == ("cell_type", "max", 43)


def test_nothing_is_generated_where_nothing_is_missing(fitted: CellGenerator, uneven: ad.AnnData) -> None:
    both = fitted.augment(uneven, by="cell_type", n_per_label=1, progress=False)
    assert set(both.obs["source"]) == {"real"}
    assert both.n_obs == uneven.n_obs


def test_genes_that_the_model_does_not_know_are_left_out_with_a_warning(
    fitted: CellGenerator, uneven: ad.AnnData
) -> None:
    other = uneven[:, :2].copy()
    other.var_names = ["other-1", "other-2"]
    wide = ad.concat([uneven, other], axis=1, merge="first")
    with pytest.warns(UserWarning, match="2 genes of the cells are not known to the model and are left out"):
        both = fitted.augment(wide, by="cell_type", progress=False)
    assert list(both.var_names) == list(fitted.genes)


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"by": "cell_typ"}, UnknownNameError, "is not a condition of this model.*Did you mean 'cell_type'"),
        ({"by": "day"}, ConditionError, "whose values are numbers; expected a condition with labels"),
        ({"by": "cell_type", "n_per_label": "most"}, SettingError, "`n_per_label` is 'most'; expected 'max', 'median'"),
        ({"by": "cell_type", "n_per_label": 0}, SettingError, "`n_per_label` asks for 0 cells of a label"),
        ({"by": "cell_type", "n_per_label": {"B": 2.5}}, SettingError, "`n_per_label` asks for 2.5 cells of a label"),
        ({"by": "cell_type", "n_per_label": {"BB": 9}}, UnknownNameError, "`n_per_label` names 'BB'.*Did you mean 'B'"),
    ],
    ids=str,
)
def test_bad_requests_are_refused(
    fitted: CellGenerator, uneven: ad.AnnData, asked: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        fitted.augment(uneven, progress=False, **asked)


def test_cells_that_do_not_fit_are_refused(fitted: CellGenerator, uneven: ad.AnnData, simulated: ad.AnnData) -> None:
    with pytest.raises(UnknownNameError, match=r"'cell_type' is not a column of `adata.obs`"):
        fitted.augment(ad.AnnData(uneven.X, uneven.obs[["age"]], uneven.var), by="cell_type")
    with pytest.raises(CountsError, match="looks normalised"):
        fitted.augment(ad.AnnData(uneven.X * 1.5 + uneven.X * 30, uneven.obs, uneven.var), by="cell_type")
    uneven.obs["source"] = "here"
    with pytest.raises(ConditionError, match=r"`adata.obs` has a column 'source' already"):
        fitted.augment(uneven, by="cell_type")
    with pytest.raises(NotFittedError, match="`augment` needs a fitted model"):
        CellGenerator(simulated, conditions=["cell_type"]).augment(uneven, by="cell_type")


def test_a_rare_type_of_real_cells_is_augmented_and_not_copied(small: ModelConfig) -> None:
    """Of 700 blood cells, the CD34+ ones are fewest; what is added is new, whole, and of their genes."""
    cells = pbmc68k()
    model = CellGenerator(cells, conditions=["cell_type"], config=small).fit(max_epochs=2, progress=False)
    known = cells[:, model.genes].copy()
    rarest = known.obs["cell_type"].value_counts().idxmin()
    n_real = int((known.obs["cell_type"] == rarest).sum())
    both = model.augment(known, by="cell_type", n_per_label={rarest: n_real + 40}, progress=False)
    made = both[both.obs["source"] == "generated"]
    assert n_real < 30
    assert (made.n_obs, set(made.obs["cell_type"])) == (40, {rarest})
    rows = {row.tobytes() for row in known.X.toarray().astype(np.int32)}
    assert not any(row.tobytes() in rows for row in made.X.toarray())
    assert len({row.tobytes() for row in made.X.toarray()}) == 40


def test_cells_that_were_augmented_before_are_augmented_again(fitted: CellGenerator, uneven: ad.AnnData) -> None:
    once = fitted.augment(uneven, by="cell_type", n_per_label={"B": 20}, progress=False)
    again = fitted.augment(_renamed(once), by="cell_type", progress=False)
    assert again.obs_names.is_unique
    assert list(again.obs_names[: once.n_obs]) == list(once.obs_names)


def _renamed(cells: ad.AnnData) -> ad.AnnData:
    """Return cells whose column of origin has another name."""
    renamed = cells.copy()
    renamed.obs = renamed.obs.rename(columns={"source": "origin"})
    return renamed


def test_columns_that_no_file_can_hold_are_refused(fitted: CellGenerator, uneven: ad.AnnData) -> None:
    odd = uneven.copy()
    odd.obs["/abs"] = 1
    with pytest.raises(ConditionError, match=r"The column '/abs' cannot be written"):
        fitted.augment(odd, by="cell_type", progress=False)
