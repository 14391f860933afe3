"""Attacks on a generator: scores that are larger for cells which its output reveals as training cells."""

from __future__ import annotations

from typing import Literal

import numpy as np

from scdiffuse._core.errors import SettingError
from scdiffuse.metrics._feature_matrices import Array
from scdiffuse.metrics._neighbours import nearest

__all__ = ["ATTACKS", "Attack", "attack_scores", "check_attack"]

Attack = Literal["distance", "density", "classifier", "copula"]
ATTACKS: tuple[Attack, ...] = ("distance", "density", "classifier", "copula")
_N_COPULA_FEATURES = 100
_CELLS_PER_FEATURE = 3


def check_attack(attack: str, *, has_reference: bool) -> None:
    """Refuse an unknown attack, and one that lacks its reference cells.

    Parameters
    ----------
    attack
        Name of the attack.
    has_reference
        Whether the attacker holds other real cells.

    Raises
    ------
    SettingError
        If one of both is so.
    """
    if attack not in ATTACKS:
        msg = f"`attack` {attack!r} is unknown; expected one of {', '.join(ATTACKS)}."
        raise SettingError(msg)
    if not has_reference and attack != "distance":
        msg = f"The {attack!r} attack compares with `reference` cells and got none; pass some, or use 'distance'."
        raise SettingError(msg)


def attack_scores(candidates: Array, published: Array, known: Array, *, attack: Attack, seed: int) -> Array:
    """Score candidates by how much more the published cells speak for them than other real cells do.

    Parameters
    ----------
    candidates
        Features of the cells in question, shape ``(N, F)``.
    published
        Features of the generated cells, shape ``(M, F)``.
    known
        Features of real cells that the attacker holds, shape ``(R, F)``; the distance attack ignores them.
    attack
        One of `ATTACKS`.
    seed
        Grows the forest.

    Returns
    -------
    One score a candidate, larger for likely members, shape ``(N,)``.
    """
    if attack == "distance":
        return np.asarray(-nearest(candidates, published, k=1, itself=False)[0].ravel())
    if attack == "density":
        return _log_density_ratio(candidates, published, known)
    if attack == "copula":
        return _copula_log_ratio(candidates, published, known)
    return _classifier_scores(candidates, published, known, seed=seed)


def _log_density_ratio(candidates: Array, published: Array, known: Array) -> Array:
    """Log ratio of nearest-neighbour densities, per dimension; a smooth kernel would blur memorised cells."""
    near, usual = (nearest(candidates, cells, k=1, itself=False)[0].ravel() for cells in (published, known))
    tiny = np.finfo(np.float64).tiny
    return np.asarray(np.log(np.maximum(usual, tiny)) - np.log(np.maximum(near, tiny)))


def _classifier_scores(candidates: Array, published: Array, known: Array, *, seed: int) -> Array:
    """Probability of being generated, under a forest fitted on generated and reference cells."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        n_estimators=100, min_samples_leaf=2, class_weight="balanced", random_state=seed, n_jobs=2
    )
    features = np.concatenate([published, known])
    forest.fit(features, np.arange(len(features)) < len(published))
    forest.n_jobs = 1  # threads would add up the trees in the order in which they end, which changes the last bits
    return np.asarray(forest.predict_proba(candidates)[:, 1])


def _copula_log_ratio(candidates: Array, published: Array, known: Array) -> Array:
    """Log-likelihood ratio of two Gaussian copulas, one of the published and one of the known cells.

    Both see the normal scores of the most variable features, ranked in both samples together, so that the difference of
    two squared Mahalanobis distances holds margins and correlations alike.
    """
    pooled = np.concatenate([published, known])
    width = max(2, min(_N_COPULA_FEATURES, min(len(published), len(known)) // _CELLS_PER_FEATURE))
    chosen = np.sort(np.argsort(-pooled.var(axis=0), kind="stable")[:width])
    ordered = np.sort(pooled[:, chosen], axis=0)
    scores = _normal_scores(candidates[:, chosen], ordered)
    ratio = np.zeros(len(candidates))
    for sign, cells in ((1.0, published), (-1.0, known)):
        ratio += sign * _log_normal_density(scores, _normal_scores(cells[:, chosen], ordered))
    return ratio


def _normal_scores(values: Array, ordered: Array) -> Array:
    """Map values to normal quantiles of their middle rank among the ordered values, feature by feature."""
    from scipy.special import ndtri

    ranks = np.empty(values.shape)
    for column, own in enumerate(ordered.T):
        sides = [np.searchsorted(own, values[:, column], side=side) for side in ("left", "right")]
        ranks[:, column] = (sides[0] + sides[1] + 1) / 2
    return np.asarray(ndtri(ranks / (len(ordered) + 1)))


def _log_normal_density(values: Array, sample: Array) -> Array:
    """Log-density of a normal distribution with the mean and the shrunk covariance of a sample, up to a constant."""
    from sklearn.covariance import ledoit_wolf

    centre = sample.mean(axis=0)
    factor = np.linalg.cholesky(ledoit_wolf(sample)[0] + 1e-6 * np.eye(sample.shape[1]))
    whitened = np.linalg.solve(factor, (values - centre).T)
    return np.asarray(-0.5 * np.einsum("fn,fn->n", whitened, whitened) - np.log(np.diag(factor)).sum())
