"""Neighbourhood metrics: precision and recall, density and coverage, nearest-neighbour accuracy, and LISI mixing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError
from scdiffuse.metrics._feature_matrices import Array, equal_sizes, paired, squared_distance_blocks
from scdiffuse.metrics._labelled_cells import LabelledCells, check_labelled, frequent_labels

__all__ = [
    "PRDC",
    "lisi",
    "nearest",
    "one_nn_accuracy",
    "precision_recall_by_label",
    "precision_recall_density_coverage",
]

_SEARCH_STEPS = 40  # the logarithm of beta to 1e-10


class PRDC(NamedTuple):
    """Fidelity and diversity from balls around each cell that reach its k-th neighbour in the same sample."""

    precision: float
    """Fraction of generated cells inside some real cell's ball."""
    recall: float
    """Fraction of real cells inside some generated cell's ball."""
    density: float
    """Real balls that hold a generated cell, over ``k``; about 1 when the samples agree, and it may exceed 1."""
    coverage: float
    """Fraction of real cells whose ball holds a generated cell."""


def nearest(x: Array, among: Array, *, k: int, itself: bool) -> tuple[Array, NDArray[np.int64]]:
    """Find the ``k`` nearest rows exactly; ``itself`` excludes each cell from its own neighbours."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=k, algorithm="auto" if among.shape[1] <= 3 else "brute").fit(among)
    distances, indices = search.kneighbors(None if itself else x)
    return distances, indices


def precision_recall_density_coverage(x: Array, y: Array, *, k: int = 5) -> PRDC:
    """Measure whether generated cells look real, and whether they represent all real cells.

    Parameters
    ----------
    x, y
        Real and generated cells, shapes ``(N, F)`` and ``(M, F)``.
    k
        The neighbour that sets a ball's radius, the cell itself not counted.

    Returns
    -------
    Precision, recall and coverage in 0..1, density at least 0.

    Raises
    ------
    SettingError
        If a side has no more than ``k`` cells.

    References
    ----------
    Kynkaanniemi et al. 2019, https://arxiv.org/abs/1904.06991, eq. 1-2; Naeem et al. 2020,
    https://arxiv.org/abs/2002.09797, eq. 1-4.

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> precision_recall_density_coverage(x, x + 10.0, k=1)
    PRDC(precision=0.0, recall=0.0, density=0.0, coverage=0.0)
    """
    if k < 1:
        msg = f"`k` must be at least 1, got {k}; 5 is usual."
        raise SettingError(msg)
    x, y = paired(x, y, least=k + 1)
    real_radii = _squared_radii(x, k)
    generated_radii = _squared_radii(y, k)
    real_balls = np.zeros(len(y), dtype=np.int64)
    recalled = np.zeros(len(x), dtype=bool)
    covered = np.zeros(len(x), dtype=bool)
    for rows, squares in squared_distance_blocks(x, y):
        inside = squares <= real_radii[rows, None]
        real_balls += inside.sum(axis=0)
        covered[rows] = inside.any(axis=1)
        recalled[rows] = (squares <= generated_radii).any(axis=1)
    return PRDC(
        precision=float((real_balls > 0).mean()),
        recall=float(recalled.mean()),
        density=float(real_balls.mean() / k),
        coverage=float(covered.mean()),
    )


def _squared_radii(cells: Array, k: int) -> Array:
    """Measure the squared distance of each cell to its k-th neighbour, itself left out."""
    radii = np.empty(len(cells))
    for rows, squares in squared_distance_blocks(cells, cells):
        squares[np.arange(len(squares)), np.arange(rows.start, rows.stop)] = np.inf
        radii[rows] = np.partition(squares, k - 1, axis=1)[:, k - 1]
    return radii


def precision_recall_by_label(
    real: LabelledCells, generated: LabelledCells, *, k: int = 5, min_cells: int = 10
) -> dict[str, PRDC]:
    """Measure fidelity and diversity label by label, so that a rare label is not hidden by the others.

    Parameters
    ----------
    real, generated
        Features, shapes ``(N, F)`` and ``(M, F)``, with one label a cell.
    k
        As in :func:`precision_recall_density_coverage`.
    min_cells
        Labels with fewer real cells are left out; more than ``k``.

    Returns
    -------
    One result per label of the real cells. A label with at most ``k`` generated cells is missing from them: its recall,
    density and coverage are 0 and its precision is NaN.

    Raises
    ------
    SettingError
        If ``min_cells`` is not larger than ``k``.
    """
    if min_cells <= k:
        msg = f"`min_cells` must be larger than `k` = {k}, got {min_cells}; raise it."
        raise SettingError(msg)
    real, generated = check_labelled(real), check_labelled(generated)
    results = {}
    for label in frequent_labels(real.labels, min_cells=min_cells):
        y = generated.values[generated.labels == label]
        if len(y) > k:
            results[label] = precision_recall_density_coverage(real.values[real.labels == label], y, k=k)
        else:
            results[label] = PRDC(float("nan"), 0.0, 0.0, 0.0)
    return results


def one_nn_accuracy(x: Array, y: Array, *, max_cells: int = 5000, seed: int = 0) -> float:
    """Test how often the nearest neighbour of a cell comes from the same sample, real or generated.

    Parameters
    ----------
    x, y
        Real and generated cells, shapes ``(N, F)`` and ``(M, F)``.
    max_cells
        At most this many cells of each side; both are brought to the same size, as an uneven mix shifts the chance
        level.
    seed
        Chooses the cells.

    Returns
    -------
    Accuracy in 0..1: .5 when the samples are indistinguishable, 1 when they are separate, below .5 when generated
    cells lie on real ones.

    References
    ----------
    Lopez-Paz and Oquab 2017, https://arxiv.org/abs/1610.06545, section 3 with a 1-NN classifier.

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> one_nn_accuracy(x, x + 10.0)
    1.0
    """
    x, y = equal_sizes(*paired(x, y), max_cells=max_cells, seed=seed)
    pooled = np.concatenate([x, y])
    is_generated = np.arange(len(pooled)) >= len(x)
    _, indices = nearest(pooled, pooled, k=1, itself=True)
    return float((is_generated[indices[:, 0]] == is_generated).mean())


def lisi(x: Array, y: Array, *, perplexity: float = 30, max_cells: int = 5000, seed: int = 0) -> float:
    r"""Measure how evenly real and generated cells mix in each neighbourhood.

    Neighbours at distances :math:`d_j` weigh :math:`p_j \propto e^{-\beta d_j}`, with :math:`\beta` set per cell so
    that the weights' entropy is the logarithm of the perplexity; three times the perplexity are looked at. The local
    inverse Simpson index is :math:`1 / \sum_b (\sum_{j \in b} p_j)^2`, from 1 (one sample alone) to 2 (even).

    Parameters
    ----------
    x, y
        Real and generated cells, shapes ``(N, F)`` and ``(M, F)``.
    perplexity
        Effective number of neighbours.
    max_cells
        At most this many cells of each side; both are brought to the same size, as an uneven mix lowers the maximum.
    seed
        Chooses the cells.

    Returns
    -------
    The mean index minus 1, so 0 is apart and 1 mixed. Equal distributions stay a little below 1, as neighbours are a
    finite draw.

    Raises
    ------
    SettingError
        If there are not more pooled cells than three times the perplexity.

    References
    ----------
    Korsunsky et al. 2019, https://doi.org/10.1038/s41592-019-0619-0, methods (LISI); rescaled as iLISI of Luecken et
    al. 2022, https://doi.org/10.1038/s41592-021-01336-8, with the mean for the median.
    """
    x, y = equal_sizes(*paired(x, y), max_cells=max_cells, seed=seed)
    n_neighbours = int(3 * perplexity)
    if perplexity <= 1 or len(x) + len(y) <= n_neighbours:
        msg = (
            f"`perplexity` is {perplexity} with {len(x)} cells of each side; expected it above 1 and three times it "
            "below the pooled number of cells. Lower it or compare more cells."
        )
        raise SettingError(msg)
    pooled = np.concatenate([x, y])
    is_generated = np.arange(len(pooled)) >= len(x)
    distances, indices = nearest(pooled, pooled, k=n_neighbours, itself=True)
    return float(inverse_simpson(distances, is_generated[indices], perplexity=perplexity).mean() - 1)


def inverse_simpson(distances: Array, is_generated: NDArray[np.bool_], *, perplexity: float) -> Array:
    """Compute the local inverse Simpson index of two samples from neighbour distances, shape ``(N, K)``."""
    weights = _perplexity_weights(distances, perplexity)
    fraction = np.where(is_generated, weights, 0).sum(axis=1)
    return np.asarray(1 / (fraction**2 + (1 - fraction) ** 2))


def _perplexity_weights(distances: Array, perplexity: float) -> Array:
    """Find each row's exponential weights of the given perplexity by bisection on the logarithm of beta."""
    # Only differences matter; in units of the row's mean spread beta lies within e^-12..e^25 of 1.
    gaps = distances - distances[:, :1]
    spread = gaps.mean(axis=1, keepdims=True)
    gaps = gaps / np.where(spread > 0, spread, 1)
    low, high = np.full(len(gaps), -12.0), np.full(len(gaps), 25.0)
    goal = np.log(perplexity)
    for _ in range(_SEARCH_STEPS):
        middle = (low + high) / 2
        too_wide = _entropy(gaps, np.exp(middle)) > goal
        low, high = np.where(too_wide, middle, low), np.where(too_wide, high, middle)
    weights = np.exp(-gaps * np.exp((low + high) / 2)[:, None])
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _entropy(gaps: Array, beta: Array) -> Array:
    """Compute the entropy of each row's weights."""
    energies = gaps * beta[:, None]
    weights = np.exp(-energies)
    total = weights.sum(axis=1)
    return np.asarray(np.log(total) + (energies * weights).sum(axis=1) / total)
