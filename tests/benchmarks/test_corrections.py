"""Corrections switched off: cells divided once for all fits, settings that change, and what the page says."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from benchmarks.studies import corrections
from scipy import sparse
from tests.benchmarks.conftest import record

from scdiffuse import ModelConfig

CASE = corrections.Case(("kind", "batch"), None)


@pytest.fixture
def cells() -> anndata.AnnData:
    """Six combinations, the largest with labels that enough other cells have, and a label of a single cell."""
    sizes = {("a", "x"): 300, ("a", "y"): 120, ("b", "x"): 150, ("b", "y"): 140, ("c", "y"): 1}
    rows = [labels for labels, n in sizes.items() for _ in range(n)]
    obs = pd.DataFrame(rows, columns=["kind", "batch"], index=[f"cell-{row}" for row in range(len(rows))])
    counts = np.random.default_rng(0).poisson(2.0, (len(rows), 6)) + 1
    return anndata.AnnData(sparse.csr_matrix(counts, dtype=np.float32), obs=obs)


def test_the_largest_combination_whose_labels_others_have_is_held_out(cells: anndata.AnnData) -> None:
    assert corrections.held_out_combination(cells, CASE) == ("a", "x")
    assert corrections.held_out_combination(cells, corrections.Case(("kind",), None)) is None


def test_parts_share_no_cell_and_labels_of_one_cell_are_left_out(cells: anndata.AnnData) -> None:
    fit, compared, truth = corrections.divide(cells, CASE, seed=0)
    assert truth is not None
    names = [*fit.obs_names, *compared.obs_names, *truth.obs_names]
    assert len(set(names)) == len(names)
    assert truth.n_obs == 300
    assert "c" not in {*fit.obs["kind"], *compared.obs["kind"]}
    assert not ((fit.obs["kind"] == "a") & (fit.obs["batch"] == "x")).any()


@pytest.mark.parametrize("off", corrections.OFF)
def test_each_correction_has_a_setting_that_differs_from_the_default(off: str) -> None:
    changed = corrections.settings_without(off) != ModelConfig()
    assert changed == (off != corrections.NOTHING)


def test_features_of_counts_name_no_gene() -> None:
    features = corrections.library_features(sparse.csr_matrix([[1.0, 2.0, 0.0, 5.0]]))
    assert features[0] == pytest.approx([np.log(8.0), 3.0, 1 / 3, 1 / 3, np.log(5.0)])


def test_the_page_counts_the_fits_that_a_correction_helps() -> None:
    values = {(0, "nothing"): 0.1, (1, "nothing"): 0.2, (0, "dispersion fit"): 0.3, (1, "dispersion fit"): 0.1}
    found = [
        record("corrections", {"forest": value, "rare": None}, data_set="toy", seed=seed, off=off)
        for (seed, off), value in values.items()
    ]
    text = corrections.lines(found)[-1]
    assert "| nothing | 0.150 |" in text
    assert "| dispersion fit | +0.050 (1 of 2) |" in text
