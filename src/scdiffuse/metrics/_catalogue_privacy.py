"""Registered privacy metrics: copies of training cells, and membership inference of cells and donors.

Each brings its own exact test against what held-out cells show, its numbers of cells, and what it cannot tell.
"""

from __future__ import annotations

from functools import partial
from math import inf

import numpy as np

from scdiffuse._core.errors import ConditionError
from scdiffuse.metrics import _copies, _exact_tests, _membership, _privacy
from scdiffuse.metrics._attacks import ATTACKS, Attack
from scdiffuse.metrics._catalogue_donors import DONORS
from scdiffuse.metrics._copies import CopyScore, Fingerprints
from scdiffuse.metrics._labelled_cells import frequent_labels
from scdiffuse.metrics._metric import Metric, Score
from scdiffuse.metrics._privacy_roles import cell_scores, find_roles
from scdiffuse.metrics._sample_pair import CellFeatures, SamplePair
from scdiffuse.metrics._two_sample import delong_interval

__all__ = ["PRIVACY", "copy_score"]

_TRAIN = frozenset({"train"})
_UNIT = (0.0, 1.0)
_OWN = "this package; defined in the function's docstring"
_ALPHA = 0.001
_LARGEST_MISSED_AUC = 0.6
_LARGEST_MISSED_FRACTION = 0.05
_TOO_FEW = "too few cells to tell"


def copy_score(
    found: CopyScore, *, features: tuple[tuple[str, float], ...] = (), null: str = "held-out cells"
) -> Score:
    """Turn a number of copies into the score of a metric.

    Parameters
    ----------
    found
        Copies among generated and among held-out cells.
    features
        Where the copies come from.
    null
        The real cells that the copies are compared with.

    Returns
    -------
    The score.
    """
    sizes = (
        ("copies", found.n_copies),
        ("generated cells", found.n_generated),
        (f"copies among {null}", found.n_held_out_copies),
        (null, found.n_held_out),
    )
    return Score(found.value, found.low, found.high, features, p=found.p, null=found.null, sizes=sizes)


def _exact(pair: SamplePair) -> Score:
    """Compute the fraction of generated cells that equal a training cell."""
    assert pair.train is not None
    found = _copies.exact_copies(*(_fingerprints(cells) for cells in (pair.train, pair.real, pair.generated)))
    return copy_score(found)


def _fingerprints(cells: CellFeatures) -> Fingerprints:
    return cells.cached("fingerprints", partial(_copies.fingerprints, cells.counts))


def _near(pair: SamplePair) -> Score:
    """Count near copies."""
    assert pair.train is not None
    samples = ((cells.pcs, cells.genes) for cells in (pair.train, pair.real, pair.generated))
    found = _copies.near_copies(*samples, max_cells=pair.max_cells, seed=pair.seed)
    score = copy_score(found, null="other real cells")
    least = _exact_tests.least_detectable_excess(found.n_generated, found.n_held_out, alpha=_ALPHA)
    if found.p < _ALPHA or least <= _LARGEST_MISSED_FRACTION:
        return score
    return score._replace(
        doubt=f"{_TOO_FEW}: {least:.0%} near copies would be missed ({found.n_held_out:,} real cells)"
    )


def _ratio(pair: SamplePair) -> Score:
    """Divide the low quantile of neighbour ratios by that of held-out cells."""
    assert pair.train is not None
    roles = find_roles(pair)
    members, held_out = pair.train.pcs[roles.members], pair.real.pcs[roles.held_out]
    score = _privacy.nearest_neighbour_ratio(
        members, held_out, pair.generated.pcs, max_cells=pair.max_cells, seed=pair.seed
    )
    if score.null <= 0:
        return Score(float("nan"))
    value, low, high = (one / score.null for one in (score.value, score.low, score.high))
    sizes = (("generated cells", min(pair.generated.n_cells, pair.max_cells)), ("held-out cells", len(held_out)))
    return Score(value, low, high, p=score.p, null=1.0, doubt=roles.doubt, sizes=sizes)


