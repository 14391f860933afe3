"""Power of a classifier two-sample test: its AUC against the number of cells that the classifier learns from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError
from scdiffuse.metrics._classifiers import (
    ClassifierKind,
    ClassifierSettings,
    build_classifier,
    check_kind,
    fit_classifier,
    usable_features,
)
from scdiffuse.metrics._feature_matrices import Array, paired
from scdiffuse.metrics._grouped_folds import row_hashes
from scdiffuse.metrics._two_sample import delong_interval

__all__ = ["CurvePoint", "cells_needed", "learning_curve"]

_TEST_FRACTION = 0.25
_MOST_TESTED = 2000
_LEAST_LEARNT = 20
_FARTHEST = 8.0  # times the cells measured: beyond, an extrapolated number of cells is a guess


class CurvePoint(NamedTuple):
    """AUC of a classifier that learnt from so many cells a side."""

    n_cells: int
    """Cells a side that the classifier learnt from."""
    n_tested: int
    """Other cells a side that it was scored on."""
    auc: float
    low: float
    high: float


def learning_curve(
    x: Array,
    y: Array,
    *,
    sizes: Sequence[int],
    kind: ClassifierKind = "forest",
    copies: tuple[Array, Array] | None = None,
    n_trees: int = 100,
    seed: int = 0,
    n_jobs: int = 2,
) -> list[CurvePoint]:
    """Measure how well a classifier separates two samples against the number of cells it learns from.

    The last quarter of each side, at most 2,000 cells, is scored and never learnt from. The classifier learns from the
    first cells of each side, so that every larger training sample holds the smaller ones.

    Parameters
    ----------
    x, y
        Real and generated cells in random order, shapes ``(N, F)`` and ``(M, F)``.
    sizes
        Cells a side to learn from. Sizes that the samples do not allow are left out, and the largest possible one is
        added.
    kind
        Classifier, as for `two_sample_auc`.
    copies
        A key for each cell of both sides, the same for copies of one cell; the classifier learns no copy of a cell that
        it is scored on. Without keys, cells with the same features are copies.
    n_trees
        Trees of a forest.
    seed
        Seed of the classifier.
    n_jobs
        Threads for a forest.

    Returns
    -------
    One point for each size, ascending.

    Raises
    ------
    SettingError
        The classifier is unknown, or fewer than 27 cells are on a side.
    """
    check_kind(kind)
    x, y = paired(x, y, least=_LEAST_LEARNT + 7)
    n_equal = min(len(x), len(y))
    n_tested = min(max(int(n_equal * _TEST_FRACTION), 2), _MOST_TESTED)
    keys = (row_hashes(x), row_hashes(y)) if copies is None else copies
    tested = [np.arange(len(side) - n_tested, len(side)) for side in (x, y)]
    seen = np.concatenate([keys[k][tested[k]] for k in (0, 1)])
    learnt = [np.flatnonzero(~np.isin(keys[k][: len(side) - n_tested], seen)) for k, side in enumerate((x, y))]
    most = min(len(rows) for rows in learnt)
    if most < _LEAST_LEARNT:
        msg = (
            f"{most} cells a side are left to learn from without copies of the cells scored, expected at least "
            f"{_LEAST_LEARNT}. Give more cells, or cells drawn without replacement."
        )
        raise SettingError(msg)
    held_out = np.concatenate([x[tested[0]], y[tested[1]]]).astype(np.float32)
    truth = np.arange(2 * n_tested) >= n_tested
    points = []
    for size in [*sorted({int(size) for size in sizes if _LEAST_LEARNT <= size < most}), most]:
        features = np.concatenate([x[learnt[0][:size]], y[learnt[1][:size]]]).astype(np.float32)
        columns = usable_features(kind, features)
        model = build_classifier(kind, ClassifierSettings(seed, n_jobs, n_trees), (2 * size, len(columns)))
        fit_classifier(model, features[:, columns], np.arange(2 * size) >= size)
        scores = model.predict_proba(held_out[:, columns])[:, 1]
        points.append(CurvePoint(size, n_tested, *delong_interval(truth, scores)))
    return points


def cells_needed(n_cells: Sequence[float], auc: Sequence[float], *, target: float) -> float:
    """Find how many cells a side a classifier has to learn from to reach an AUC: the larger, the closer two samples.

    Points are averaged by number of cells and made increasing (isotonic regression). Between them the AUC is linear in
    the logarithm of the number of cells; beyond the largest it goes on along the line through all points, up to eight
    times the largest number.

    Parameters
    ----------
    n_cells
        Cells a side that the classifier learnt from, one for each point.
    auc
        Its AUC.
    target
        The AUC to reach.

    Returns
    -------
    Cells a side; infinity where the AUC does not get there within eight times the largest number, and the smallest
    number where it is there from the first point on.

    Examples
    --------
    >>> round(cells_needed([250, 500, 1000], [0.52, 0.54, 0.56], target=0.55))
    707
    >>> cells_needed([250, 500, 1000], [0.5, 0.5, 0.5], target=0.55)
    inf
    """
    sizes, y = _averaged(np.asarray(n_cells, dtype=float), np.asarray(auc, dtype=float))
    x, smooth = np.log(sizes), _increasing(y)
    if smooth[0] >= target:
        return float(sizes[0])
    if smooth[-1] >= target:
        above = int(np.argmax(smooth >= target))
        part = (target - smooth[above - 1]) / (smooth[above] - smooth[above - 1])
        return float(math.exp(x[above - 1] + part * (x[above] - x[above - 1])))
    slope = float(np.polyfit(x, y, 1)[0]) if len(x) > 1 else 0.0
    if slope <= 0:
        return math.inf
    more = (target - smooth[-1]) / slope
    return float(math.exp(x[-1] + more)) if more <= math.log(_FARTHEST) else math.inf


def _averaged(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    places = np.unique(x)
    return places, np.array([y[x == place].mean() for place in places])


def _increasing(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pool neighbours that fall until none does."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        blocks.append((float(value), 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (first, n_first), (last, n_last) = blocks[-2:]
            blocks[-2:] = [((first * n_first + last * n_last) / (n_first + n_last), n_first + n_last)]
    return np.repeat([value for value, _ in blocks], [n for _, n in blocks])
