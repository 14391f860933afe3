"""Neighbourhood metrics against definitions written out by hand, and scib-metrics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.spatial.distance import cdist

from scdiffuse._core.errors import SettingError
from scdiffuse.metrics import (
    PRDC,
    LabelledCells,
    lisi,
    one_nn_accuracy,
    precision_recall_by_label,
    precision_recall_density_coverage,
)

Cells = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def cells() -> Cells:
    stream = np.random.default_rng(7)
    return stream.normal(size=(200, 4)), stream.normal(size=(200, 4)) + 0.7


def test_prdc_of_a_hand_computed_case() -> None:
    # Real balls reach 1, 1, 2 around 0, 1, 3; generated balls 0.5, 0.5, 6.5 around 0.5, 0, 7.
    x = np.array([[0.0], [1.0], [3.0]])
    y = np.array([[0.5], [0.0], [7.0]])
    result = precision_recall_density_coverage(x, y, k=1)
    assert result == pytest.approx(PRDC(precision=2 / 3, recall=1.0, density=4 / 3, coverage=2 / 3))


def test_prdc_agrees_with_its_definition(cells: Cells) -> None:
    x, y = cells[0], cells[1][:150]
    between = cdist(x, y)
    real, generated = (np.sort(cdist(side, side), axis=1)[:, 5] for side in (x, y))
    inside = between <= real[:, None]
    expected = PRDC(
        precision=inside.any(axis=0).mean(),
        recall=(between <= generated).any(axis=1).mean(),
        density=inside.sum() / (5 * len(y)),
        coverage=inside.any(axis=1).mean(),
    )
    assert precision_recall_density_coverage(x, y, k=5) == pytest.approx(expected)


def test_coverage_of_equal_distributions_is_that_of_its_theory() -> None:
    stream = np.random.default_rng(0)
    x, y = stream.normal(size=(2, 1500, 3))
    # Naeem et al. 2020, eq. 10: 1 - (M-1)...(M-k) / ((2M-1)...(2M-k)) for equal sizes, close to 1 - 2^-k.
    assert precision_recall_density_coverage(x, y, k=5).coverage == pytest.approx(1 - 2.0**-5, abs=0.015)


def test_mode_collapse_keeps_precision_and_loses_recall(cells: Cells) -> None:
    result = precision_recall_density_coverage(cells[0], cells[0][:1] + 1e-3 * cells[1])
    assert result.precision == 1.0
    assert result.recall < 0.02


def test_a_missing_label_is_not_covered(cells: Cells) -> None:
    labels = np.repeat(["common", "rare"], [180, 20])
    generated = LabelledCells(cells[0][:180] + 0.01, np.full(180, "common"))
    result = precision_recall_by_label(LabelledCells(cells[0], labels), generated)
    assert result["rare"][1:] == (0.0, 0.0, 0.0)
    assert np.isnan(result["rare"].precision)
    assert result["common"].coverage == 1.0


def test_one_nn_of_a_hand_computed_case() -> None:
    # Neighbours: 0 -> 0.4 (other), 0.4 -> 0 (other), 5 -> 5.5 (other), 5.5 -> 5 (other), 9 -> 9.5, 9.5 -> 9 (other).
    x, y = np.array([[0.0], [5.0], [9.0]]), np.array([[0.4], [5.5], [9.5]])
    assert one_nn_accuracy(x, y) == 0.0


def test_one_nn_agrees_with_all_pairs(cells: Cells) -> None:
    pooled = np.concatenate(cells)
    distances = cdist(pooled, pooled)
    np.fill_diagonal(distances, np.inf)
    origin = np.arange(400) >= 200
    assert one_nn_accuracy(*cells) == (origin[distances.argmin(axis=1)] == origin).mean()


def test_one_nn_agrees_with_sklearn(cells: Cells) -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    pooled, origin = np.concatenate(cells), np.arange(400) >= 200
    nearest = neighbors.NearestNeighbors(n_neighbors=1).fit(pooled).kneighbors(return_distance=False).ravel()
    assert one_nn_accuracy(*cells) == (origin[nearest] == origin).mean()


def test_precision_and_recall_agree_with_sklearn(cells: Cells) -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    result = precision_recall_density_coverage(*cells, k=5)
    for found, (centres, others) in ((result.precision, cells), (result.recall, cells[::-1])):
        radii = neighbors.NearestNeighbors(n_neighbors=5).fit(centres).kneighbors()[0][:, -1]
        inside = neighbors.NearestNeighbors().fit(centres).radius_neighbors(others, radius=radii.max())
        reached = [(far <= radii[who]).any() for far, who in zip(*inside, strict=True)]
        assert found == np.mean(reached)


def test_one_nn_is_at_chance_for_uneven_samples_of_one_distribution() -> None:
    stream = np.random.default_rng(0)
    assert one_nn_accuracy(stream.normal(size=(2000, 3)), stream.normal(size=(500, 3))) == pytest.approx(0.5, abs=0.06)


def test_lisi_is_zero_apart(cells: Cells) -> None:
    assert lisi(cells[0], cells[1] + 100.0) == pytest.approx(0.0, abs=1e-12)


def test_lisi_is_one_where_every_neighbourhood_is_even() -> None:
    # Both samples hold the same points of a circle; only the cell itself is missing among its own neighbours.
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    x = np.column_stack([np.cos(angle), np.sin(angle)])
    assert lisi(x, x) == pytest.approx(1.0, abs=0.03)


def test_lisi_agrees_with_scib_metrics(cells: Cells) -> None:
    # scib-metrics 0.5.10, `lisi_knn` on the exact 90 neighbours, perplexity 30, single precision; where scib-metrics
    # is installed, `python -m benchmarks.lisi_check` gives the number anew.
    assert lisi(*cells, perplexity=30) == pytest.approx(0.5600122, abs=1e-6)


def test_lisi_agrees_with_its_definition(cells: Cells) -> None:
    pooled = np.concatenate(cells)
    distances = cdist(pooled, pooled)
    np.fill_diagonal(distances, np.inf)
    values = []
    for row in distances:
        order = np.argsort(row)[:30]
        near = row[order]
        weights = np.exp(-near * np.exp(brentq(lambda b, near=near: _entropy(b, near) - np.log(10), -10, 10)))
        share = weights[order >= 200].sum() / weights.sum()
        values.append(1 / (share**2 + (1 - share) ** 2))
    assert lisi(*cells, perplexity=10) == pytest.approx(np.mean(values) - 1, abs=1e-9)


def _entropy(log_beta: float, distances: np.ndarray) -> float:
    weights = np.exp(-np.exp(log_beta) * (distances - distances.min()))
    shares = weights / weights.sum()
    return float(-(shares * np.log(np.maximum(shares, 1e-300))).sum())


def test_lisi_does_not_depend_on_units(cells: Cells) -> None:
    assert lisi(cells[0] * 1e4, cells[1] * 1e4) == pytest.approx(lisi(*cells), abs=1e-9)


def test_lisi_of_identical_cells_is_finite() -> None:
    assert 0 <= lisi(np.zeros((60, 2)), np.zeros((60, 2)), perplexity=10) <= 1


def test_lisi_needs_enough_cells(cells: Cells) -> None:
    with pytest.raises(SettingError, match="three times it below the pooled number"):
        lisi(cells[0][:40], cells[1][:40])


def test_prdc_refuses_k_below_one(cells: Cells) -> None:
    with pytest.raises(SettingError, match="`k` must be at least 1"):
        precision_recall_density_coverage(*cells, k=0)


def test_prdc_refuses_fewer_cells_than_neighbours(cells: Cells) -> None:
    with pytest.raises(SettingError, match="needs at least 6 of each"):
        precision_recall_density_coverage(cells[0], cells[1][:5])


def test_prdc_by_label_refuses_labels_smaller_than_k(cells: Cells) -> None:
    side = LabelledCells(cells[0], np.full(200, "a"))
    with pytest.raises(SettingError, match="`min_cells` must be larger than `k`"):
        precision_recall_by_label(side, side, min_cells=5)


def test_labels_must_be_one_a_cell(cells: Cells) -> None:
    with pytest.raises(SettingError, match="one label a cell"):
        precision_recall_by_label(LabelledCells(cells[0], np.array(["a"])), LabelledCells(cells[1], np.array(["a"])))
