"""Registered privacy metrics of donors: membership inference of whole donors, and what likeness of donors explains."""

from __future__ import annotations

from functools import partial

import numpy as np

from scdiffuse.metrics import _exact_tests, _membership
from scdiffuse.metrics._attacks import Attack
from scdiffuse.metrics._metric import Metric, Score
from scdiffuse.metrics._privacy_roles import donor_scores, untrained_scores
from scdiffuse.metrics._sample_pair import SamplePair
from scdiffuse.metrics._two_sample import delong_interval

__all__ = ["DONORS"]

_ALPHA = 0.01
_OWN = "this package; defined in the function's docstring"
_DOMIAS = "van Breugel et al. 2023, arXiv:2302.12580, eq. 2"
_COPULA = "Golob et al. 2026, Privacy vulnerabilities in synthetic single-cell RNA-sequence data"


def _donor_difference(pair: SamplePair) -> Score:
    """Separate two kinds of cells that were not trained on, which only donor difference can do."""
    own, others = untrained_scores(pair, "classifier")
    truth = np.arange(len(own) + len(others)) < len(own)
    auc, low, high = delong_interval(truth, np.concatenate([own, others]))
    sizes = (("held-out cells of training donors", len(own)), ("cells of other donors", len(others)))
    return Score(auc, low, high, p=1.0, null=0.5, sizes=sizes)


def _donor_auc(attack: Attack, pair: SamplePair, *, n_cells: int | None = None, trained: bool = True) -> Score:
    """Infer membership of whole donors."""
    cells = donor_scores(pair, attack, trained=trained)
    found = _membership.donor_membership(cells, n_cells=n_cells, seed=pair.seed)
    m, n = found.n_members, found.n_others
    least = _exact_tests.smallest_permutation_p(m, n)
    doubt = ""
    if least > _ALPHA:
        doubt = f"too few donors to tell: p is {least:.2g} at best for {m} training donors against {n} others"
    sizes = (("training donors", m), ("other donors", n), ("cells", len(cells.scores)))
    return Score(found.auc, found.low, found.high, p=found.p if trained else 1.0, null=0.5, doubt=doubt, sizes=sizes)


_donated = partial(
    Metric,
    group="privacy",
    cost="cheap",
    space="pcs",
    needs=frozenset({"train", "reference", "donors"}),
    better="lower",
    target=0.5,
    range=(0.0, 1.0),
)
_tested = partial(_donated, alpha=_ALPHA)

DONORS: tuple[Metric, ...] = (
    _donated(
        name="donor_difference",
        title="held-out cells of training donors against cells of other donors, by a classifier",
        source=_OWN,
        cost="moderate",
        alpha=0.0,
        compute=_donor_difference,
    ),
    _tested(
        name="donor_membership_distance",
        title="donor-level membership inference from the distance to generated cells",
        source="Chen et al. 2020, arXiv:1909.03935, averaged by donor",
        needs=frozenset({"train", "donors"}),
        compute=partial(_donor_auc, "distance"),
    ),
    _tested(
        name="donor_membership_density",
        title="donor-level membership inference from the density ratio",
        source=f"{_DOMIAS}, averaged by donor",
        compute=partial(_donor_auc, "density"),
    ),
    _tested(
        name="donor_membership_copula",
        title="donor-level membership inference by copulas",
        source=f"{_COPULA}, averaged by donor",
        space="genes",
        compute=partial(_donor_auc, "copula"),
    ),
    *(
        _tested(
            name=f"donor_membership_{n_cells}",
            title=f"donor-level membership inference by copulas, {n_cells} cell{'s' * (n_cells > 1)} of each donor",
            source=f"{_COPULA}, averaged by donor",
            space="genes",
            compute=partial(_donor_auc, "copula", n_cells=n_cells),
        )
        for n_cells in (1, 10, 100)
    ),
    _donated(
        name="donor_membership_untrained",
        title="the same by copulas, from held-out cells of training donors",
        source=f"{_COPULA}, averaged by donor",
        space="genes",
        alpha=0.0,
        compute=partial(_donor_auc, "copula", trained=False),
    ),
)