def _closest(pair: SamplePair) -> Score:
    """Compare distances to training cells with those to held-out cells of the same donors."""
    assert pair.train is not None
    roles = find_roles(pair)
    members, held_out = pair.train.pcs[roles.members], pair.real.pcs[roles.held_out]
    score = _privacy.distance_to_closest_record(
        members, held_out, pair.generated.pcs, max_cells=pair.max_cells, seed=pair.seed
    )
    n_equal = min(len(members), len(held_out))
    sizes = (
        ("training cells", n_equal),
        ("held-out cells", n_equal),
        ("generated cells", min(pair.generated.n_cells, pair.max_cells)),
    )
    return Score(score.value, score.low, score.high, p=score.p, null=0.5, doubt=roles.doubt, sizes=sizes)


def _worst_memorisation(pair: SamplePair) -> Score:
    """Find the label memorised most; interval and p-value allow for the choice among the labels (Bonferroni)."""
    assert pair.train is not None
    if pair.train.labels is None:
        msg = "The training cells have no labels, expected one a cell. Give `train` the column that `by` names."
        raise ConditionError(msg)
    roles = find_roles(pair)
    sides = (pair.train.take_lazily(roles.members), pair.real.take_lazily(roles.held_out), pair.generated)
    labels = [cells.labels for cells in sides]
    shared = set.intersection(*(set(frequent_labels(side, min_cells=10)) for side in labels if side is not None))
    level = 1 - 0.05 / max(len(shared), 1)
    scores = {}
    for label in sorted(shared):
        cells = (side.pcs[side.labels == label] for side in sides)
        scores[label] = _privacy.distance_to_closest_record(
            *cells, level=level, max_cells=pair.max_cells, seed=pair.seed
        )
    if not scores:
        return Score(float("nan"))
    worst = sorted(scores.items(), key=lambda item: item[1].p)[:3]
    first = worst[0][1]
    features = tuple((label, score.value) for label, score in worst)
    p = min(first.p * len(shared), 1.0)
    sizes = (("labels", len(shared)), ("held-out cells", sides[1].n_cells), ("generated cells", sides[2].n_cells))
    return Score(first.value, first.low, first.high, features, p=p, null=0.5, doubt=roles.doubt, sizes=sizes)


def _membership_auc(attack: Attack, pair: SamplePair) -> Score:
    """Infer membership of single cells."""
    members, held_out = cell_scores(pair, attack)
    truth = np.arange(len(members) + len(held_out)) < len(members)
    auc, low, high = delong_interval(truth, np.concatenate([members, held_out]))
    m, n = len(members), len(held_out)
    p, missed = _exact_tests.auc_p_value(auc, m, n), _exact_tests.detectable_auc(m, n, alpha=_ALPHA)
    doubt = find_roles(pair).doubt
    if not doubt and p >= _ALPHA and missed > _LARGEST_MISSED_AUC:
        doubt = f"{_TOO_FEW}: an AUC below {min(missed, 1.0):.2f} would be missed ({_cells(n)})"
    return Score(auc, low, high, p=p, null=0.5, doubt=doubt, sizes=_sizes(pair, m, n))


def _membership_tail(fpr: float, pair: SamplePair) -> Score:
    """Take the attack that is surest of some cells; interval and p-value allow for the choice (Bonferroni)."""
    roles = find_roles(pair)
    n_held_out = len(roles.held_out)
    if n_held_out * fpr < 1:
        doubt = f"{_TOO_FEW}: a false positive rate of {fpr:.1%} takes {1 / fpr:,.0f} held-out cells ({n_held_out:,})"
        return Score(fpr, 0.0, 1.0, p=1.0, null=fpr, doubt=doubt, sizes=(("held-out cells", n_held_out),))
    found = {}
    for attack in ATTACKS:
        members, held_out = cell_scores(pair, attack)
        found[attack] = _membership.true_positive_rate(members, held_out, fpr=fpr, level=1 - 0.05 / len(ATTACKS))
    ranked = sorted(found.items(), key=lambda item: item[1].p)
    best = ranked[0][1]
    return Score(
        best.rate,
        best.low,
        best.high,
        tuple((f"attack by {attack}", rate.rate) for attack, rate in ranked),
        p=min(best.p * len(ATTACKS), 1.0),
        null=fpr,
        doubt=roles.doubt,
        sizes=_sizes(pair, len(members), len(held_out)),
    )


