"""Distances between two samples of cells in a vector space."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from scdiffuse._core.errors import SettingError
from scdiffuse.metrics._feature_matrices import Array, equal_sizes, paired, squared_distance_blocks, subsample
from scdiffuse.metrics._labelled_cells import LabelledCells, LabelScores, check_labelled, shared_labels

__all__ = [
    "energy_distance",
    "frechet_distance",
    "kernel_sum",
    "mmd",
    "squared_mean",
    "wasserstein",
    "wasserstein_1d",
    "wasserstein_by_label",
]

_MEDIAN_CELLS = 2000


def wasserstein(x: Array, y: Array, *, order: int = 2, max_cells: int = 2000, seed: int = 0) -> float:
    r"""Measure the exact Wasserstein distance between two samples (optimal transport).

    .. math:: W_p = \left( \min_\pi \sum_{ij} \pi_{ij} \lVert x_i - y_j \rVert^p \right)^{1/p}

    Two finite samples of one distribution lie far apart in many dimensions, so compare the value with the
    distance between two real samples of the same sizes.

    Parameters
    ----------
    x, y
        Real and generated cells, shapes ``(N, F)`` and ``(M, F)``.
    order
        The power ``p``, 1 or 2.
    max_cells
        At most this many cells of each side are used, drawn at random; time grows with its third power.
    seed
        Chooses the cells where there are more.

    Returns
    -------
    Distance in the units of the features, at least 0. Unequal sizes are solved exactly when POT is installed;
    otherwise the larger side is subsampled to the smaller.

    Raises
    ------
    SettingError
        If ``order`` is not 1 or 2, or the matrices do not fit each other.

    References
    ----------
    Peyre and Cuturi 2019, https://arxiv.org/abs/1803.00567, eq. 2.11 and 2.14.

    Examples
    --------
    >>> wasserstein(np.array([[0.0], [1.0]]), np.array([[3.0], [4.0]]))
    3.0
    """
    if order not in (1, 2):
        msg = f"`order` must be 1 or 2, got {order}; choose one of them."
        raise SettingError(msg)
    x, y = paired(x, y, least=1)
    if len(x) != len(y) and find_spec("ot") is not None:
        x, y = (
            cells[subsample(len(cells), max_cells, seed=seed, stream=f"equal {k}")] for k, cells in enumerate((x, y))
        )
    else:
        x, y = equal_sizes(x, y, max_cells=max_cells, seed=seed)
    cost = np.concatenate([block for _, block in squared_distance_blocks(x, y)])
    if order == 1:
        np.sqrt(cost, out=cost)
    return float(_transport_cost(cost) ** (1 / order))


def _transport_cost(cost: Array) -> float:
    """Solve the balanced transport problem between uniform weights."""
    if cost.shape[0] == cost.shape[1]:
        from scipy.optimize import linear_sum_assignment

        return float(cost[linear_sum_assignment(cost)].mean())
    import ot

    return float(ot.emd2(ot.unif(cost.shape[0]), ot.unif(cost.shape[1]), cost, numItermax=2_000_000))


def wasserstein_by_label(
    real: LabelledCells, generated: LabelledCells, *, min_cells: int = 10, max_cells: int = 2000, seed: int = 0
) -> LabelScores:
    """Measure the exact order-2 distance label by label, the protocol of CFGen.

    The features must come from one projection with one mean (PCs centred on the same cells for both sides): projecting
    generated cells without the mean adds a constant offset that hides every difference between generators.

    Parameters
    ----------
    real, generated
        Features, shapes ``(N, F)`` and ``(M, F)``, with one label a cell.
    min_cells
        Labels with fewer cells on either side are left out.
    max_cells
        At most this many cells of a label; both sides are brought to the same number.
    seed
        Chooses the cells where there are more.

    Returns
    -------
    Distance per label and their mean.

    Raises
    ------
    ConditionError
        If no label has enough cells on both sides.

    References
    ----------
    Palma et al. 2025, https://arxiv.org/abs/2407.11734, section 5 (per-type Wasserstein-2 in 30 PCs).
    """
    real, generated = check_labelled(real), check_labelled(generated)
    by_label = {}
    for label in shared_labels(real, generated, min_cells=min_cells):
        sides = (cells.values[cells.labels == label] for cells in (real, generated))
        x, y = equal_sizes(*paired(*sides), max_cells=max_cells, seed=seed)
        by_label[label] = wasserstein(x, y, max_cells=max_cells, seed=seed)
    return LabelScores(float(np.mean(list(by_label.values()))), by_label)


def wasserstein_1d(x: Array, y: Array) -> float:
    """Measure the order-1 distance of two samples of one number, by the area between their distributions."""
    pooled = np.sort(np.concatenate([x, y]))
    fractions = [np.searchsorted(np.sort(side), pooled[:-1], side="right") / len(side) for side in (x, y)]
    return float(np.abs(fractions[0] - fractions[1]) @ np.diff(pooled))


def energy_distance(x: Array, y: Array, *, unbiased: bool = True, max_cells: int = 5000, seed: int = 0) -> float:
    r"""Compare mean distances between the samples with those within each.

    .. math:: D^2 = 2 E\lVert X - Y \rVert - E\lVert X - X' \rVert - E\lVert Y - Y' \rVert

    Parameters
    ----------
    x, y
        Real and generated cells, shapes ``(N, F)`` and ``(M, F)``.
    unbiased
        Leave each cell's distance to itself out, so that equal distributions give 0 on average (and may give less).
    max_cells
        At most this many cells of each side are used.
    seed
        Chooses the cells where there are more.

    Returns
    -------
    The squared energy distance, in the units of the features; 0 for equal distributions.

    References
    ----------
    Szekely and Rizzo 2013, https://doi.org/10.1016/j.jspi.2013.03.018, eq. 1.1.
    """
    x, y = paired(x, y)
    x, y = (cells[subsample(len(cells), max_cells, seed=seed, stream=f"equal {k}")] for k, cells in enumerate((x, y)))
    within = sum(_sum_of_distances(cells, cells) / (len(cells) * (len(cells) - unbiased)) for cells in (x, y))
    return 2 * _sum_of_distances(x, y) / (len(x) * len(y)) - within


def _sum_of_distances(x: Array, y: Array) -> float:
    """Add up all Euclidean distances from ``x`` to ``y``."""
    total = 0.0
    for rows, squares in squared_distance_blocks(x, y):
        distances = np.sqrt(squares, out=squares)
        if x is y:
            # Rounding leaves a cell at about 1e-7 from itself.
            distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = 0.0
        total += float(distances.sum())
    return total


def median_distance(x: Array, y: Array, *, seed: int = 0) -> float:
    """Take the median distance between different cells of the pooled sample, from at most 2,000 of them."""
    pooled = np.concatenate([x, y])
    pooled = pooled[subsample(len(pooled), _MEDIAN_CELLS, seed=seed, stream="median")]
    squares = np.concatenate([block for _, block in squared_distance_blocks(pooled, pooled)])
    return float(np.sqrt(np.median(squares[np.triu_indices(len(pooled), k=1)])))


def mmd(
    x: Array,
    y: Array,
    *,
    bandwidth: float | str = "median",
    n_kernels: int = 5,
    max_cells: int = 5000,
    seed: int = 0,
) -> float:
    r"""Compare the samples' mean embeddings under Gaussian kernels, without bias.

    .. math:: \mathrm{MMD}^2 = \frac{\sum_{i \ne j} k(x_i, x_j)}{n (n - 1)}
        + \frac{\sum_{i \ne j} k(y_i, y_j)}{m (m - 1)}
        - \frac{2}{n m} \sum_{ij} k(x_i, y_j)

    with :math:`k(a, b)` the mean over kernels of :math:`\exp(-\lVert a - b \rVert^2 / 2 h^2)`.

    Parameters
    ----------
    x, y
        Real and generated cells, shapes ``(N, F)`` and ``(M, F)``.
    bandwidth
        The middle bandwidth ``h`` in the units of the features, or ``"median"``: the median distance within the
        pooled cells.
    n_kernels
        Odd number of kernels, whose bandwidths are ``h`` times ..., 1/2, 1, 2, ...
    max_cells
        At most this many cells of each side are used.
    seed
        Chooses the cells where there are more.

    Returns
    -------
    The unbiased squared discrepancy, at most 2; equal distributions give 0 on average, and may give less.

    Raises
    ------
    SettingError
        If the bandwidth is not positive or ``n_kernels`` is even.

    References
    ----------
    Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html, eq. 3 and section 8 (median heuristic).
    """
    if n_kernels < 1 or n_kernels % 2 == 0:
        msg = f"`n_kernels` must be odd and positive, got {n_kernels}; the middle kernel has the given bandwidth."
        raise SettingError(msg)
    x, y = paired(x, y)
    x, y = (cells[subsample(len(cells), max_cells, seed=seed, stream=f"equal {k}")] for k, cells in enumerate((x, y)))
    middle = _read_bandwidth(bandwidth, x, y, seed=seed)
    widths = middle * 2.0 ** np.arange(-(n_kernels // 2), n_kernels // 2 + 1)
    scales = 2 * widths**2
    n, m = len(x), len(y)
    # The kernels of a cell with itself are exactly 1 each; they are taken off instead of skipped.
    within = (kernel_sum(x, x, scales) - n) / (n * (n - 1)) + (kernel_sum(y, y, scales) - m) / (m * (m - 1))
    return within - 2 * kernel_sum(x, y, scales) / (n * m)


def _read_bandwidth(bandwidth: float | str, x: Array, y: Array, *, seed: int) -> float:
    """Resolve the median heuristic; identical cells have no scale, so any bandwidth is right."""
    if bandwidth == "median":
        return median_distance(x, y, seed=seed) or 1.0
    if isinstance(bandwidth, str) or bandwidth <= 0:
        msg = f"`bandwidth` must be positive or 'median', got {bandwidth!r}; choose one of them."
        raise SettingError(msg)
    return float(bandwidth)


def squared_mean(pooled: Array) -> float:
    """Mean squared distance between different cells: twice the total unbiased variance."""
    return float(2 * pooled.var(axis=0, ddof=1).sum())


def kernel_sum(x: Array, y: Array, scales: Array) -> float:
    """Add up the mean of Gaussian kernels ``exp(-d^2 / scale)`` over all pairs."""
    total = 0.0
    for rows, squares in squared_distance_blocks(x, y):
        if x is y:
            squares[np.arange(len(squares)), np.arange(rows.start, rows.stop)] = 0.0
        # float32 halves the time of the exponentials; each is right to 1e-7.
        small = squares.astype(np.float32)
        total += sum(float(np.exp(small * np.float32(-1 / scale)).sum(dtype=np.float64)) for scale in scales)
    return total / len(scales)


def frechet_distance(x: Array, y: Array) -> float:
    r"""Compare means and covariances, as if both samples were Gaussian.

    .. math:: d^2 = \lVert \mu_x - \mu_y \rVert^2
        + \operatorname{tr}\left( S_x + S_y - 2 (S_x^{1/2} S_y S_x^{1/2})^{1/2} \right)

    Parameters
    ----------
    x, y
        Real and generated cells, shapes ``(N, F)`` and ``(M, F)``.

    Returns
    -------
    The squared distance, at least 0; biased upwards for few cells.

    References
    ----------
    Heusel et al. 2017, https://arxiv.org/abs/1706.08500, eq. 6; Dowson and Landau 1982.

    Examples
    --------
    >>> x = np.array([[0.0], [2.0]])
    >>> frechet_distance(x, x + 3.0)
    9.0
    """
    x, y = paired(x, y)
    shift = x.mean(axis=0) - y.mean(axis=0)
    cov_x, cov_y = (np.atleast_2d(np.cov(cells, rowvar=False)) for cells in (x, y))
    values, vectors = np.linalg.eigh(cov_x)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_y @ root), 0)).sum()
    return max(float(shift @ shift + np.trace(cov_x) + np.trace(cov_y) - 2 * shared), 0.0)
