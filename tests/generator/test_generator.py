"""The object that users hold, beside fitting and generating: latents, genes, summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest

from scdiffuse._core.errors import CountsError, GenesError, NotFittedError, SettingError
from scdiffuse.foundation import Embedding
from scdiffuse.generator import CellGenerator, load
from scdiffuse.model import ModelConfig


def test_latents_are_in_units_of_the_training_cells(fitted: CellGenerator, simulated: ad.AnnData) -> None:
    latents = fitted.encode(simulated)
    assert latents.shape == (simulated.n_obs, fitted.config.autoencoder.n_latent)
    assert latents.dtype == np.float32
    np.testing.assert_allclose(latents.mean(axis=0), 0.0, atol=1e-3)
    assert (latents.std(axis=0) < 1.0 + 1e-3).all()  # the rest of the variance is within the posteriors


def test_encoding_is_the_same_for_any_order_genes_and_layer(fitted: CellGenerator, simulated: ad.AnnData) -> None:
    expected = fitted.encode(simulated)
    order = np.random.default_rng(0).permutation(simulated.n_obs)
    counts = simulated.X[order][:, ::-1].tocsc()
    turned = ad.AnnData(counts.log1p(), var=simulated.var[::-1], layers={"counts": counts})
    np.testing.assert_allclose(fitted.encode(turned, layer="counts"), expected[order], rtol=1e-4, atol=1e-5)


def test_encoding_reads_a_file(fitted: CellGenerator, simulated: ad.AnnData, tmp_path: Path) -> None:
    simulated.write_h5ad(tmp_path / "cells.h5ad")
    np.testing.assert_array_equal(fitted.encode(tmp_path / "cells.h5ad"), fitted.encode(simulated))


def test_encoding_needs_all_genes(fitted: CellGenerator, simulated: ad.AnnData) -> None:
    with pytest.raises(GenesError, match=r"lack 2 of the 25 expected genes, such as 'gene-0'"):
        fitted.encode(simulated[:, 2:].copy())


def test_encoding_needs_raw_counts(fitted: CellGenerator, simulated: ad.AnnData) -> None:
    adata = simulated.copy()
    adata.X = adata.X.log1p()
    with pytest.raises(CountsError, match="`X` looks log-normalised"):
        fitted.encode(adata)


@pytest.mark.parametrize("verb", ["encode", "save"])
def test_only_a_fitted_model_encodes_and_saves(
    simulated: ad.AnnData, small: ModelConfig, tmp_path: Path, verb: str
) -> None:
    model = CellGenerator(simulated, config=small)
    with pytest.raises(NotFittedError, match=rf"`{verb}` needs a fitted model.* Call `fit\(\)` first"):
        getattr(model, verb)(simulated if verb == "encode" else tmp_path / "model")


def test_a_model_says_what_it_is(fitted: CellGenerator, simulated: ad.AnnData, small: ModelConfig) -> None:
    fresh = CellGenerator(simulated, config=small)
    assert repr(fresh) == "CellGenerator(25 genes, conditions [], not fitted)"
    assert fresh.summary().startswith("Not fitted. 25 of 25 genes kept")
    assert fresh.n_parameters == 0
    assert repr(fitted) == "CellGenerator(25 genes, conditions ['cell_type', 'treated', 'day'], fitted)"
    assert fitted.n_parameters > 1000


def test_the_summary_names_labels_ranges_and_genes(fitted: CellGenerator) -> None:
    summary = fitted.summary()
    for words in ("150 cells x 25 genes", "seed 0", "cell_type: T (", "treated: False (75), True (75)", "day: 0 to 2"):
        assert words in summary


def test_the_curves_of_both_networks_are_kept(fitted: CellGenerator) -> None:
    assert list(fitted.history) == ["autoencoder", "diffusion"]
    assert [step for step, _, _ in fitted.history["autoencoder"]] == [6, 12, 18, 24]


def test_scarce_genes_are_left_out(simulated: ad.AnnData, small: ModelConfig) -> None:
    adata = simulated.copy()
    adata.X = adata.X @ np.diag([1.0] * 24 + [0.0])
    model = CellGenerator(adata, config=small)
    assert "gene-24" not in model.genes
    assert "24 of 25 genes kept" in model.summary()


def test_a_path_and_cells_in_memory_give_the_same_data(
    simulated: ad.AnnData, tmp_path: Path, small: ModelConfig
) -> None:
    simulated.write_h5ad(tmp_path / "cells.h5ad")
    names = {"conditions": ["cell_type"], "continuous": ["day"]}
    held, read = (CellGenerator(cells, config=small, **names) for cells in (simulated, tmp_path / "cells.h5ad"))  # type: ignore[arg-type]
    assert held.conditions == read.conditions
    assert held._metadata.data == read._metadata.data


def test_a_folder_given_as_text_will_do(fitted: CellGenerator, tmp_path: Path) -> None:
    folder = fitted.save(str(tmp_path / "model"))
    assert folder == tmp_path / "model"
    assert list(load(str(folder)).genes) == list(fitted.genes)


def test_a_model_that_rounded_its_cells_rounds_others(simulated: ad.AnnData, small: ModelConfig) -> None:
    cells = simulated[simulated.obs["cell_type"].notna().to_numpy()].copy()
    cells.X = cells.X.astype(np.float32)
    cells.X.data += np.random.default_rng(0).uniform(-0.2, 0.2, cells.X.data.size).astype(np.float32)
    model = CellGenerator(cells, conditions=["cell_type"], round_counts=True, config=small)
    model.fit(max_epochs=1, progress=False)
    whole = cells.copy()
    whole.X = cells.X.copy()
    whole.X.data = np.rint(whole.X.data)
    cells.layers["counts"] = whole.X * 2  # as they were measured
    made, expected = (model.predict(one, {"cell_type": "B"}, progress=False) for one in (cells, whole))
    assert (made.X != expected.X).nnz == 0
    assert model.augment(cells, by="cell_type", progress=False).n_obs >= cells.n_obs
    plain = CellGenerator(whole, conditions=["cell_type"], config=small).fit(max_epochs=1, progress=False)
    del cells.layers["counts"]
    with pytest.raises(CountsError, match="pass `round_counts=True` to fit a model"):
        plain.predict(cells, {"cell_type": "B"}, progress=False)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"latent": "X_scVI"},
            r"`latent` is 'X_scVI'; expected .* Pass one, such as `foundation.Embedding\('X_scVI'\)`",
        ),
        ({"latent": Embedding}, r"`latent` is <class .*`foundation.Embedding\('X_pca'\)`"),
        ({"config": {"diffusion": {"width": 16}}}, r"`config` is of type dict; expected a `ModelConfig`.*from_dict"),
    ],
    ids=["name", "class", "dictionary"],
)
def test_what_merely_stands_for_settings_is_refused(simulated: ad.AnnData, given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        CellGenerator(simulated, **given)
