"""Power of a classifier two-sample test: curves against cells a side, and the cells that a classifier needs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from scdiffuse._core.errors import SettingError
from scdiffuse.metrics import cells_needed, learning_curve


def samples(shift: float, *, n: int = 1200, width: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    stream = np.random.default_rng(seed)
    x, y = stream.normal(size=(2, n, width))
    y[:, 0] += shift
    return x, y


def test_the_auc_grows_with_the_cells_learnt_from_up_to_the_best_possible() -> None:
    x, y = samples(0.5)
    points = learning_curve(x, y, sizes=(50, 200), kind="logistic")
    assert [point.n_cells for point in points] == [50, 200, 900]
    assert {point.n_tested for point in points} == {300}
    best = float(norm.cdf(0.5 / np.sqrt(2)))  # two normals half a standard deviation apart
    assert points[0].auc < points[-1].auc
    assert points[-1].auc == pytest.approx(best, abs=0.04)


def test_a_classifier_learns_no_copy_of_a_cell_that_it_is_scored_on() -> None:
    stream = np.random.default_rng(1)
    pool = stream.normal(size=(1600, 5))
    x, y = pool[:800], pool[800:][stream.integers(400, size=800)]  # every cell of `y` twice
    apart = learning_curve(x, y, sizes=(), kind="forest")[-1]
    naive = learning_curve(x, y, sizes=(), kind="forest", copies=(np.arange(800), np.arange(800, 1600)))[-1]
    assert apart.auc == pytest.approx(0.48, abs=0.1)  # mean of twelve seeds: .48
    assert naive.low > 0.7  # .88
    assert apart.n_cells < naive.n_cells == 600


@pytest.mark.parametrize(
    ("auc", "target", "cells"),
    [
        ([0.52, 0.54, 0.56], 0.53, 250 * math.sqrt(2)),  # between two points, linear in the logarithm
        ([0.56, 0.57, 0.58], 0.55, 250.0),  # from the first point on
        ([0.51, 0.53, 0.55], 0.57, 2000.0),  # beyond the last, along the line
        ([0.52, 0.50, 0.51], 0.55, math.inf),  # it does not grow
        ([0.501, 0.502, 0.503], 0.60, math.inf),  # too far to guess
        ([0.50, 0.54, 0.52], 0.52, 250 * 2 ** (2 / 3)),  # a fall is noise: made increasing
    ],
)
def test_the_cells_a_classifier_needs(auc: list[float], target: float, cells: float) -> None:
    assert cells_needed([250, 500, 1000], auc, target=target) == pytest.approx(cells)


def test_seeds_are_averaged_before_cells_are_counted() -> None:
    assert cells_needed([250, 250, 500, 500], [0.5, 0.54, 0.55, 0.57], target=0.54) == pytest.approx(250 * math.sqrt(2))


def test_too_few_cells_for_a_curve_are_refused() -> None:
    x, y = samples(0.0, n=20)
    with pytest.raises(SettingError, match="needs at least 27 of each"):
        learning_curve(x, y, sizes=())
    x, y = np.zeros((40, 2)), np.ones((40, 2))
    with pytest.raises(SettingError, match="0 cells a side are left to learn from without copies"):
        learning_curve(x, y, sizes=())
