"""Effects of other types put onto counts, and distances between real cells."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from benchmarks import spaces


def _cells(fractions: list[float], *, n: int = 500) -> anndata.AnnData:
    counts = np.random.default_rng(0).multinomial(1_000, fractions, size=n).astype(np.float32)
    var = pd.DataFrame(index=[f"gene-{at}" for at in range(len(fractions))])
    return anndata.AnnData(sparse.csr_matrix(counts), var=var)


def test_shifted_cells_have_the_fractions_asked_for_and_their_counts() -> None:
    cells, wanted = _cells([0.1, 0.2, 0.7]), np.array([0.3, 0.1, 0.6])
    made = spaces.shifted(cells, spaces.log_change(wanted, spaces.fractions(cells)), seed=0)
    assert spaces.fractions(made) == pytest.approx(wanted, abs=2e-3)
    assert np.asarray(made.X.sum(axis=1)).mean() == pytest.approx(1_000, rel=0.01)


def test_no_change_leaves_the_counts_as_they_are() -> None:
    cells = _cells([0.5, 0.5], n=20)
    assert (spaces.shifted(cells, np.zeros(2), seed=0).X != cells.X).nnz == 0


def test_the_best_weights_find_a_mixture_of_changes() -> None:
    one, other = np.random.default_rng(0).normal(size=(2, 50))
    found = spaces.best_weights([one, other], 0.3 * one + 0.5 * other, weigh=np.ones(50))
    assert found == pytest.approx([0.3, 0.5])


def test_real_cells_have_no_distance_from_themselves_in_components_of_others() -> None:
    """The cells that components were found in have one: as a reference they would flatter generated cells."""
    real = np.random.default_rng(0).normal(size=(2, 60, 100)).astype(np.float32)
    components = spaces.Components.of(real[0])
    seen, held_out = (components(cells) for cells in real)
    assert spaces.energy_of_halves(held_out) == pytest.approx(0.0, abs=0.15)
    assert spaces.energy(seen, held_out) > 0.5
