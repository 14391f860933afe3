"""Binomial thinning only removes counts, whatever the number of threads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import binom, chisquare

from scdiffuse._core.random import Draws, generator
from scdiffuse.autoencoder._thinning import binomial_thinning
from scdiffuse.autoencoder.cpu._thinning_kernels import STEPS, thin_rows


def _draws(n: int) -> Draws:
    return Draws.of(generator(0), n)


@pytest.fixture
def counts() -> sp.csr_matrix:
    """Few, many and no counts."""
    rng = np.random.default_rng(0)
    rows = sp.csr_matrix(rng.poisson(rng.gamma(0.5, 4.0, (60, 40))).astype(np.float32))
    rows.data[:5] = [1, 64, 65, 1000, 128]
    return rows


def test_thinning_only_removes_counts(counts: sp.csr_matrix) -> None:
    thinned = binomial_thinning(counts, 0.6, draws=_draws(60))
    assert ((counts - thinned).toarray() >= 0).all()
    assert thinned.sum() / counts.sum() == pytest.approx(0.7, abs=0.07)  # the mean of 1 - 0.6 u
    assert thinned.data.min() > 0
    assert thinned.has_sorted_indices


def test_a_fraction_of_zero_turns_thinning_off_and_the_input_is_not_changed(counts: sp.csr_matrix) -> None:
    before = counts.copy()
    assert (binomial_thinning(counts, 0.0, draws=_draws(60)) != counts).nnz == 0
    binomial_thinning(counts, 0.6, draws=_draws(60))
    assert (before != counts).nnz == 0


@pytest.mark.parametrize("count", [1, 2, 7, 64, 100])
@pytest.mark.parametrize("kept", [1, 77, 128, 255])
def test_counts_left_are_binomial(count: int, kept: int) -> None:
    n = 20_000
    left = np.full(n, count, np.float32)
    chances, keys = np.full(n, kept), generator(0, "keys").integers(2**64, size=n, dtype=np.uint64)
    starts, genes = np.arange(n + 1, dtype=np.int32), np.zeros(n, np.int32)
    n_left = thin_rows(starts, genes, left, chances, keys, (0, n))
    assert n_left == chances.sum()
    found = np.append(np.bincount(left[:n_left].astype(int), minlength=count + 1), 0)[: count + 1]
    found[0] = n - n_left
    expected = n * binom.pmf(np.arange(count + 1), count, kept / STEPS)
    often = np.flatnonzero(expected > 5)
    found[often[-1]] += n - found[often].sum()  # rare counts join a neighbour
    expected[often[-1]] += n - expected[often].sum()
    assert chisquare(found[often], expected[often]).pvalue > 1e-4


def test_threads_change_nothing(
    counts: sp.csr_matrix, set_threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_threads(1)
    alone = binomial_thinning(counts, 0.6, draws=_draws(60))
    monkeypatch.setattr("scdiffuse.autoencoder._thinning._COUNTS_A_THREAD", 1)
    set_threads(3)
    shared = binomial_thinning(counts, 0.6, draws=_draws(60))
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(shared, name), getattr(alone, name))


def test_a_cell_without_counts_keeps_none() -> None:
    assert binomial_thinning(sp.csr_matrix((3, 4), dtype=np.float32), 0.6, draws=_draws(3)).nnz == 0
