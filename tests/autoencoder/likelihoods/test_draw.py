"""Drawn counts against the distributions that they are drawn from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from tests.oracles import outlier_moments

from scdiffuse._core.compiled import compiled
from scdiffuse._core.random import cell_keys
from scdiffuse.autoencoder.cpu import _draw_kernels, _draw_numbers
from scdiffuse.autoencoder.cpu._draw_types import Genes, Workspace
from scdiffuse.autoencoder.likelihoods._draw import OutlierComponent, draw_counts

Floats = NDArray[np.float64]
MEANS = np.array([0.05, 0.8, 3.0, 12.0])
SIZES = np.array([0.5, 2.0, 10.0, 1e8])
OUTLIERS = OutlierComponent(np.array([0.5, 0.1, 0.02, 0.01]), np.array([20.0, 5.0, 30.0, 9.0]))
NONE = OutlierComponent(np.zeros(4), np.ones(4))
N_DRAWS = 6000
# Inner functions have no entry for Python: they are compiled once more with one.
_add, _place, _remove = (compiled()(getattr(_draw_kernels, name).py_func) for name in ("_add", "_place", "_remove"))
_cluster_size, _gamma, _poisson = (
    compiled()(getattr(_draw_numbers, name).py_func) for name in ("cluster_size", "gamma", "poisson")
)


def _state(key: int = 0) -> NDArray[np.uint64]:
    return cell_keys(key, "tests", np.arange(1))


def _workspace(genes: Genes) -> Workspace:
    work = Workspace(*np.empty((8, genes.inverse_dispersion.size)))
    work.inverse_dispersion[:] = genes.inverse_dispersion
    return work


def _placed(means: Floats, outlier_component: OutlierComponent) -> NDArray[np.int64]:
    """Draw the genes of many cells, before their totals are corrected."""
    part = 1 / (1 + outlier_component.rate * (1 + outlier_component.size))
    state, fractions = _state(), (means / part / (means / part).sum()).astype(np.float32)
    counts, genes = np.zeros((N_DRAWS, 4), dtype=np.int64), Genes(SIZES, *outlier_component, part)
    for row in counts:
        assert _place(row, fractions, (means / part).sum(), genes, _workspace(genes), state) == row.sum()
    return counts


def _p_value(counts: NDArray[np.integer[Any]], cdf: Callable[[Any], Any]) -> float:
    """Spread each count over the interval of its probability; of the right distribution, that is uniform."""
    below, upto = cdf(counts - 1.0), cdf(counts.astype(np.float64))
    levels = below + np.random.default_rng(2).random(len(counts)) * (upto - below)
    return float(stats.kstest(levels, "uniform").pvalue)


def _mixture(gene: int, mean: float, outlier_component: OutlierComponent) -> Callable[[Floats], Floats]:
    """Return the distribution function that the likelihood trains."""

    def negative_binomial(x: Floats, mean: float, size: float) -> Floats:
        return np.asarray(stats.nbinom.cdf(x, size, size / (size + mean)))

    chance, total, excess = outlier_moments(mean, outlier_component.rate[gene], outlier_component.size[gene])
    shape = total**2 / excess
    return lambda x: (
        (1 - chance) * negative_binomial(x, mean, SIZES[gene]) + chance * negative_binomial(x - 1, total, shape)
    )


@pytest.mark.parametrize("outlier_component", [NONE, OUTLIERS], ids=["plain", "outlier_component"])
@pytest.mark.parametrize("scale", [1.0, 40.0], ids=["few counts", "many counts"])
def test_counts_follow_the_distribution_of_the_likelihood(scale: float, outlier_component: OutlierComponent) -> None:
    means = MEANS * scale
    counts = _placed(means, outlier_component)
    p_values = [_p_value(counts[:, gene], _mixture(gene, means[gene], outlier_component)) for gene in range(4)]
    assert min(p_values) > 0.01


def test_genes_of_a_cell_are_independent() -> None:
    counts = _placed(MEANS, OUTLIERS)
    off_diagonal = np.asarray(np.corrcoef(counts.T))[np.triu_indices(4, 1)]
    assert np.abs(off_diagonal).max() < 4 / np.sqrt(N_DRAWS)


def test_rare_genes_are_found_as_often_as_told() -> None:
    n, fractions = 300, np.full(1000, 1e-3, np.float32)
    state, found = _state(), 0
    genes = Genes(np.full(1000, 3.0), np.full(1000, 0.1), np.full(1000, 2.0), np.ones(1000))
    for _ in range(n):
        row = np.zeros(1000, np.int64)
        _place(row, fractions, 5.0, genes, _workspace(genes), state)
        found += int(np.count_nonzero(row))
    expected = -np.expm1(-3.0 * np.log1p(0.005 / 3.0) - 0.1 * 0.005) * 1000 * n
    assert found == pytest.approx(expected, abs=4 * np.sqrt(expected))


@pytest.mark.parametrize("mean", [0.01, 0.7, 9.99, 10.0, 35.0, 1e4])
def test_poisson_numbers_follow_their_distribution(mean: float) -> None:
    state = _state()
    drawn = np.array([_poisson(mean, state) for _ in range(20_000)])
    assert _p_value(drawn, stats.poisson(mean).cdf) > 0.01


def test_several_genes_at_once_are_drawn_as_each_alone() -> None:
    means = np.repeat([1e-4, 0.3, 2.0, 9.0, 60.0], 8)
    genes, state = Genes(np.full(40, 1e12), np.zeros(40), np.ones(40), np.ones(40)), _state()
    work = _workspace(genes)
    drawn = np.zeros((3000, 40), np.int64)
    for row in drawn:
        _place(row, (means / means.sum()).astype(np.float32), means.sum(), genes, work, state)
    for first in range(0, 40, 8):
        of_mean = drawn[:, first : first + 8].ravel()
        assert _p_value(of_mean, stats.poisson(means[first]).cdf) > 0.01


@pytest.mark.parametrize("shape", [0.05, 0.9, 1.0, 4.0, 1e6])
def test_gamma_numbers_follow_their_distribution(shape: float) -> None:
    state = _state()
    drawn = np.array([_gamma(shape, state) for _ in range(20_000)])
    assert stats.kstest(drawn, stats.gamma(shape).cdf).pvalue > 0.01


@pytest.mark.parametrize("chance", [1e-4, 0.1, 0.6, 0.999])
def test_clumps_of_several_are_logarithmic(chance: float) -> None:
    state, single = _state(), stats.logser(chance).pmf(1)
    drawn = np.array([_cluster_size(chance, -np.log1p(-chance), state) for _ in range(20_000)])
    assert drawn.min() == 2
    assert _p_value(drawn, lambda x: np.maximum(stats.logser(chance).cdf(x) - single, 0.0) / (1.0 - single)) > 0.01


def test_counts_are_removed_without_replacement() -> None:
    state, held = _state(), np.array([1, 0, 5, 30, 4])
    left = np.tile(held, (N_DRAWS, 1))
    for row in left:
        _remove(row, 13, np.empty(5), state)
    assert (left.sum(axis=1) == 27).all()
    for gene in np.flatnonzero(held):
        assert _p_value(left[:, gene], stats.hypergeom(40, held[gene], 27).cdf) > 0.01


def test_counts_added_to_poisson_genes_follow_their_means() -> None:
    state, fractions, work = _state(), np.array([0.2, 0.0, 0.05, 0.75, 0.0]), Workspace(*np.empty((8, 5)))
    work.single[:], work.growth[:] = fractions, 0.0
    gained = np.zeros((N_DRAWS, 5), np.int64)
    for row in gained:
        _add(row, 9, work, state)
    assert (gained.sum(axis=1) == 9).all()
    assert not gained[:, [1, 4]].any()
    for gene in (0, 2, 3):
        assert _p_value(gained[:, gene], stats.binom(9, float(fractions[gene])).cdf) > 0.01
    covariance = -9 * 0.2 * 0.75
    assert np.cov(gained[:, 0], gained[:, 3])[0, 1] == pytest.approx(covariance, abs=4 * 9 * 0.2 / np.sqrt(N_DRAWS))


def test_counts_of_outliers_are_added_where_outliers_are() -> None:
    n_genes, outlier_component = 400, OutlierComponent(np.full(400, 1.0), np.full(400, 60.0))
    fractions, totals = np.full((200, n_genes), 1 / n_genes, np.float32), np.full(200, n_genes * 40)
    keys = cell_keys(0, "counts", np.arange(200))
    counts = draw_counts(
        fractions, totals, inverse_dispersion=np.full(n_genes, 0.05), outlier_component=outlier_component, keys=keys
    )
    means = 40 / (1 + 61.0)
    plain_zero = (1 + means / 0.05) ** -0.05 * np.exp(-means)
    assert 1 - counts.nnz / counts.shape[0] / n_genes == pytest.approx(plain_zero, abs=0.02)
    np.testing.assert_array_equal(np.asarray(counts.sum(axis=1)).ravel(), totals)


@pytest.mark.parametrize(
    "outlier_component",
    [None, OutlierComponent(np.full(4, 0.05), np.full(4, 10.0))],
    ids=["plain", "outlier_component"],
)
def test_fractions_and_totals_are_as_given(outlier_component: OutlierComponent | None) -> None:
    n = 4000
    fractions = np.tile((MEANS / MEANS.sum()).astype(np.float32), (n, 1))
    totals = np.full(n, 40)
    counts = draw_counts(
        fractions,
        totals,
        inverse_dispersion=SIZES,
        outlier_component=outlier_component,
        keys=cell_keys(0, "counts", np.arange(n)),
    ).toarray()
    np.testing.assert_array_equal(counts.sum(axis=1), totals)
    np.testing.assert_allclose(counts.mean(axis=0), fractions[0] * 40, rtol=0.15)


def test_a_cell_is_the_same_alone_and_among_others() -> None:
    rng, keys = np.random.default_rng(0), cell_keys(0, "counts", np.arange(40))
    fractions = rng.dirichlet(np.full(4, 0.3), 40).astype(np.float32)
    totals = rng.integers(1, 900, 40)
    together = draw_counts(fractions, totals, inverse_dispersion=SIZES, outlier_component=OUTLIERS, keys=keys)
    some = np.array([31, 3, 17])
    alone = draw_counts(
        fractions[some], totals[some], inverse_dispersion=SIZES, outlier_component=OUTLIERS, keys=keys[some]
    )
    assert (together[some] != alone).nnz == 0
    assert together.has_canonical_format


def test_dispersions_vary_by_mean_and_cell() -> None:
    n, exponent, log_r = 4000, 0.6, np.log(2.0)
    means = np.array([0.2, 1.0, 4.0, 4000.0])
    shift = np.where(np.arange(2 * n) < n, -1.0, 1.0).astype(np.float32)
    counts = draw_counts(
        np.tile((means / means.sum()).astype(np.float32), (2 * n, 1)),
        np.full(2 * n, round(means.sum())),
        inverse_dispersion=np.array([2.0, 2.0, 2.0, 1e12]),
        outlier_component=None,
        keys=cell_keys(0, "counts", np.arange(2 * n)),
        state=(exponent, shift),
    ).toarray()
    for gene, mean in enumerate(means[:3]):
        for rows, u in ((slice(0, n), -1.0), (slice(n, 2 * n), 1.0)):
            r = np.exp(log_r + exponent * np.log(mean) + u)
            assert _p_value(counts[rows, gene], stats.nbinom(r, r / (r + mean)).cdf) > 0.005


def test_plain_counts_and_outliers_together_fill_the_library() -> None:
    outlier_component = OutlierComponent(np.array([2.0, 0.1, 0.5, 0.01]), np.array([20.0, 5.0, 30.0, 9.0]))
    part = 1 / (1 + outlier_component.rate * (1 + outlier_component.size))
    counts = _placed(MEANS, outlier_component)
    error = counts.std(axis=0) / np.sqrt(N_DRAWS)
    assert np.all(np.abs(counts.mean(axis=0) - MEANS / part) < 4 * error)


def test_an_extreme_total_is_kept() -> None:
    fractions = np.full((2, 4), 0.25, dtype=np.float32)
    keys = cell_keys(0, "counts", np.arange(2))
    counts = draw_counts(
        fractions, np.array([1, 2_000_000]), inverse_dispersion=SIZES, outlier_component=None, keys=keys
    )
    assert counts.sum(axis=1).ravel().tolist() == [[1, 2_000_000]]


def test_no_cells_give_an_empty_matrix() -> None:
    nothing = np.empty(0, np.int64)
    none = draw_counts(
        np.empty((0, 4), np.float32),
        nothing,
        inverse_dispersion=SIZES,
        outlier_component=None,
        keys=nothing.astype(np.uint64),
    )
    assert none.shape == (0, 4)
