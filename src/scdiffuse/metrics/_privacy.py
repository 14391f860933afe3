"""Memorised training cells: distances of generated cells to training cells, against held-out cells as the null."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scdiffuse._core.errors import SettingError
from scdiffuse.metrics._copies import exact_copies, fingerprints
from scdiffuse.metrics._exact_tests import tail_p_value
from scdiffuse.metrics._feature_matrices import Array, Counts, paired, subsample
from scdiffuse.metrics._neighbours import nearest

__all__ = [
    "MemorisationScore",
    "distance_to_closest_record",
    "memorised_cells",
    "nearest_neighbour_ratio",
]


class MemorisationScore(NamedTuple):
    """A measure of memorisation, with the same measure for held-out cells as the null."""

    value: float
    null: float
    """The same measure for held-out cells, or its value without memorisation."""
    low: float
    """Lower end of the 95 % interval of the value."""
    high: float
    p: float = 1.0
    """Probability of as much without memorisation."""


def nearest_neighbour_ratio(
    train: Array, held_out: Array, generated: Array, *, quantile: float = 0.05, max_cells: int = 5000, seed: int = 0
) -> MemorisationScore:
    """Compare each cell's distance to its nearest training cell with that to the second nearest.

    A memorised training cell lies on one training cell and far from the next, so its ratio is near 0.

    Parameters
    ----------
    train, held_out, generated
        Features in one space, shapes ``(N, F)``, ``(H, F)`` and ``(M, F)``.
    quantile
        The low quantile that is reported, because a mean hides a few memorised cells.
    max_cells
        At most this many held-out and generated cells are used; the training cells are all searched.
    seed
        Chooses the cells where there are more.

    Returns
    -------
    Quantile of the generated cells' ratios, 0..1, the held-out cells' as null, the distribution-free interval from
    order statistics, and the exact p-value of as many generated cells below the null.

    Raises
    ------
    SettingError
        If the quantile is outside 0..1 or cells are missing.

    References
    ----------
    Zhao et al. 2021, https://arxiv.org/abs/2102.08369, section 4.3 (NNDR, 5th percentile).
    """
    if not 0 < quantile < 1:
        msg = f"`quantile` must lie between 0 and 1, got {quantile}; .05 is usual."
        raise SettingError(msg)
    train, held_out, generated = _checked(train, held_out, generated)
    ratios = [
        np.sort(_ratios(train, cells[subsample(len(cells), max_cells, seed=seed, stream=name)]))
        for name, cells in (("generated", generated), ("held out", held_out))
    ]
    low, high = _quantile_interval(ratios[0], quantile)
    values = [float(np.quantile(ratio, quantile)) for ratio in ratios]
    rank = max(int(quantile * len(ratios[1])), 1)
    below = int(np.searchsorted(ratios[0], ratios[1][rank - 1], side="left"))
    p = tail_p_value((below, len(ratios[0])), (rank, len(ratios[1])))
    return MemorisationScore(values[0], values[1], low, high, p)


def _checked(train: Array, held_out: Array, generated: Array) -> tuple[Array, Array, Array]:
    """Check three feature matrices against each other."""
    train, held_out = paired(train, held_out)
    return train, held_out, paired(train, generated)[1]


def _ratios(train: Array, cells: Array) -> Array:
    """Nearest over second nearest distance; a cell on two equal training cells counts as memorised."""
    distances, _ = nearest(cells, train, k=2, itself=False)
    first, second = distances.T
    return np.asarray(np.divide(first, second, out=np.zeros_like(first), where=second > 0))


def _quantile_interval(ordered: Array, quantile: float) -> tuple[float, float]:
    """95 % interval of a quantile from binomial ranks."""
    from scipy.stats import binom

    n = len(ordered)
    low, high = binom.ppf([0.025, 0.975], n, quantile).astype(int)
    return float(ordered[max(low - 1, 0)]), float(ordered[min(high, n - 1)])


def distance_to_closest_record(
    train: Array,
    held_out: Array,
    generated: Array,
    *,
    max_cells: int = 5000,
    level: float = 0.95,
    seed: int = 0,
) -> MemorisationScore:
    """Count how often a generated cell lies closer to a training cell than to any held-out cell.

    Parameters
    ----------
    train, held_out, generated
        Features in one space, shapes ``(N, F)``, ``(H, F)`` and ``(M, F)``; training and held-out cells must be a
        random split of one population.
    max_cells
        At most this many cells of each; training and held-out cells are brought to the same number.
    level
        Confidence of the interval.
    seed
        Chooses the cells.

    Returns
    -------
    Fraction closer to training cells, ties counted half, with the null .5, the Wilson interval and the p-value. Above
    .5 indicates memorisation. Generated cells with the same nearest real cell are one observation, because that cell is
    a training cell for all of them or for none: interval and test use Kish's effective number of real cells.

    References
    ----------
    Platzer and Reutterer 2021, https://doi.org/10.3389/fdata.2021.679939, section 3.2.
    """
    from scipy.stats import norm

    train, held_out, generated = _checked(train, held_out, generated)
    size = min(len(train), len(held_out), max_cells)
    train, held_out, generated = (
        cells[subsample(len(cells), limit, seed=seed, stream=name)]
        for name, cells, limit in (
            ("train", train, size),
            ("held out", held_out, size),
            ("generated", generated, max_cells),
        )
    )
    searches = [nearest(generated, cells, k=1, itself=False) for cells in (train, held_out)]
    to_train, to_held_out = (distances.ravel() for distances, _ in searches)
    closer = (to_train < to_held_out).sum() + 0.5 * (to_train == to_held_out).sum()
    fraction = float(closer / len(generated))
    places = [indices.ravel() for _, indices in searches]
    nearest_real = np.where(to_train < to_held_out, places[0], len(train) + places[1])
    shared = np.unique(nearest_real, return_counts=True)[1]
    n_effective = len(generated) ** 2 / float(shared @ shared)
    error = 0.5 / np.sqrt(n_effective)
    bounds = _wilson(fraction * n_effective, n_effective, level=level)
    return MemorisationScore(fraction, 0.5, *bounds, p=float(norm.sf((fraction - 0.5) / error)))


def _wilson(hits: float, n: float, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a fraction."""
    from scipy.stats import norm

    z = float(norm.ppf(0.5 + level / 2))
    fraction = hits / n
    centre = (fraction + z**2 / (2 * n)) / (1 + z**2 / n)
    width = z / (1 + z**2 / n) * np.sqrt(fraction * (1 - fraction) / n + z**2 / (4 * n**2))
    return max(float(centre - width), 0.0), min(float(centre + width), 1.0)


def memorised_cells(train: Counts, held_out: Counts, generated: Counts) -> MemorisationScore:
    """Count the generated cells whose counts equal those of a training cell, gene by gene.

    Parameters
    ----------
    train, held_out, generated
        Raw counts of the same genes, ``(N, G)``, ``(H, G)`` and ``(M, G)``; cells without counts never match.

    Returns
    -------
    Fraction of generated cells, the fraction of held-out cells as null (above 0 where real cells repeat), and the exact
    interval (Clopper and Pearson 1934).

    Raises
    ------
    SettingError
        If there are no generated or held-out cells.
    """
    found = exact_copies(*(fingerprints(cells) for cells in (train, held_out, generated)))
    return MemorisationScore(found.value, found.null, found.low, found.high, found.p)
