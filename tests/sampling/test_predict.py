"""Counterfactuals: exact where latents are normal, the same cells where nothing changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from tests.fitted_model import networks_of

from scdiffuse._core.errors import (
    ConditionError,
    CountsError,
    ExtrapolationWarning,
    GenesError,
    NotFittedError,
    ScdiffuseWarning,
    SettingError,
    UnknownNameError,
)
from scdiffuse.generator import CellGenerator
from scdiffuse.model import ModelConfig
from scdiffuse.nn import ConditionTensors

LATENT = "X_scdiffuse"


@pytest.fixture
def cells(simulated: ad.AnnData) -> ad.AnnData:
    """Cells that lack no label."""
    return simulated[simulated.obs["cell_type"].notna() & simulated.obs["day"].notna()][:40].copy()


def conditional_mean(model: CellGenerator, cells: ad.AnnData, **changed: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Mean latent under the cells' conditions, without the library size."""
    table = model.conditions.encode(cells.obs.assign(**changed))
    made = ConditionTensors(torch.from_numpy(table.codes), torch.from_numpy(table.values))
    found: np.ndarray[Any, np.dtype[np.float32]] = networks_of(model).denoiser.conditional_mean(made)[:, :-1].numpy()
    return found


def test_between_normal_latents_the_map_is_affine(normal: CellGenerator, cells: ad.AnnData) -> None:
    here = normal.predict(cells, {}, solver_steps=64, progress=False).obsm[LATENT]
    there = normal.predict(cells, {"cell_type": "B", "day": 0.5}, solver_steps=64, progress=False).obsm[LATENT]
    shift = conditional_mean(normal, cells, cell_type="B", day=0.5) - conditional_mean(normal, cells)
    assert np.abs(shift).max() > 0.3
    np.testing.assert_allclose(there - here, shift, atol=2e-3)


def test_columns_that_mark_generated_cells_are_replaced_with_a_warning(
    fitted: CellGenerator, cells: ad.AnnData
) -> None:
    cells = cells[:3].copy()
    cells.obs = cells.obs.assign(source="biobank", support=1)
    with pytest.warns(ScdiffuseWarning, match="replaced, as they mark generated cells: 'source', 'support'. Rename"):
        made = fitted.predict(cells, {"cell_type": "B"}, progress=False)
    assert set(made.obs["source"]) == {"generated"}
    fitted.predict(made, {"cell_type": "T"}, progress=False)  # its own marks are no loss


def test_a_cell_is_the_same_to_the_bit_alone_and_among_others(fitted: CellGenerator, cells: ad.AnnData) -> None:
    among = fitted.predict(cells, {"cell_type": "B"}, progress=False)
    for n in (1, 2, 3, 17):
        alone = fitted.predict(cells[:n].copy(), {"cell_type": "B"}, progress=False)
        np.testing.assert_array_equal(alone.obsm[LATENT], among.obsm[LATENT][:n])
        assert (among.X[:n] != alone.X).nnz == 0


def test_under_their_own_conditions_cells_come_back(fitted: CellGenerator, cells: ad.AnnData) -> None:
    errors = []
    for solver_steps in (4, 8, 16, 32):
        made = fitted.predict(cells, {}, solver_steps=solver_steps, progress=False).obsm[LATENT]
        errors.append(
            float(np.abs(made - fitted.predict(cells, {}, solver_steps=128, progress=False).obsm[LATENT]).max())
        )
    assert errors[-1] < 0.01
    assert errors[-1] < errors[1] / 4


def test_only_the_conditions_asked_for_change(fitted: CellGenerator, cells: ad.AnnData) -> None:
    cells.obs["donor"] = [f"d{at % 3}" for at in range(cells.n_obs)]
    made = fitted.predict(cells, {"cell_type": "NK"}, progress=False)
    assert list(made.obs_names) == list(cells.obs_names)
    assert set(made.obs["cell_type"]) == {"NK"}
    for name in ("treated", "day", "donor"):
        assert made.obs[name].tolist() == cells.obs[name].tolist()
    assert list(made.obs.columns) == [*cells.obs.columns, "unseen", "support", "source"]
    assert made.X.dtype == np.int32


def test_cells_keep_their_library_size_unless_asked_otherwise(fitted: CellGenerator, cells: ad.AnnData) -> None:
    own = np.asarray(cells[:, fitted.genes].X.sum(axis=1)).ravel()
    kept = fitted.predict(cells, {"cell_type": "B"}, progress=False)
    assert np.array_equal(np.asarray(kept.X.sum(axis=1)).ravel(), own)
    given = fitted.predict(cells, {"cell_type": "B"}, library_size=70, progress=False)
    assert set(np.asarray(given.X.sum(axis=1)).ravel()) == {70}
    free = fitted.predict(cells, {"cell_type": "B"}, library_size=None, progress=False)
    assert not np.array_equal(np.asarray(free.X.sum(axis=1)).ravel(), own)


def test_a_cell_depends_on_itself_and_its_place_alone(fitted: CellGenerator, cells: ad.AnnData) -> None:
    whole = fitted.predict(cells, {"cell_type": "B"}, seed=3, progress=False)
    few = fitted.predict(cells[:7].copy(), {"cell_type": "B"}, seed=3, progress=False)
    assert (whole[:7].X != few.X).nnz == 0
    other = fitted.predict(cells[:7].copy(), {"cell_type": "B"}, seed=4, progress=False)
    assert (other.X != few.X).nnz > 0


