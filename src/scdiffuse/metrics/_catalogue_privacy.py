"""Registered privacy metrics: memorised training cells, and membership inference of cells and donors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf

from scdiffuse._core.errors import ConditionError
from scdiffuse.metrics import _privacy
from scdiffuse.metrics._labelled_cells import frequent_labels
from scdiffuse.metrics._metric import Metric, Score
from scdiffuse.metrics._privacy import Attack, MemorisationScore
from scdiffuse.metrics._sample_pair import SamplePair, labelled_cells

__all__ = ["PRIVACY"]

_TRAIN = frozenset({"train"})
_UNIT = (0.0, 1.0)
_OWN = "this package; defined in the function's docstring"


def _memorisation(function: Callable[..., MemorisationScore], pair: SamplePair) -> Score:
    """Measure memorisation in principal components."""
    assert pair.train is not None
    score = function(pair.train.pcs, pair.real.pcs, pair.generated.pcs, seed=pair.seed)
    return Score(score.value, score.low, score.high)


def _ratio(pair: SamplePair) -> Score:
    """Divide the low quantile of neighbour ratios by that of held-out cells."""
    assert pair.train is not None
    score = _privacy.nearest_neighbour_ratio(pair.train.pcs, pair.real.pcs, pair.generated.pcs, seed=pair.seed)
    if score.null <= 0:
        return Score(float("nan"))
    return Score(score.value / score.null, score.low / score.null, score.high / score.null)


def _exact(pair: SamplePair) -> Score:
    """Compute the fraction of memorised training cells beyond that among held-out cells."""
    assert pair.train is not None
    score = _privacy.memorised_cells(pair.train.counts, pair.real.counts, pair.generated.counts)
    return Score(score.value - score.null, score.low - score.null, score.high - score.null)


def _worst_memorisation(pair: SamplePair) -> Score:
    """Find the label memorised most; intervals are widened for the choice among the labels (Bonferroni)."""
    assert pair.train is not None
    if pair.train.labels is None:
        msg = "The training cells have no labels, expected one a cell. Give `train` the column that `by` names."
        raise ConditionError(msg)
    sides = [labelled_cells(cells) for cells in (pair.train, pair.real, pair.generated)]
    shared = set.intersection(*(set(frequent_labels(side.labels, min_cells=10)) for side in sides))
    level = 1 - 0.05 / max(len(shared), 1)
    scores = {}
    for label in sorted(shared):
        cells = (side.values[side.labels == label] for side in sides)
        scores[label] = _privacy.distance_to_closest_record(*cells, level=level, seed=pair.seed)
    if not scores:
        return Score(float("nan"))
    worst = sorted(scores.items(), key=lambda item: -item[1].low)[:3]
    first = worst[0][1]
    return Score(first.value, first.low, first.high, tuple((label, score.value) for label, score in worst))


def _membership(attack: Attack, pair: SamplePair, *, by_donor: bool = False) -> Score:
    """Infer membership of single cells, or of whole donors."""
    assert pair.train is not None
    donors = None
    if by_donor:
        assert pair.train.donors is not None
        assert pair.real.donors is not None
        donors = (pair.train.donors, pair.real.donors)
    return Score(
        *_privacy.membership_inference(
            pair.train.pcs,
            pair.real.pcs,
            pair.generated.pcs,
            reference=None if pair.reference is None or attack == "distance" else pair.reference.pcs,
            attack=attack,
            donors=donors,
            seed=pair.seed,
        )
    )


_private = partial(Metric, group="privacy", cost="cheap", space="pcs", needs=_TRAIN, better="lower")
_attacked = partial(_private, target=0.5, range=_UNIT)
_DOMIAS = "van Breugel et al. 2023, arXiv:2302.12580, eq. 2"
_REFERENCED = frozenset({"train", "reference"})

PRIVACY: tuple[Metric, ...] = (
    _private(
        name="memorised_cells",
        title="cells equal to a training cell, beyond held-out ones",
        target=0.0,
        range=(-1.0, 1.0),
        source=_OWN,
        space="counts",
        suite="quick",
        compute=_exact,
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
        source="Platzer and Reutterer 2021, doi:10.3389/fdata.2021.679939, section 3.2",
        suite="quick",
        by_label=True,
        compute=partial(_memorisation, _privacy.distance_to_closest_record),
    ),
    _attacked(
        name="worst_label_closest_record",
        title="cells closer to training than to held-out cells, worst label",
        source="Platzer and Reutterer 2021, doi:10.3389/fdata.2021.679939, section 3.2",
        suite="quick",
        needs=frozenset({"train", "labels"}),
        compute=_worst_memorisation,
    ),
    _attacked(
        name="membership_distance",
        title="membership inference from the distance to generated cells",
        source="Chen et al. 2020, arXiv:1909.03935",
        suite="quick",
        compute=partial(_membership, "distance"),
    ),
    _attacked(
        name="membership_density",
        title="membership inference from the density ratio",
        source=_DOMIAS,
        needs=_REFERENCED,
        compute=partial(_membership, "density"),
    ),
    _attacked(
        name="membership_classifier",
        title="membership inference by a classifier",
        source=_OWN,
        cost="moderate",
        needs=_REFERENCED,
        compute=partial(_membership, "classifier"),
    ),
    _attacked(
        name="donor_membership_distance",
        title="donor-level membership inference from the distance to generated cells",
        source="Chen et al. 2020, arXiv:1909.03935, averaged by donor",
        needs=frozenset({"train", "donors"}),
        compute=partial(_membership, "distance", by_donor=True),
    ),
    _attacked(
        name="donor_membership_density",
        title="donor-level membership inference from the density ratio",
        source=f"{_DOMIAS}, averaged by donor",
        needs=frozenset({"train", "reference", "donors"}),
        compute=partial(_membership, "density", by_donor=True),
    ),
)
