"""Privacy metrics: memorised training cells and membership inference, each against held-out cells as the null."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError, SettingError
from scdiffuse.metrics._feature_matrices import Array, Counts, as_csr, paired, subsample
from scdiffuse.metrics._neighbours import nearest
from scdiffuse.metrics._two_sample import AucInterval, delong_interval

__all__ = [
    "Attack",
    "MemorisationScore",
    "distance_to_closest_record",
    "membership_inference",
    "memorised_cells",
    "nearest_neighbour_ratio",
]

Attack = Literal["distance", "density", "classifier"]
_ATTACKS = ("distance", "density", "classifier")


class MemorisationScore(NamedTuple):
    """A measure of memorisation, with the same measure for held-out cells as the null."""

    value: float
    null: float
    """The same measure for held-out cells, or its value without memorisation."""
    low: float
    """Lower end of the 95 % interval of the value."""
    high: float


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
    Quantile of the generated cells' ratios, 0..1, the held-out cells' as null, and the distribution-free interval from
    order statistics.

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
    return MemorisationScore(values[0], values[1], low, high)


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
    Fraction closer to training cells, ties counted half, with the null .5 and the Wilson interval. Above .5 indicates
    memorisation. Equal generated cells are one observation: the interval uses Kish's effective number of cells.

    References
    ----------
    Platzer and Reutterer 2021, https://doi.org/10.3389/fdata.2021.679939, section 3.2.
    """
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
    to_train, to_held_out = (nearest(generated, cells, k=1, itself=False)[0].ravel() for cells in (train, held_out))
    closer = (to_train < to_held_out).sum() + 0.5 * (to_train == to_held_out).sum()
    fraction = float(closer / len(generated))
    # Rounded: equal cells may differ in the last bits of a projection.
    rounded = np.round(generated / (generated.std() or 1.0), 4)
    repeats = np.unique(rounded, axis=0, return_counts=True)[1]
    n_effective = len(generated) ** 2 / float(repeats @ repeats)
    return MemorisationScore(fraction, 0.5, *_wilson(fraction * n_effective, n_effective, level=level))


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
    Fraction of generated cells, the fraction of held-out cells as null (above 0 where real cells repeat), and the
    Wilson interval.

    Raises
    ------
    SettingError
        If there are no generated or held-out cells.
    """
    known = set(_fingerprints(train)) - {b""}
    matches = [[print_ in known for print_ in _fingerprints(cells)] for cells in (generated, held_out)]
    if not all(matches):
        msg = f"Got {len(matches[0])} generated and {len(matches[1])} held-out cells; expected at least one of each."
        raise SettingError(msg + " Pass cells to compare.")
    value, null = (float(np.mean(side)) for side in matches)
    return MemorisationScore(value, null, *_wilson(float(sum(matches[0])), len(matches[0])))


def _fingerprints(counts: Counts) -> list[bytes]:
    """Bytes that two rows share only when all their counts are equal; empty for an empty row."""
    matrix = as_csr(counts).copy()
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    indices, data, ends = matrix.indices.astype(np.int64), matrix.data.astype(np.float64), matrix.indptr
    return [indices[a:b].tobytes() + data[a:b].tobytes() for a, b in pairwise(ends)]


def membership_inference(
    train: Array,
    held_out: Array,
    generated: Array,
    *,
    reference: Array | None = None,
    attack: Attack = "distance",
    donors: tuple[Array, Array] | None = None,
    max_cells: int = 5000,
    seed: int = 0,
) -> AucInterval:
    """Attack the generator: infer from its cells alone which real cells it was fitted to (membership inference).

    ``"distance"`` scores a candidate by its closeness to the nearest generated cell. ``"density"`` scores it by the
    ratio of the density of generated cells to that of reference cells, both estimated from the nearest one, so that
    common cells do not look like members. ``"classifier"`` scores it by the probability of being generated, under a
    forest that separates generated from reference cells.

    Parameters
    ----------
    train, held_out
        Features of members and non-members, shapes ``(N, F)`` and ``(H, F)``, from one population.
    generated
        Features of the published cells, shape ``(M, F)``.
    reference
        Features of other real cells that the attacker holds, ``(R, F)``; required by the last two attacks.
    attack
        One of the three.
    donors
        Donor of each training cell and of each held-out cell: then scores are averaged by donor, and whole donors are
        attacked. No donor may be in both.
    max_cells
        At most this many cells of each sample are used; generated and reference cells equally many.
    seed
        Chooses cells and grows the forest.

    Returns
    -------
    Area under the curve of members against non-members with its DeLong interval; .5 is safe.

    Raises
    ------
    SettingError
        If the attack is unknown or lacks its reference, or donors are not one a cell.
    ConditionError
        If a donor is in both samples or a sample has fewer than two donors.

    References
    ----------
    Chen et al. 2020, https://arxiv.org/abs/1909.03935 (distance); van Breugel et al. 2023,
    https://arxiv.org/abs/2302.12580, eq. 2 (density ratio, DOMIAS).
    """
    if attack not in _ATTACKS:
        msg = f"`attack` {attack!r} is unknown; expected one of {', '.join(_ATTACKS)}."
        raise SettingError(msg)
    if reference is None and attack != "distance":
        msg = f"The {attack!r} attack compares with `reference` cells and got none; pass some, or use 'distance'."
        raise SettingError(msg)
    train, held_out, generated = _checked(train, held_out, generated)
    rows = [
        subsample(len(cells), max_cells, seed=seed, stream=name)
        for name, cells in (("train", train), ("held out", held_out))
    ]
    candidates = np.concatenate([train[rows[0]], held_out[rows[1]]])
    is_member = np.arange(len(candidates)) < len(rows[0])
    known = generated if reference is None else paired(train, reference)[1]
    size = min(len(generated), len(known), max_cells)
    published = generated[subsample(len(generated), size, seed=seed, stream="generated")]
    known = known[subsample(len(known), size, seed=seed, stream="reference")]
    if attack == "distance":
        scores = -nearest(candidates, published, k=1, itself=False)[0].ravel()
    elif attack == "density":
        scores = _log_density_ratio(candidates, published, known)
    else:
        scores = _classifier_scores(candidates, published, known, seed=seed)
    if donors is None:
        return delong_interval(is_member, scores)
    names = _checked_donors(donors, (len(train), len(held_out)))
    return _by_donor(scores, names[0][rows[0]], names[1][rows[1]])


def _log_density_ratio(candidates: Array, published: Array, known: Array) -> Array:
    """Log ratio of nearest-neighbour densities, per dimension; a smooth kernel would blur memorised cells."""
    near, usual = (nearest(candidates, cells, k=1, itself=False)[0].ravel() for cells in (published, known))
    tiny = np.finfo(np.float64).tiny
    return np.asarray(np.log(np.maximum(usual, tiny)) - np.log(np.maximum(near, tiny)))


def _classifier_scores(candidates: Array, published: Array, known: Array, *, seed: int) -> Array:
    """Probability of being generated, under a forest fitted on generated and reference cells."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(n_estimators=100, min_samples_leaf=2, random_state=seed, n_jobs=2)
    features = np.concatenate([published, known])
    forest.fit(features, np.arange(len(features)) < len(published))
    return np.asarray(forest.predict_proba(candidates)[:, 1])