def test_conditions_that_cells_lack_are_not_known(fitted: CellGenerator, cells: ad.AnnData) -> None:
    bare = ad.AnnData(cells.X, var=cells.var)
    bare.obs_names = cells.obs_names
    made = fitted.predict(bare, {"cell_type": "B"}, progress=False)
    assert list(made.obs.columns) == ["cell_type", "unseen", "support", "source"]


def test_a_condition_may_be_taken_away(fitted: CellGenerator, cells: ad.AnnData) -> None:
    made = fitted.predict(cells, {"cell_type": None}, progress=False)
    assert made.obs["cell_type"].isna().all()


def test_a_file_of_cells_will_do(fitted: CellGenerator, cells: ad.AnnData, tmp_path: Path) -> None:
    cells.write_h5ad(tmp_path / "cells.h5ad")
    from_file = fitted.predict(tmp_path / "cells.h5ad", {"cell_type": "B"}, progress=False)
    assert (from_file.X != fitted.predict(cells, {"cell_type": "B"}, progress=False).X).nnz == 0


def test_a_screen_is_its_predictions_one_by_one(fitted: CellGenerator, cells: ad.AnnData, tmp_path: Path) -> None:
    asked = {"cell_type": np.array(["NK", "B"]), "day": [0.5, 1.0], "treated": cells.obs["treated"].iloc[0]}
    made = fitted.predict(cells, asked, progress=False, batch_size=16)
    one_by_one = [
        fitted.predict(cells, {**asked, "cell_type": label, "day": day}, progress=False)
        for label in ("NK", "B")
        for day in (0.5, 1.0)
    ]
    expected = ad.concat(one_by_one, index_unique="-")
    assert (made.X != expected.X).nnz == 0
    np.testing.assert_array_equal(made.obsm[LATENT], expected.obsm[LATENT])
    pd.testing.assert_frame_equal(made.obs.reset_index(drop=True), expected.obs.reset_index(drop=True))
    first = cells.obs_names[0]
    assert list(made.obs_names[::40]) == [f"{first}-{ends}" for ends in ("NK-0.5", "NK-1.0", "B-0.5", "B-1.0")]
    made.write_h5ad(tmp_path / "screen.h5ad")


def test_a_number_beyond_the_range_is_warned_of(fitted: CellGenerator, cells: ad.AnnData) -> None:
    with pytest.warns(ExtrapolationWarning, match="'day'"):
        made = fitted.predict(cells, {"day": 9.0}, progress=False)
    assert made.obs["unseen"].all()


@pytest.mark.parametrize(
    ("to", "more", "error", "words"),
    [
        ({"cell_typ": "B"}, {}, UnknownNameError, "is not a condition of this model.*Did you mean 'cell_type'"),
        ({"cell_type": "BB"}, {}, UnknownNameError, "'BB' is not a trained label of 'cell_type'"),
        ({"day": "late"}, {}, ConditionError, "holds 'late'; expected numbers"),
        pytest.param(
            {"cell_type": {"B", "T"}},
            {},
            ConditionError,
            "gives 'cell_type' 2 values; expected one label",
            id="several labels in a set",  # whose order would change the name
        ),
        ({"cell_type": []}, {}, SettingError, r"gives 'cell_type' \[\], which names nothing"),
        ({"cell_type": ["B", "T", "B"]}, {}, SettingError, "which names something twice"),
        ({"cell_type": ["B", "TT"]}, {}, UnknownNameError, "'TT' is not a trained label of 'cell_type'"),
        ("B", {}, SettingError, "`to` must name conditions and a label or number each"),
        ({"cell_type": "B"}, {"library_size": "mine"}, SettingError, "`library_size` must be 'own'"),
        ({"cell_type": "B"}, {"solver_steps": 0}, SettingError, "`solver_steps` must be at least 1"),
        ({"cell_type": "B"}, {"guidance": -1.0}, SettingError, "`guidance` must be 0 or more, got -1.0"),
        ({"cell_type": "B"}, {"batch_size": 0}, SettingError, "`batch_size` must be at least 1, got 0"),
        (None, {}, SettingError, "Neither `to` nor `guidance` says what the cells become; expected one of them"),
    ],
    ids=str,
)
def test_bad_requests_are_refused(
    fitted: CellGenerator, cells: ad.AnnData, to: Any, more: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        fitted.predict(cells, to, progress=False, **more)


def test_cells_that_do_not_fit_are_refused(
    fitted: CellGenerator, cells: ad.AnnData, bare: CellGenerator, small: ModelConfig
) -> None:
    with pytest.raises(GenesError, match="The data lack 1 of the"):
        fitted.predict(cells[:, fitted.genes[1:]].copy(), {"cell_type": "B"})
    with pytest.raises(CountsError, match="looks normalised"):
        fitted.predict(ad.AnnData(cells.X * 20.5, cells.obs, cells.var), {"cell_type": "B"})
    empty = cells.copy()
    empty.X = empty.X.multiply(np.arange(40)[:, None] > 0).tocsr()
    with pytest.raises(CountsError, match="1 of 40 cells have no counts in the 25 genes of the model"):
        fitted.predict(empty, {"cell_type": "B"})
    with pytest.raises(ConditionError, match="`to` needs a model with conditions, and this one has none"):
        bare.predict(cells, {"cell_type": "B"})
    with pytest.raises(NotFittedError, match="`predict` needs a fitted model"):
        CellGenerator(cells, config=small).predict(cells, {})
