"""What every call leaves beside the counts, and how it fits in with the tools around it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from tests.fitted_model import networks_of, twin

from scdiffuse._core.errors import SettingError
from scdiffuse.generator import CellGenerator
from scdiffuse.model import decode
from scdiffuse.sampling import Guidance, Request

LATENT = "X_scdiffuse"
QUIET: dict[str, Any] = {"progress": False, "solver_steps": 2}
Call = Callable[..., ad.AnnData]


@pytest.fixture(scope="module")
def model(fitted: CellGenerator, simulated: ad.AnnData) -> CellGenerator:
    """A model with classifiers: of labels, of numbers, and one that is called as a condition."""
    made = twin(fitted)
    made.add_classifier("organ", simulated, obs_key="cell_type", max_epochs=1, progress=False)
    made.add_classifier("hour", simulated, obs_key="day", max_epochs=1, progress=False)
    return made.add_classifier("cell_type", simulated, max_epochs=1, progress=False)


@pytest.fixture
def cells(simulated: ad.AnnData) -> ad.AnnData:
    """A few labelled cells with columns that count."""
    known = simulated.obs["cell_type"].notna() & simulated.obs["day"].notna()
    some = simulated[known][:12].copy()
    some.obs["n_counts"] = np.float32(-1.0)
    some.obs["n_genes_by_counts"] = np.int32(-1)
    some.obs["log1p_total_counts"] = -1.0
    some.obs["nCount_RNA"] = "as text"
    return some


CALLS: dict[str, Call] = {
    "generate": lambda model, _, **asked: model.generate(9, **QUIET, **asked),
    "predict": lambda model, cells, **asked: model.predict(cells, {"cell_type": "B"}, **QUIET, **asked),
    "trajectory": lambda model, cells, **asked: model.trajectory(
        cells, {"cell_type": "B"}, n_states=2, n_cells=4, **QUIET, **asked
    ),
    "augment": lambda model, cells, **asked: model.augment(
        cells, by="cell_type", n_per_label=6, progress=False, **asked
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_call_leaves_latents(fitted: CellGenerator, cells: ad.AnnData, call: str) -> None:
    made = CALLS[call](fitted, cells)
    latents = made.obsm[LATENT]
    assert (latents.shape, latents.dtype) == ((made.n_obs, 3), np.float32)
    assert np.isfinite(latents).all()
    assert (latents.std(axis=0) > 0).all()


def test_latents_are_those_that_the_counts_were_drawn_from(fitted: CellGenerator) -> None:
    request = Request(n_cells=40, guidance=Guidance(), solver_steps=2, library_size=90)
    made = fitted.generate(40, library_size=90, **QUIET)
    assert isinstance(made, ad.AnnData)
    assert fitted._model is not None
    plan, cells = request.plan(fitted._model), np.arange(40)
    table = plan.conditions_plan.table(cells)
    latents = torch.from_numpy(np.pad(made.obsm[LATENT], ((0, 0), (0, 1))))  # whatever the library size was
    again = decode(
        networks_of(fitted),
        latents,
        seed=0,
        stream="counts",
        noise_ids=plan.noise_ids(table, cells),
        library_sizes=np.full(40, 90),
        gene_factors=plan.factor_table.of(table) if plan.factor_table else None,
    )
    assert (again != made.X).nnz == 0


@pytest.mark.parametrize("batch_size", [4, 100])
def test_a_file_holds_the_latents_and_labels_of_memory(model: CellGenerator, tmp_path: Path, batch_size: int) -> None:
    guidance = Guidance(toward={"organ": ["B", "T", None] * 3, "hour": 1.0})
    model.generate(9, guidance=guidance, path=tmp_path / "cells.h5ad", batch_size=batch_size, **QUIET)
    made, held = model.generate(9, guidance=guidance, **QUIET), ad.read_h5ad(tmp_path / "cells.h5ad")
    assert isinstance(made, ad.AnnData)
    np.testing.assert_allclose(held.obsm[LATENT], made.obsm[LATENT], atol=1e-5)
    pd.testing.assert_frame_equal(held.obs, made.obs)
    assert list(made.obs.columns) == ["cell_type", "treated", "day", "organ", "hour", "unseen", "support", "source"]
    assert made.obs["organ"].tolist()[:2] == ["B", "T"]
    assert made.obs["organ"].isna().tolist() == [False, False, True] * 3
    assert list(made.obs["organ"].cat.categories) == ["T", "NK", "B"]
    assert set(made.obs["hour"]) == {1.0}


def test_what_guides_at_scale_0_or_away_is_no_label(model: CellGenerator) -> None:
    guidance = Guidance(toward={"organ": ("B", 0.0)}, away={"cell_type": "T"})
    made = model.generate(4, guidance=guidance, where={"cell_type": "B"}, **QUIET)
    assert isinstance(made, ad.AnnData)
    assert "organ" not in made.obs
    assert "guided_cell_type" not in made.obs


def test_a_classifier_called_as_a_condition_has_a_column_of_its_own(model: CellGenerator) -> None:
    made = model.generate(4, where={"cell_type": "NK"}, guidance=Guidance(toward={"cell_type": "B"}), **QUIET)
    assert isinstance(made, ad.AnnData)
    assert set(made.obs["cell_type"]) == {"NK"}
    assert set(made.obs["guided_cell_type"]) == {"B"}


def test_predicted_cells_have_the_label_that_guided(model: CellGenerator, cells: ad.AnnData) -> None:
    cells.obs["organ"] = "T"
    made = model.predict(cells, guidance=Guidance(toward={"organ": "B", "hour": 0.5}), **QUIET)
    assert set(made.obs["organ"]) == {"B"}
    assert made.obs["cell_type"].tolist() == cells.obs["cell_type"].tolist()
    assert list(made.obs.columns) == [*cells.obs.columns, "hour", "unseen", "support", "source"]


def test_a_trajectory_has_the_labels_that_guide_where_they_are_defined(model: CellGenerator, cells: ad.AnnData) -> None:
    guidance = {"b": Guidance(toward={"organ": "B"}), "late": Guidance(toward={"hour": 2.0})}
    to = {"b": {"treated": True}, "late": {"treated": True}}
    path = model.trajectory(cells, to, guidance=guidance, n_states=3, n_cells=4, **QUIET)
    states = path.obs.groupby(["branch", "state"], observed=True)
    assert path.obs["organ"].cat.categories.tolist() == ["T", "NK", "B"]
    assert set(states["organ"].get_group(("b", 0))) <= {"T", "NK", "B"}
    assert states["organ"].get_group(("b", 1)).isna().all()
    assert set(states["organ"].get_group(("b", 2))) == {"B"}
    assert path.obs.loc[path.obs["branch"] == "late", "organ"].isna().all()
    assert set(states["hour"].get_group(("late", 2))) == {2.0}


def test_augmented_cells_have_latents_and_the_label_that_guided(model: CellGenerator, cells: ad.AnnData) -> None:
    both = CALLS["augment"](model, cells, guidance=Guidance(toward={"hour": 1.0}))
    is_real = (both.obs["source"] == "real").to_numpy()
    np.testing.assert_array_equal(both.obsm[LATENT][is_real], model.encode(cells))
    assert set(both.obs["hour"][~is_real]) == {1.0}
    assert both.obs["hour"][is_real].isna().all()


@pytest.mark.parametrize("call", ["predict", "augment"])
def test_columns_that_count_count_the_new_counts(fitted: CellGenerator, cells: ad.AnnData, call: str) -> None:
    made = CALLS[call](fitted, cells)
    totals, detected = (np.asarray(one.sum(axis=1)).ravel() for one in (made.X, made.X > 0))
    assert made.obs["n_counts"].tolist() == totals.tolist()
    assert made.obs["n_counts"].dtype == np.float32
    assert made.obs["n_genes_by_counts"].tolist() == detected.tolist()
    assert made.obs["n_genes_by_counts"].dtype == np.int64
    np.testing.assert_allclose(made.obs["log1p_total_counts"], np.log1p(totals))
    assert set(made.obs["nCount_RNA"].dropna()) == {"as text"}


def test_encoded_cells_keep_their_latents_where_asked(fitted: CellGenerator, cells: ad.AnnData, tmp_path: Path) -> None:
    latents = fitted.encode(cells)
    assert not cells.obsm
    np.testing.assert_array_equal(fitted.encode(cells, key_added=LATENT), latents)
    np.testing.assert_array_equal(cells.obsm[LATENT], latents)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(SettingError, match="`key_added` is 'X_z' and `adata` a path; expected an AnnData"):
        fitted.encode(tmp_path / "cells.h5ad", key_added="X_z")


def test_real_and_generated_cells_together_keep_their_genes(
    fitted: CellGenerator, cells: ad.AnnData, tmp_path: Path
) -> None:
    real = cells[:, fitted.genes].copy()
    del real.obs["nCount_RNA"]
    fitted.generate(9, path=tmp_path / "made.h5ad", **QUIET)
    for made in (CALLS["generate"](fitted, cells), ad.read_h5ad(tmp_path / "made.h5ad")):
        both = ad.concat({"real": real, "generated": made}, label="kind", merge="same")
        assert list(both.var_names) == list(real.var_names) == list(made.var_names)
        pd.testing.assert_frame_equal(both.var, real.var)
        both.write_h5ad(tmp_path / "both.h5ad")
        assert ad.read_h5ad(tmp_path / "both.h5ad").n_obs == 21


@pytest.mark.skipif(find_spec("scanpy") is None, reason="scanpy is not installed: pip install scanpy")
def test_scanpy_opens_generated_cells_without_a_warning(fitted: CellGenerator, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the import
        import scanpy as sc
    fitted.generate(30, path=tmp_path / "made.h5ad", **QUIET)
    made = sc.read_h5ad(tmp_path / "made.h5ad")
    sc.pp.calculate_qc_metrics(made, percent_top=None, inplace=True)
    sc.pp.normalize_total(made, target_sum=1e4)
    sc.pp.log1p(made)
    assert made.obs_names.is_unique
    assert made.obsm[LATENT].shape == (30, 3)
