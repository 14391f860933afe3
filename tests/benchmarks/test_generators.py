from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from benchmarks.generators import make
from benchmarks.worker import tidy

if TYPE_CHECKING:
    from anndata import AnnData

LIGHT: dict[str, dict[str, object]] = {
    "pca_mixture:PcaMixture": {"n_components": 5},
    "original:OriginalRecipe": {"seconds": 0.5},
}


@pytest.mark.parametrize("target", LIGHT)
def test_a_generator_makes_one_cell_of_the_label_of_each_row(target: str, toy: AnnData) -> None:
    training = toy[toy.obs["cell_type"].isin(["a", "b"])].copy()
    obs = pd.DataFrame({"cell_type": ["b", "a", "b"]})
    generator = make(target, LIGHT[target])
    generator.fit(training, condition_keys=["cell_type"], seed=0)
    cells = tidy(generator.generate(obs, seed=1), obs=obs, var_names=training.var_names.to_numpy())
    assert list(cells.obs["cell_type"]) == ["b", "a", "b"]
    assert cells.X.dtype == np.int32


def test_the_mixture_makes_cells_of_the_type_asked_for(toy: AnnData) -> None:
    training = toy[toy.obs["cell_type"].isin(["a", "b"])].copy()
    generator = make("pca_mixture:PcaMixture", {"n_components": 5})
    generator.fit(training, condition_keys=["cell_type"], seed=0)
    cells = generator.generate(pd.DataFrame({"cell_type": ["a"] * 200}), seed=1)
    made = np.asarray(cells.X.mean(axis=0)).ravel()
    real = {label: np.asarray(training[training.obs["cell_type"] == label].X.mean(axis=0)).ravel() for label in "ab"}
    assert np.corrcoef(made, real["a"])[0, 1] > 0.85
    assert np.corrcoef(made, real["b"])[0, 1] < 0


def test_fractions_from_a_generator_are_refused(toy: AnnData) -> None:
    toy.X = toy.X * 0.5
    with pytest.raises(ValueError, match="not non-negative whole numbers"):
        tidy(toy, obs=toy.obs, var_names=toy.var_names.to_numpy())


def test_genes_in_another_order_are_refused(toy: AnnData) -> None:
    with pytest.raises(ValueError, match="another order of genes"):
        tidy(toy[:, ::-1].copy(), obs=toy.obs, var_names=toy.var_names.to_numpy())


def test_too_few_cells_are_refused(toy: AnnData) -> None:
    with pytest.raises(ValueError, match=r"cells x genes; expected \(102, 20\)"):
        tidy(toy[:5].copy(), obs=toy.obs, var_names=toy.var_names.to_numpy())