def _checked_donors(donors: tuple[Array, Array], sizes: tuple[int, int]) -> list[NDArray[np.str_]]:
    """Check that donors are one a cell, apart, and at least two on each side."""
    names = [np.asarray(side).astype(str) for side in donors]
    if (len(names[0]), len(names[1])) != sizes:
        msg = (
            f"Got {len(names[0])} and {len(names[1])} donors for {sizes[0]} training and {sizes[1]} held-out cells; "
            "pass one a cell."
        )
        raise SettingError(msg)
    both = sorted(set(names[0]) & set(names[1]))
    if both:
        msg = (
            f"Donors {', '.join(both[:5])} are among both training and held-out cells; expected whole donors held out. "
            "Split by donor, or audit cells without `donors`."
        )
        raise ConditionError(msg)
    if min(len(set(side)) for side in names) < 2:
        msg = "Donor-level inference needs at least two training and two held-out donors; hold out more donors."
        raise ConditionError(msg)
    return names


def _by_donor(scores: Array, members: NDArray[np.str_], others: NDArray[np.str_]) -> AucInterval:
    """Infer membership of donors from the mean score of their cells."""
    cells = np.concatenate([members, others])
    names = np.unique(cells)
    means = np.array([scores[cells == name].mean() for name in names])
    return delong_interval(np.isin(names, np.unique(members)), means)