def _sizes(pair: SamplePair, n_members: int, n_held_out: int) -> tuple[tuple[str, int], ...]:
    return (
        ("training cells", n_members),
        ("held-out cells", n_held_out),
        ("generated cells", pair.generated.n_cells),
    )


def _cells(n_held_out: int) -> str:
    return f"{n_held_out:,} held-out cells"


_private = partial(Metric, group="privacy", cost="cheap", space="pcs", needs=_TRAIN, better="lower")
_attacked = partial(_private, target=0.5, range=_UNIT)
_DOMIAS = "van Breugel et al. 2023, arXiv:2302.12580, eq. 2"
_COPULA = "Golob et al. 2026, Privacy vulnerabilities in synthetic single-cell RNA-sequence data"
_CARLINI = "Carlini et al. 2022, arXiv:2112.03570, section 4"
_PLATZER = "Platzer and Reutterer 2021, doi:10.3389/fdata.2021.679939, section 3.2"
_REFERENCED = frozenset({"train", "reference"})

PRIVACY: tuple[Metric, ...] = (
    _private(
        name="memorised_cells",
        title="cells equal to a training cell",
        target=0.0,
        range=_UNIT,
        source=_OWN,
        space="counts",
        suite="quick",
        compute=_exact,
    ),
    _private(
        name="near_copies",
        title="near copies of a training cell, in the tail where they exceed held-out cells most",
        target=0.0,
        range=_UNIT,
        source=_OWN,
        space="genes",
        compute=_near,
    ),
    _private(
        name="nearest_neighbour_ratio",
        title="nearest over second nearest training cell, 5th percentile, over that of held-out cells",
        better="higher",
        target=1.0,
        range=(0.0, inf),
        source="Zhao et al. 2021, arXiv:2102.08369, section 4.3",
        suite="quick",
        compute=_ratio,
    ),
    _attacked(
        name="closest_record",
        title="cells closer to training than to held-out cells",
        source=_PLATZER,
        suite="quick",
        by_label=True,
        compute=_closest,
    ),
    _attacked(
        name="worst_label_closest_record",
        title="cells closer to training than to held-out cells, worst label",
        source=_PLATZER,
        suite="quick",
        needs=frozenset({"train", "labels"}),
        compute=_worst_memorisation,
    ),
    _attacked(
        name="membership_distance",
        title="membership inference from the distance to generated cells",
        source="Chen et al. 2020, arXiv:1909.03935",
        suite="quick",
        compute=partial(_membership_auc, "distance"),
    ),
    _attacked(
        name="membership_density",
        title="membership inference from the density ratio",
        source=_DOMIAS,
        needs=_REFERENCED,
        compute=partial(_membership_auc, "density"),
    ),
    _attacked(
        name="membership_classifier",
        title="membership inference by a classifier",
        source=_OWN,
        cost="moderate",
        needs=_REFERENCED,
        compute=partial(_membership_auc, "classifier"),
    ),
    _attacked(
        name="membership_copula",
        title="membership inference by the likelihood ratio of copulas",
        source=_COPULA,
        space="genes",
        needs=_REFERENCED,
        compute=partial(_membership_auc, "copula"),
    ),
    _private(
        name="membership_tpr_1",
        title="true positives of the surest attack at 1 % false positives",
        target=0.01,
        range=_UNIT,
        source=_CARLINI,
        cost="moderate",
        needs=_REFERENCED,
        compute=partial(_membership_tail, 0.01),
    ),
    _private(
        name="membership_tpr_01",
        title="true positives of the surest attack at .1 % false positives",
        target=0.001,
        range=_UNIT,
        source=_CARLINI,
        cost="moderate",
        needs=_REFERENCED,
        compute=partial(_membership_tail, 0.001),
    ),
    *DONORS,
)
