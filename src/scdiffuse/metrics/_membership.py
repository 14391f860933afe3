"""Membership inference: whether generated cells reveal which cells, or which donors, a generator was fitted to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError, SettingError
from scdiffuse._core.random import generator
from scdiffuse.metrics._attacks import Attack, attack_scores, check_attack
from scdiffuse.metrics._exact_tests import clopper_pearson, donor_auc_interval, permutation_test, tail_p_value
from scdiffuse.metrics._feature_matrices import Array, paired, subsample
from scdiffuse.metrics._two_sample import AucInterval, delong_interval

__all__ = [
    "DonorScore",
    "DonorScores",
    "TailRate",
    "centred_by_donor",
    "donor_membership",
    "membership_inference",
    "true_positive_rate",
]

_N_DRAWS = 20


class TailRate(NamedTuple):
    """True positive rate of an attack at a low false positive rate."""

    rate: float
    low: float
    """Lower end of the interval, which covers the uncertainty of the threshold too."""
    high: float
    p: float
    """Probability of so many true positives without a leak."""


class DonorScores(NamedTuple):
    """Scores of all cells of each donor in question."""

    scores: Array
    """One a cell, shape ``(N,)``."""
    donors: NDArray[np.str_]
    """One a cell, shape ``(N,)``."""
    members: frozenset[str]
    """The donors that the generator was fitted to."""


class DonorScore(NamedTuple):
    """How well an attack tells member donors from others."""

    auc: float
    low: float
    high: float
    p: float
    """Exact p-value over all ways to choose the member donors."""
    n_members: int
    n_others: int


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
    forest that separates generated from reference cells. ``"copula"`` scores it by the likelihood ratio of a Gaussian
    copula of the generated cells to one of the reference cells, that is by two Mahalanobis distances.

    Parameters
    ----------
    train, held_out
        Features of members and non-members, shapes ``(N, F)`` and ``(H, F)``, from one population.
    generated
        Features of the published cells, shape ``(M, F)``.
    reference
        Features of other real cells that the attacker holds, ``(R, F)``; required by all attacks but the first. With
        ``donors``, they must not come from the held-out donors alone.
    attack
        One of the four.
    donors
        Donor of each training cell and of each held-out cell: then scores are averaged by donor, and whole donors are
        attacked. Held-out cells of training donors take no part.
    max_cells
        At most this many cells of each sample are used.
    seed
        Chooses cells and grows the forest.

    Returns
    -------
    Area under the curve of members against non-members; .5 is safe. The interval is DeLong's for cells, Newcombe's
    score interval for donors.

    Raises
    ------
    SettingError
        If the attack is unknown or lacks its reference, or donors are not one a cell.
    ConditionError
        If a sample has fewer than two donors of its own.

    References
    ----------
    Chen et al. 2020, https://arxiv.org/abs/1909.03935 (distance); van Breugel et al. 2023,
    https://arxiv.org/abs/2302.12580, eq. 2 (density ratio, DOMIAS); Golob et al. 2026, "Privacy vulnerabilities in
    synthetic single-cell RNA-sequence data" (Mahalanobis distances under copulas).
    """
    check_attack(attack, has_reference=reference is not None)
    train, held_out = paired(train, held_out)
    generated = paired(train, generated)[1]
    rows = [
        subsample(len(cells), max_cells, seed=seed, stream=name)
        for name, cells in (("train", train), ("held out", held_out))
    ]
    known = generated if reference is None else paired(train, reference)[1]
    scores = attack_scores(
        np.concatenate([train[rows[0]], held_out[rows[1]]]),
        generated[subsample(len(generated), max_cells, seed=seed, stream="generated")],
        known[subsample(len(known), max_cells, seed=seed, stream="reference")],
        attack=attack,
        seed=seed,
    )
    is_member = np.arange(len(scores)) < len(rows[0])
    if donors is None:
        return delong_interval(is_member, scores)
    names = _checked_donors(donors, (len(train), len(held_out)))
    cells = np.concatenate([names[0][rows[0]], names[1][rows[1]]])
    members = frozenset(cells[is_member].tolist())
    kept = is_member | ~np.isin(cells, list(members))
    found = donor_membership(DonorScores(scores[kept], cells[kept], members), seed=seed)
    return AucInterval(found.auc, found.low, found.high)


def _checked_donors(donors: tuple[Array, Array], sizes: tuple[int, int]) -> list[NDArray[np.str_]]:
    """Check that donors are one a cell, and that either side has two of its own."""
    names = [np.asarray(side).astype(str) for side in donors]
    if (len(names[0]), len(names[1])) != sizes:
        msg = (
            f"Got {len(names[0])} and {len(names[1])} donors for {sizes[0]} training and {sizes[1]} held-out cells; "
            "pass one a cell."
        )
        raise SettingError(msg)
    return names


