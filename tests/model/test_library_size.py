"""Library sizes as normal scores: the distribution comes back, thresholds stay, and nothing breaks at the edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from scdiffuse.model._library_size import LibrarySizeScore


def _learnt(sizes: NDArray[np.int64]) -> LibrarySizeScore:
    made = LibrarySizeScore()
    made.learn(sizes)
    return made


@pytest.fixture(scope="module")
def cut() -> NDArray[np.int64]:
    """Log-normal sizes of cells that had to have 500 counts, and of a second batch ten times as deep."""
    draw = np.random.default_rng(0)
    sizes = np.concatenate([draw.lognormal(6.5, 0.5, 6_000), draw.lognormal(9.0, 0.2, 1_000)]).astype(np.int64)
    kept: NDArray[np.int64] = sizes[sizes >= 500]
    return kept


def test_normal_scores_give_the_distribution_of_library_sizes_back(cut: NDArray[np.int64]) -> None:
    made = _learnt(cut).library_sizes(torch.randn(20_000, generator=torch.Generator().manual_seed(0)))
    assert stats.ks_2samp(made, cut).statistic < 0.02
    assert made.min() == 500
    assert np.mean(made == 500) < np.mean(cut == 500) + 0.005
    assert made.max() == cut.max()


def test_scores_of_the_training_cells_are_standard_normal(cut: NDArray[np.int64]) -> None:
    scores = _learnt(cut).of(cut)
    assert stats.kstest(scores, "norm").statistic < 0.02
    assert scores.std() == pytest.approx(1.0, abs=0.02)


def test_sizes_come_back_from_their_scores(cut: NDArray[np.int64]) -> None:
    scale = _learnt(cut)
    np.testing.assert_array_equal(scale.library_sizes(torch.from_numpy(scale.of(cut)).float()), cut)


def test_scores_go_on_beyond_the_training_cells(cut: NDArray[np.int64]) -> None:
    beyond = np.array([10, 100, 400, cut.max() * 3, cut.max() * 30])
    assert (np.diff(_learnt(cut).of(beyond)) > 0.1).all()


def test_cells_of_one_size_have_that_size() -> None:
    scale = _learnt(np.full(40, 1_000))
    assert np.abs(scale.of(np.array([1_000]))).max() < 1e-6
    assert (scale.library_sizes(torch.tensor([-3.0, 0.0, 3.0])) == 1_000).all()


@pytest.mark.parametrize("least", [1_000, 960])
def test_sizes_beyond_cells_of_one_depth_are_as_the_nearest(least: int) -> None:
    """Counts of one depth do not say how library sizes vary: a score of thousands would drown the latents."""
    sizes = np.linspace(least, 1_000, 41).astype(np.int64)
    scale = _learnt(sizes)
    nearest = np.array([sizes.min(), sizes.max()])
    np.testing.assert_allclose(scale.of(np.array([10, 9_000])), scale.of(nearest), atol=0.01)
    assert np.abs(scale.of(sizes)).max() < 3.0


def test_without_quantiles_scores_are_standardised_logs(cut: NDArray[np.int64]) -> None:
    off = LibrarySizeScore(by_quantiles=False)
    off.learn(cut)
    logs = np.log(cut)
    np.testing.assert_allclose(off.of(cut), (logs - logs.mean()) / logs.std(), atol=1e-9)


def test_without_quantiles_library_sizes_are_log_normal(cut: NDArray[np.int64]) -> None:
    off = LibrarySizeScore(by_quantiles=False)
    off.learn(cut)
    made = off.library_sizes(torch.randn(20_000, generator=torch.Generator().manual_seed(0)))
    logs = np.log(cut)
    assert stats.kstest(np.log(made), "norm", args=(logs.mean(), logs.std())).statistic < 0.02
    assert made.min() < 250  # the threshold of 500 counts is smeared out


@pytest.mark.parametrize("n_knots", [2, 17, 1_001])
def test_any_number_of_quantiles_keeps_the_range(cut: NDArray[np.int64], n_knots: int) -> None:
    few = LibrarySizeScore(n_knots=n_knots)
    few.learn(cut)
    assert few.library_sizes(torch.tensor([-9.0, 9.0])).tolist() == [cut.min(), cut.max()]
