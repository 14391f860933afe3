"""What each trivial generator keeps of the cells it was shown, and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import pytest
from scipy import sparse
from scipy.stats import nbinom

from scdiffuse._core.errors import CountsError, SettingError, UnknownNameError
from scdiffuse.evaluation.baselines import BASELINES, _negative_binomial, independent_nb, resampled, shuffled_genes

EVERY = pytest.mark.parametrize("name", list(BASELINES))


def strength(cells: ad.AnnData) -> float:
    """Mean absolute correlation of the genes in the programs, within the largest type."""
    own = cells[cells.obs["cell_type"] == "alpha"].X.toarray()[:, 80:]
    return float(np.abs(np.corrcoef(own, rowvar=False)[np.triu_indices(80, 1)]).mean())


@EVERY
def test_a_baseline_gives_whole_counts_with_types_in_proportion(name: str, splits: Any) -> None:
    cells = BASELINES[name](splits.train, by="cell_type", n_cells=500, seed=3)
    assert sparse.issparse(cells.X)
    assert cells.X.format == "csr"
    assert np.issubdtype(cells.X.dtype, np.integer)
    assert cells.X.min() >= 0
    assert list(cells.var_names) == list(splits.train.var_names)
    shares = [frame.obs["cell_type"].value_counts(normalize=True) for frame in (cells, splits.train)]
    assert np.abs(shares[0] - shares[1]).max() < 0.05


@EVERY
def test_the_same_seed_draws_the_same_cells(name: str, splits: Any) -> None:
    draws = [BASELINES[name](splits.train, by="cell_type", n_cells=40, seed=seed).X.toarray() for seed in (0, 0, 1)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()


@EVERY
def test_without_types_all_cells_are_one(name: str, splits: Any) -> None:
    cells = BASELINES[name](splits.train, n_cells=30, seed=0)
    assert cells.shape == (30, splits.train.n_vars)
    assert cells.obs.shape[1] == 0


@EVERY
def test_gene_means_are_kept(name: str, splits: Any) -> None:
    cells = BASELINES[name](splits.train, by="cell_type", n_cells=2400, seed=0)
    kept, true = (np.asarray(one.X.mean(axis=0)).ravel() for one in (cells, splits.train))
    common = true > 1
    slack = 0.35 if name == "class_mean_noise" else 0.15  # cutting at zero raises a noisy mean
    assert np.abs(kept[common] / true[common] - 1).mean() < slack


def test_shuffling_keeps_the_margins_and_loses_the_correlations(splits: Any) -> None:
    cells = shuffled_genes(splits.train, by="cell_type", seed=0)
    assert np.sort(cells.X.toarray(), axis=0) == pytest.approx(np.sort(splits.train.X.toarray(), axis=0))
    assert strength(cells) < 0.7 * strength(splits.train)


def test_independent_genes_share_no_library_size(splits: Any) -> None:
    cells = independent_nb(splits.train, by="cell_type", n_cells=600, seed=0)
    spread = [float(np.std(np.log(np.asarray(one.X.sum(axis=1)).ravel()))) for one in (cells, splits.train)]
    assert spread[0] < 0.7 * spread[1]


def test_negative_binomial_draws_agree_with_scipy() -> None:
    mean, alpha = np.array([0.01, 0.3, 0.9, 4.0, 30.0]), np.array([2.0, 0.5, 3.0, 1e-8, 0.1])
    drawn = _negative_binomial(np.random.default_rng(0), mean=mean, alpha=alpha, n=200_000)
    truth = nbinom(1 / alpha, 1 / (1 + alpha * mean))
    error = 5 * truth.std() / np.sqrt(len(drawn))
    assert (np.abs(drawn.mean(axis=0) - truth.mean()) < error).all()
    assert drawn.var(axis=0) == pytest.approx(truth.var(), rel=0.1)
    assert (drawn == 0).mean(axis=0) == pytest.approx(truth.pmf(0), abs=0.005)


def test_memorised_cells_are_all_used_once_before_any_twice(splits: Any) -> None:
    cells = resampled(splits.train, by="cell_type", seed=5)
    rows = [{tuple(row) for row in one.X.toarray()} for one in (cells, splits.train)]
    assert rows[0] == rows[1]


def test_what_cannot_be_learnt_from_is_refused(splits: Any) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'cell_type'"):
        independent_nb(splits.train, by="celltype")
    with pytest.raises(SettingError, match="`n_cells` is 0, expected at least one cell"):
        independent_nb(splits.train, n_cells=0)
    with pytest.raises(CountsError, match="holds no cells"):
        independent_nb(splits.train[:0])
    normal = splits.train.copy()
    normal.X = normal.X * 0.5
    with pytest.raises(CountsError, match="negative or not whole, expected raw counts"):
        independent_nb(normal)


def test_cells_without_a_type_are_a_type_of_their_own(splits: Any) -> None:
    some: Callable[..., ad.AnnData] = BASELINES["shuffled_genes"]
    train = splits.train.copy()
    train.obs["cell_type"] = train.obs["cell_type"].where(train.obs["cell_type"] != "rare")
    cells = some(train, by="cell_type", seed=0)
    assert cells.obs["cell_type"].isna().sum() == train.obs["cell_type"].isna().sum()