def donor_membership(cells: DonorScores, *, n_cells: int | None = None, seed: int = 0) -> DonorScore:
    """Infer membership of donors from the mean score of their cells.

    Parameters
    ----------
    cells
        Scores and donors of the cells.
    n_cells
        Cells of a donor that the attacker holds: many draws of so many are averaged. All of them if not given.
    seed
        Draws cells, and permutations where there are too many donors to go through all.

    Returns
    -------
    Area under the curve over donors, Newcombe's score interval, the permutation p-value, and the numbers of donors.

    Raises
    ------
    ConditionError
        If there are fewer than two donors of a kind, or a donor has fewer than ``n_cells`` cells.
    """
    names, code, sizes = np.unique(cells.donors, return_inverse=True, return_counts=True)
    is_member = np.isin(names, list(cells.members))
    m, n = int(is_member.sum()), int((~is_member).sum())
    if min(m, n) < 2:
        msg = (
            f"Got {m} training donors and {n} held-out donors that were not trained on; donor-level inference needs at "
            "least two training and two held-out donors. Hold out more donors."
        )
        raise ConditionError(msg)
    if n_cells is not None and sizes.min() < n_cells:
        msg = f"Donor {names[sizes.argmin()]!r} has {sizes.min()} cells, expected {n_cells}, which the attacker holds."
        raise ConditionError(msg)
    if n_cells is None:
        means = np.bincount(code, weights=cells.scores)[None] / sizes
    else:
        means = _drawn_means(cells.scores, code, n_cells=n_cells, seed=seed)
    gaps = means[:, :, None] - means[:, None, :]
    wins = ((gaps > 0) + 0.5 * (gaps == 0)).mean(axis=0)
    auc, p = permutation_test(wins, is_member, seed=seed)
    return DonorScore(auc, *donor_auc_interval(auc, m, n), p, m, n)


def _drawn_means(scores: Array, code: NDArray[np.int64], *, n_cells: int, seed: int) -> Array:
    """Average random cells of each donor, over and over; shape ``(draws, donors)``."""
    stream = generator(seed, "metrics", f"attackers with {n_cells} cells")
    rows = [np.flatnonzero(code == donor) for donor in range(code.max() + 1)]
    return np.array(
        [[scores[stream.choice(own, size=n_cells, replace=False)].mean() for own in rows] for _ in range(_N_DRAWS)]
    )


def true_positive_rate(members: Array, others: Array, *, fpr: float, level: float = 0.95) -> TailRate:
    """Measure the fraction of members above the threshold that only a few non-members exceed.

    An attacker who is certain of few cells is a leak that an area under the curve hides.

    Parameters
    ----------
    members, others
        Scores of both, shapes ``(N,)`` and ``(H,)``.
    fpr
        Fraction of non-members above the threshold.
    level
        Confidence of the interval.

    Returns
    -------
    The true positive rate. Its interval joins that of the threshold, from ranks, and the exact one of the fraction,
    each at half of the allowed error; the p-value is exact.

    Raises
    ------
    SettingError
        If ``fpr`` of the non-members is less than one cell.

    References
    ----------
    Carlini et al. 2022, https://arxiv.org/abs/2112.03570, section 4.
    """
    from scipy.stats import binom

    n, null_n = len(members), len(others)
    rank = int(np.floor(fpr * null_n + 1e-9))
    if not rank:
        msg = f"{null_n} held-out cells leave less than one above a threshold of {fpr:.1%}; it takes {1 / fpr:,.0f}."
        raise SettingError(msg)
    ordered = np.sort(others)[::-1]
    half = 1 - (1 - level) / 2
    ranks = binom.ppf([(1 - half) / 2, (1 + half) / 2], null_n, fpr).astype(int)

    def above(place: int) -> int:
        return int((members > ordered[place - 1]).sum()) if place else 0

    hits = above(rank)
    low = clopper_pearson(above(int(ranks[0])), n, level=half)[0]
    high = clopper_pearson(above(min(int(ranks[1]) + 1, null_n)), n, level=half)[1]
    return TailRate(hits / n, low, high, tail_p_value((hits, n), (rank, null_n)))


def centred_by_donor(
    scores: tuple[Array, Array], donors: tuple[NDArray[np.str_], NDArray[np.str_]]
) -> tuple[Array, Array]:
    """Take the median of each donor out of the scores of members and controls of the same donors.

    Parameters
    ----------
    scores, donors
        Of members and of controls.

    Returns
    -------
    Scores that differences between donors no longer decide.
    """
    pooled, names = np.concatenate(scores), np.concatenate(donors)
    for name in np.unique(names):
        pooled[names == name] -= np.median(pooled[names == name])
    return pooled[: len(scores[0])], pooled[len(scores[0]) :]
