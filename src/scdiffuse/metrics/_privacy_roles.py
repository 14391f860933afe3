"""Who is who in an audit: training cells, held-out cells of the same donors, and cells of donors not trained on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError
from scdiffuse.metrics._attacks import Attack, attack_scores
from scdiffuse.metrics._feature_matrices import Array, subsample
from scdiffuse.metrics._membership import DonorScores, centred_by_donor
from scdiffuse.metrics._sample_pair import CellFeatures, SamplePair

__all__ = ["Roles", "cell_scores", "donor_scores", "find_roles", "untrained_scores"]

_NO_CONTROLS = "cannot tell membership from donor difference: no held-out cells are of training donors"
_MIN_REFERENCE = 40
_SPACES: dict[Attack, str] = {"distance": "pcs", "density": "pcs", "classifier": "pcs", "copula": "genes"}


class Roles(NamedTuple):
    """Rows of the cells in question."""

    members: NDArray[np.int64]
    """Training cells; with donors, those whose donor has held-out cells too, if there is any."""
    controls: NDArray[np.int64]
    """Held-out cells of the same donors; without donors, all held-out cells."""
    others: NDArray[np.int64]
    """Held-out cells of donors that were not trained on; none without donors."""
    confounded: bool
    """Whether every difference between training and held-out cells may be one between donors."""

    @property
    def held_out(self) -> NDArray[np.int64]:
        """Held-out cells that members are compared with: the controls, or others where there are none."""
        return self.others if self.confounded else self.controls

    @property
    def doubt(self) -> str:
        """What makes a difference say nothing of membership, if anything does."""
        return _NO_CONTROLS if self.confounded else ""


def find_roles(pair: SamplePair) -> Roles:
    """Divide training and held-out cells by donor.

    Parameters
    ----------
    pair
        The samples, with training cells.

    Returns
    -------
    The rows.
    """
    assert pair.train is not None
    train, held_out = (
        subsample(cells.n_cells, pair.max_cells, seed=pair.seed, stream=name)
        for name, cells in (("train", pair.train), ("held out", pair.real))
    )
    if pair.train.donors is None or pair.real.donors is None:
        return Roles(train, held_out, others=np.array([], dtype=np.int64), confounded=False)
    names = pair.train.donors[train], pair.real.donors[held_out]
    own = np.isin(names[1], names[0]) & (names[1] != "")
    shared = np.isin(names[0], names[1][own]) if own.any() else names[0] != ""
    others = held_out[~own & (names[1] != "")]
    return Roles(train[shared], held_out[own], others, confounded=not own.any())


def cell_scores(pair: SamplePair, attack: Attack) -> tuple[Array, Array]:
    """Score training cells and held-out cells by an attack; donors are compared within themselves.

    Parameters
    ----------
    pair
        The samples, with training cells, and reference cells for all attacks but that by distance.
    attack
        The attack.

    Returns
    -------
    Scores of members, and of held-out cells of the same donors where there are any.
    """
    members, controls, others = _all_scores(pair, attack)
    roles = find_roles(pair)
    if roles.confounded:
        return members, others
    assert pair.train is not None
    if pair.train.donors is None or pair.real.donors is None:
        return members, controls
    return centred_by_donor((members, controls), (pair.train.donors[roles.members], pair.real.donors[roles.controls]))


def untrained_scores(pair: SamplePair, attack: Attack) -> tuple[Array, Array]:
    """Score held-out cells of training donors, and cells of other donors: neither was trained on.

    Parameters
    ----------
    pair, attack
        As for `cell_scores`.

    Returns
    -------
    Scores of both.

    Raises
    ------
    ConditionError
        There are none of one kind.
    """
    _, controls, others = _all_scores(pair, attack)
    if min(len(controls), len(others)) < 2:
        msg = (
            f"Got {len(controls)} held-out cells of training donors and {len(others)} of other donors, expected both. "
            "Hold out whole donors, and some cells of the others."
        )
        raise ConditionError(msg)
    return controls, others


def _all_scores(pair: SamplePair, attack: Attack) -> tuple[Array, Array, Array]:
    """Score members, controls and others once for all metrics."""

    def build() -> tuple[Array, Array, Array]:
        roles = find_roles(pair)
        scores = _attack(pair, (roles.members, np.concatenate([roles.controls, roles.others])), attack, reference=None)
        ends = np.cumsum([len(roles.members), len(roles.controls)])
        members, controls, others = np.split(scores, ends)
        return members, controls, others

    return pair.cached(f"attack by {attack}", build)


def donor_scores(pair: SamplePair, attack: Attack, *, trained: bool = True) -> DonorScores:
    """Score the cells of every donor in question, with reference cells that favour no donor.

    Reference cells of a donor make his other cells look like no members. So they come from donors who are not in
    question, or in equal number from all who are.

    Parameters
    ----------
    pair
        The samples, with donors.
    attack
        The attack.
    trained
        Whether cells that were trained on stand for the training donors, or else their held-out cells.

    Returns
    -------
    Scores, donors and which of them are members.

    Raises
    ------
    ConditionError
        Reference cells cannot be balanced.
    """

    def build() -> DonorScores:
        assert pair.train is not None
        assert pair.train.donors is not None
        assert pair.real.donors is not None
        known = frozenset(pair.train.donors.tolist()) - {""}
        roles = find_roles(pair)
        if trained:
            members = subsample(pair.train.n_cells, pair.max_cells, seed=pair.seed, stream="train")
            names = pair.train.donors[members]
            rows = members[names != ""], roles.others
        else:
            rows = np.array([], dtype=np.int64), np.concatenate([roles.controls, roles.others])
        donors = np.concatenate([pair.train.donors[rows[0]], pair.real.donors[rows[1]]])
        reference, asked = (None, None) if attack == "distance" else _balanced(pair, donors)
        scores = _attack(pair, rows, attack, reference=reference)
        kept = np.ones(len(donors), dtype=bool) if asked is None else np.isin(donors, list(asked))
        return DonorScores(scores[kept], donors[kept], known)

    return pair.cached(f"attack on donors by {attack}, {trained}", build)


def _balanced(pair: SamplePair, donors: NDArray[np.str_]) -> tuple[NDArray[np.int64], frozenset[str] | None]:
    """Choose reference cells that favour no donor, and the donors whom they do not favour (none: all)."""
    assert pair.reference is not None
    names = pair.reference.donors
    if names is None:
        msg = "The reference cells have no donors, expected one a cell: they must not come from one kind of donor."
        raise ConditionError(msg)
    outside = np.flatnonzero(~np.isin(names, donors) & (names != ""))
    if len(outside) >= _MIN_REFERENCE:
        return outside, None
    inside, sizes = np.unique(names[np.isin(names, donors) & (names != "")], return_counts=True)
    if len(inside) and int(sizes.min()) * len(inside) >= _MIN_REFERENCE:
        rows = [np.flatnonzero(names == name)[: sizes.min()] for name in inside]
        return np.sort(np.concatenate(rows)), frozenset(inside.tolist())
    msg = (
        f"{len(outside)} reference cells are of donors that are not in question, expected {_MIN_REFERENCE}: comparing "
        "with cells of the held-out donors would make these look like no members. Hold out more donors."
    )
    raise ConditionError(msg)


def _attack(
    pair: SamplePair,
    rows: tuple[NDArray[np.int64], NDArray[np.int64]],
    attack: Attack,
    *,
    reference: NDArray[np.int64] | None,
) -> Array:
    """Run an attack on rows of the training and of the held-out cells."""
    assert pair.train is not None

    def space(cells: CellFeatures) -> Array:
        return np.asarray(getattr(cells, _SPACES[attack]))

    published = space(pair.generated)
    known = published if pair.reference is None else space(pair.reference)
    if reference is not None:
        known = known[reference]
    known = known[subsample(len(known), pair.max_cells, seed=pair.seed, stream="reference")]
    published = published[subsample(len(published), pair.max_cells, seed=pair.seed, stream="generated")]
    candidates = np.concatenate([space(pair.train)[rows[0]], space(pair.real)[rows[1]]])
    return attack_scores(candidates, published, known, attack=attack, seed=pair.seed)
