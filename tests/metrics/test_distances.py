"""Distances against POT, scipy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import energy_distance as scipy_energy
from scipy.stats import wasserstein_distance

from scdiffuse._core.errors import ConditionError, SettingError
from scdiffuse.metrics import (
    LabelledCells,
    energy_distance,
    frechet_distance,
    mmd,
    wasserstein,
    wasserstein_by_label,
)
from scdiffuse.metrics._distances import wasserstein_1d

Cells = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def cells() -> Cells:
    stream = np.random.default_rng(3)
    return stream.normal(size=(120, 4)), stream.normal(size=(120, 4)) * 1.5 + 0.4


@pytest.mark.parametrize(("order", "metric"), [(1, "euclidean"), (2, "sqeuclidean")])
@pytest.mark.parametrize("n_generated", [120, 70])
def test_exact_transport_agrees_with_pot(cells: Cells, order: int, metric: str, n_generated: int) -> None:
    ot = pytest.importorskip("ot")
    x, y = cells[0], cells[1][:n_generated]
    expected = ot.emd2([], [], cdist(x, y, metric)) ** (1 / order)
    assert wasserstein(x, y, order=order) == pytest.approx(expected, abs=1e-9)


def test_a_shift_is_its_own_transport_distance(cells: Cells) -> None:
    assert wasserstein(cells[0], cells[0] + 3.0) == pytest.approx(6.0)


def test_transport_on_a_line_agrees_with_scipy(cells: Cells) -> None:
    x, y = cells[0][:, :1], cells[1][:, :1]
    assert wasserstein(x, y, order=1) == pytest.approx(wasserstein_distance(x[:, 0], y[:, 0]))


def test_transport_on_a_line_of_unequal_sizes_agrees_with_scipy(cells: Cells) -> None:
    x, y = cells[0][:, 0], cells[1][:55, 0]
    assert wasserstein_1d(x, y) == pytest.approx(wasserstein_distance(x, y))


def test_transport_does_not_depend_on_the_order_of_cells(cells: Cells) -> None:
    assert wasserstein(cells[0][::-1], cells[1]) == pytest.approx(wasserstein(*cells))


def test_transport_by_label_sees_each_label_alone(cells: Cells) -> None:
    labels = np.repeat(["a", "b"], 60)
    moved = cells[0] + np.where(labels == "b", 2.0, 0.0)[:, None]
    scores = wasserstein_by_label(LabelledCells(cells[0], labels), LabelledCells(moved, labels))
    assert dict(scores.by_label) == pytest.approx({"a": 0.0, "b": 4.0}, abs=1e-6)


def test_transport_by_label_needs_shared_labels(cells: Cells) -> None:
    with pytest.raises(ConditionError, match="No label has at least 10 cells in both"):
        wasserstein_by_label(LabelledCells(cells[0], np.full(120, "a")), LabelledCells(cells[1], np.full(120, "b")))


def test_energy_agrees_with_scipy_on_a_line(cells: Cells) -> None:
    x, y = cells[0][:, :1], cells[1][:70, :1]
    assert energy_distance(x, y, unbiased=False) == pytest.approx(scipy_energy(x[:, 0], y[:, 0]) ** 2, abs=1e-10)


def test_energy_agrees_with_all_pairs(cells: Cells) -> None:
    x, y = cells
    n = len(x)
    within = (cdist(x, x).sum() + cdist(y, y).sum()) / (n * (n - 1))
    assert energy_distance(x, y) == pytest.approx(2 * cdist(x, y).mean() - within, abs=1e-9)


def test_mmd_agrees_with_all_pairs(cells: Cells) -> None:
    x, y = cells[0], cells[1][:90]
    n, m = len(x), len(y)
    kernels = [np.exp(-cdist(a, b, "sqeuclidean") / (2 * 1.3**2)) for a, b in ((x, x), (y, y), (x, y))]
    expected = (kernels[0].sum() - n) / (n * (n - 1)) + (kernels[1].sum() - m) / (m * (m - 1)) - 2 * kernels[2].mean()
    assert mmd(x, y, bandwidth=1.3, n_kernels=1) == pytest.approx(expected, abs=1e-7)


def test_mmd_agrees_with_sklearn(cells: Cells) -> None:
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    x, y = cells[0], cells[1][:90]
    n, m = len(x), len(y)
    inner_x, inner_y, outer = (pairwise.rbf_kernel(a, b, gamma=1 / (2 * 1.3**2)) for a, b in ((x, x), (y, y), (x, y)))
    expected = (inner_x.sum() - n) / (n * (n - 1)) + (inner_y.sum() - m) / (m * (m - 1)) - 2 * outer.mean()
    assert mmd(x, y, bandwidth=1.3, n_kernels=1) == pytest.approx(expected, abs=1e-6)


def test_energy_agrees_with_sklearn(cells: Cells) -> None:
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    x, y = cells[0], cells[1][:90]
    inner_x, inner_y, outer = (pairwise.euclidean_distances(a, b) for a, b in ((x, x), (y, y), (x, y)))
    expected = 2 * outer.mean() - inner_x.sum() / (120 * 119) - inner_y.sum() / (90 * 89)
    assert energy_distance(x, y) == pytest.approx(expected, abs=1e-6)


def test_frechet_agrees_with_pot(cells: Cells) -> None:
    gaussian = pytest.importorskip("ot.gaussian")
    means, covs = [side.mean(axis=0) for side in cells], [np.cov(side, rowvar=False) for side in cells]
    assert frechet_distance(*cells) == pytest.approx(gaussian.bures_wasserstein_distance(*means, *covs) ** 2, abs=1e-6)


def test_transport_on_a_line_agrees_with_pot(cells: Cells) -> None:
    ot = pytest.importorskip("ot")
    x, y = cells[0][:, 0], cells[1][:70, 0]
    assert wasserstein_1d(x, y) == pytest.approx(float(ot.wasserstein_1d(x, y, p=1)), abs=1e-9)


def test_the_median_bandwidth_is_that_of_the_pooled_cells(cells: Cells) -> None:
    pooled = np.concatenate(cells)
    width = float(np.median(cdist(pooled, pooled)[np.triu_indices(len(pooled), k=1)]))
    assert mmd(*cells) == pytest.approx(mmd(*cells, bandwidth=width), abs=1e-8)


@pytest.mark.parametrize("distance", [mmd, energy_distance])
def test_unbiased_distances_are_zero_on_average_between_equal_distributions(distance: object) -> None:
    stream = np.random.default_rng(0)
    values = [distance(stream.normal(size=(30, 3)), stream.normal(size=(40, 3))) for _ in range(300)]  # type: ignore[operator]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(300)


def test_frechet_agrees_with_the_gaussian_closed_form() -> None:
    stream = np.random.default_rng(1)
    scale = np.array([1.0, 2.0, 0.5])
    x = stream.normal(size=(200_000, 3))
    y = stream.normal(size=(200_000, 3)) * scale + 1.0
    exact = 3.0 + float(((1 - scale) ** 2).sum())
    assert frechet_distance(x, y) == pytest.approx(exact, rel=0.02)


def test_frechet_agrees_with_the_matrix_root(cells: Cells) -> None:
    linalg = pytest.importorskip("scipy.linalg")
    x, y = cells
    covs = [np.cov(side, rowvar=False) for side in cells]
    root = linalg.sqrtm(covs[0] @ covs[1]).real
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(covs[0] + covs[1] - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(expected, abs=1e-9)


def test_distances_survive_a_cloud_far_from_the_origin(cells: Cells) -> None:
    x, y = cells
    assert energy_distance(x + 1e6, y + 1e6) == pytest.approx(energy_distance(x, y), abs=1e-6)


def test_subsamples_follow_the_seed(cells: Cells) -> None:
    values = [wasserstein(*cells, max_cells=40, seed=seed) for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"order": 3}, "`order` must be 1 or 2, got 3"), ({"max_cells": 1}, "`max_cells` must be at least 2")],
)
def test_transport_refuses_bad_settings(cells: Cells, options: dict[str, int], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        wasserstein(*cells, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_kernels": 2}, "`n_kernels` must be odd"),
        ({"bandwidth": -1.0}, "`bandwidth` must be positive or 'median'"),
    ],
)
def test_mmd_refuses_bad_settings(cells: Cells, options: dict[str, float], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        mmd(*cells, **options)  # type: ignore[arg-type]


def test_matrices_of_different_features_are_refused(cells: Cells) -> None:
    with pytest.raises(SettingError, match="the same columns"):
        frechet_distance(cells[0], cells[1][:, :2])


def test_too_few_cells_are_refused(cells: Cells) -> None:
    with pytest.raises(SettingError, match="needs at least 2 of each"):
        frechet_distance(cells[0], cells[1][:1])


def test_nan_features_are_refused(cells: Cells) -> None:
    with pytest.raises(SettingError, match="NaN or infinite"):
        mmd(cells[0], np.full_like(cells[1], np.nan))
