"""The study of the start at gene programmes: variances within types, and a table of pairs."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from benchmarks.studies import gene_programmes
from tests.benchmarks.conftest import record


def _cells(seed: int, *, shared: float) -> ad.AnnData:
    """Draw cells of two types, with thirty programmes of four genes each."""
    draw = np.random.default_rng(seed)
    rates = 20 * np.exp(shared * np.repeat(draw.normal(size=(400, 30)), 4, axis=1))
    obs = pd.DataFrame({"type": ["a", "b"] * 200}, index=[str(at) for at in range(400)])
    return ad.AnnData(draw.poisson(rates).astype(np.float32), obs=obs)


@pytest.mark.parametrize(("shared", "low", "high"), [(0.5, 0.8, 1.2), (0.05, 0.0, 0.3)])
def test_weak_programmes_vary_as_in_real_cells_or_less(shared: float, low: float, high: float) -> None:
    fit, held, made = _cells(0, shared=0.5), _cells(1, shared=0.5), _cells(2, shared=shared)
    found = gene_programmes.within_types(fit, held, made, key="type")
    assert low < found["programmes"] < high


def test_the_table_has_the_start_and_in_brackets_what_is_without_it() -> None:
    about = dict.fromkeys(gene_programmes.MEASURES, 1.0) | {"n_fit": 100, "n_held_out": 50}
    records = [
        record("gene_programmes", [about | {"slope": slope}], data_set="x", seed=seed, is_on=is_on)
        for seed in (0, 1)
        for is_on, slope in ((False, 0.5 + seed / 10), (True, 0.8 + seed / 10))
    ]
    text = "\n".join(gene_programmes.lines(records))
    assert "0.850 (0.550)" in text
    assert "| x | 100 | 50 | 2 |" in text
