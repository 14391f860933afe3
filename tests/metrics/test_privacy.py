"""Privacy: an honest generator scores the null, a memorising one does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from scdiffuse._core.errors import ConditionError, SettingError
from scdiffuse.metrics import (
    distance_to_closest_record,
    membership_inference,
    memorised_cells,
    nearest_neighbour_ratio,
)
from scdiffuse.metrics._attacks import Attack

N, WIDTH = 300, 6
Attacks: tuple[Attack, ...] = ("distance", "density", "classifier", "copula")


def draw(seed: int, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, WIDTH))


@pytest.fixture
def train() -> np.ndarray:
    return draw(1)


@pytest.fixture
def held_out() -> np.ndarray:
    return draw(2)


@pytest.fixture
def memorised(train: np.ndarray) -> np.ndarray:
    return train + 0.02 * draw(4)


def test_ratios_of_hand_computed_cells() -> None:
    train = np.array([[0.0], [4.0], [100.0]])
    score = nearest_neighbour_ratio(train, np.array([[2.0], [2.0]]), np.array([[1.0], [1.0]]))
    assert (score.value, score.null) == pytest.approx((1 / 3, 1.0))


def test_fresh_cells_have_the_ratio_of_held_out_cells(train: np.ndarray, held_out: np.ndarray) -> None:
    score = nearest_neighbour_ratio(train, held_out, draw(3))
    assert score.low <= score.null <= score.high


def test_memorised_cells_have_a_ratio_near_zero(train: np.ndarray, held_out: np.ndarray, memorised: np.ndarray) -> None:
    score = nearest_neighbour_ratio(train, held_out, memorised)
    assert score.high < 0.2 < score.null


def test_a_tenth_of_memorised_cells_is_seen_in_the_low_quantile(train: np.ndarray, held_out: np.ndarray) -> None:
    generated = np.concatenate([train[:60], draw(3, 540)])
    assert nearest_neighbour_ratio(train, held_out, generated).value == 0.0


def test_repeats_of_training_cells_count_as_memorised(held_out: np.ndarray, train: np.ndarray) -> None:
    assert nearest_neighbour_ratio(np.concatenate([train, train]), held_out, train).value == 0.0


def test_the_ratio_interval_holds_the_quantile_as_often_as_it_says(train: np.ndarray, held_out: np.ndarray) -> None:
    exact = nearest_neighbour_ratio(train, held_out, draw(99, 20_000), max_cells=20_000).value
    held = []
    for seed in range(100, 180):
        score = nearest_neighbour_ratio(train, held_out, draw(seed, 400))
        held.append(score.low <= exact <= score.high)
    assert np.mean(held) >= 0.9


def test_fresh_cells_are_as_close_to_either_side(train: np.ndarray, held_out: np.ndarray) -> None:
    score = distance_to_closest_record(train, held_out, draw(3))
    assert score.low <= score.null == 0.5 <= score.high


def test_memorised_cells_are_closer_to_training(train: np.ndarray, held_out: np.ndarray, memorised: np.ndarray) -> None:
    assert distance_to_closest_record(train, held_out, memorised).value == 1.0


def test_uneven_sides_do_not_look_like_copying(held_out: np.ndarray) -> None:
    score = distance_to_closest_record(draw(1, 3000), held_out, draw(3, 1000))
    assert score.value == pytest.approx(0.5, abs=0.07)


def test_ties_count_half() -> None:
    cells = np.array([[0.0], [1.0]])
    assert distance_to_closest_record(cells, cells, cells).value == 0.5


def test_the_fraction_has_the_wilson_interval(train: np.ndarray, held_out: np.ndarray, memorised: np.ndarray) -> None:
    # All of 300: the Wilson interval runs from n / (n + z^2) to 1.
    score = distance_to_closest_record(train, held_out, memorised)
    assert (score.low, score.high) == pytest.approx((300 / (300 + 1.959964**2), 1.0))


def test_equal_cells_tell_one_thing_together(train: np.ndarray, held_out: np.ndarray) -> None:
    # All of them lie on one training cell, and still they are one observation: the interval of 1 in 1.
    score = distance_to_closest_record(train, held_out, np.repeat(train[:1], 200, axis=0))
    assert score.value == 1.0
    assert (score.low, score.high) == pytest.approx((1 / (1 + 1.959964**2), 1.0))


def test_a_stricter_level_widens_the_interval(train: np.ndarray, held_out: np.ndarray) -> None:
    usual, strict = (distance_to_closest_record(train, held_out, draw(3), level=level) for level in (0.95, 0.999))
    assert strict.high - strict.low > usual.high - usual.low


def test_memorised_cells_are_counted_gene_by_gene() -> None:
    train = np.array([[1, 0, 2], [0, 3, 0]])
    generated = np.array([[1, 0, 2], [1, 2, 0], [0, 0, 0], [0, 3, 0]])
    score = memorised_cells(train, np.array([[0, 3, 0], [5, 0, 0]]), generated)
    assert (score.value, score.null) == (0.5, 0.5)


def test_empty_cells_are_not_memorised() -> None:
    assert memorised_cells(np.zeros((2, 2)), np.ones((1, 2)), np.zeros((3, 2))).value == 0.0


def test_memorised_cells_need_cells() -> None:
    with pytest.raises(SettingError, match="expected at least one of each"):
        memorised_cells(np.ones((2, 2)), np.ones((0, 2)), np.ones((1, 2)))


@pytest.mark.parametrize("attack", Attacks)
def test_no_attack_works_on_fresh_cells(train: np.ndarray, held_out: np.ndarray, attack: Attack) -> None:
    result = membership_inference(train, held_out, draw(3), reference=draw(5), attack=attack)
    assert result.low <= 0.5 <= result.high


@pytest.mark.parametrize("attack", [attack for attack in Attacks if attack != "copula"])
def test_every_attack_on_single_cells_works_on_memorised_cells(
    train: np.ndarray, held_out: np.ndarray, memorised: np.ndarray, attack: Attack
) -> None:
    assert membership_inference(train, held_out, memorised, reference=draw(5), attack=attack).low > 0.8


def test_the_copula_attack_sees_correlations_that_margins_and_distances_hide() -> None:
    """Members and non-members have the same margins; only members share the correlations of the generated cells."""
    stream = np.random.default_rng(0)
    mix = np.where(np.arange(40)[:, None] < 20, 1.0, 0.0) * np.ones((40, 40)) * 0.04 + np.eye(40)
    members, generated = (stream.multivariate_normal(np.zeros(40), mix @ mix.T, size=n) for n in (300, 600))
    scale = np.sqrt(np.diag(mix @ mix.T))
    held_out, reference = (stream.normal(size=(n, 40)) * scale for n in (300, 600))
    found = membership_inference(members, held_out, generated, reference=reference, attack="copula")
    assert found.low > 0.6


def test_the_density_attack_does_not_mistake_common_cells_for_members(held_out: np.ndarray) -> None:
    # Members sit in the tail: the distance attack then points the wrong way, the ratio does not.
    train = 2.0 * draw(1)
    generated = np.concatenate([train + 0.3 * draw(4), draw(3, 3 * N)])
    distance, density = (
        membership_inference(train, held_out, generated, reference=draw(5, 3 * N), attack=attack)
        for attack in ("distance", "density")
    )
    assert density.auc > distance.auc + 0.1


def donor_cells(donors: range, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells of donors who each lie elsewhere."""
    stream = np.random.default_rng(seed)
    names = np.repeat([f"d{k}" for k in donors], 40)
    centres = np.repeat(np.random.default_rng(7).normal(size=(20, WIDTH))[list(donors)], 40, axis=0)
    return centres + stream.normal(size=centres.shape), names


def test_membership_of_donors_is_inferred_from_their_cells() -> None:
    (train, members), (held_out, others) = donor_cells(range(8), 1), donor_cells(range(8, 16), 2)
    generated = train + 0.3 * np.random.default_rng(3).normal(size=train.shape)
    cells, donors = (
        membership_inference(train, held_out, generated, donors=names) for names in (None, (members, others))
    )
    assert donors.auc == 1.0 > cells.auc


def test_held_out_cells_of_training_donors_are_no_other_donors(train: np.ndarray, held_out: np.ndarray) -> None:
    names = np.repeat(["d1", "d2"], N // 2)
    with pytest.raises(ConditionError, match="2 training donors and 0 held-out donors that were not trained on"):
        membership_inference(train, held_out, train, donors=(names, names))


def test_single_donors_are_refused(train: np.ndarray, held_out: np.ndarray) -> None:
    with pytest.raises(ConditionError, match="at least two training and two held-out donors"):
        membership_inference(train, held_out, train, donors=(np.full(N, "d1"), np.full(N, "d2")))


def test_donors_must_be_one_a_cell(train: np.ndarray, held_out: np.ndarray) -> None:
    with pytest.raises(SettingError, match="pass one a cell"):
        membership_inference(train, held_out, train, donors=(np.array(["d1"]), np.array(["d2"])))


def test_an_attack_that_lacks_its_reference_is_refused(train: np.ndarray, held_out: np.ndarray) -> None:
    with pytest.raises(SettingError, match="compares with `reference` cells and got none"):
        membership_inference(train, held_out, train, attack="density")


def test_an_unknown_attack_is_refused(train: np.ndarray, held_out: np.ndarray) -> None:
    with pytest.raises(SettingError, match="expected one of distance, density, classifier, copula"):
        membership_inference(train, held_out, train, attack="unknown")  # type: ignore[arg-type]


def test_a_quantile_outside_its_range_is_refused(train: np.ndarray, held_out: np.ndarray) -> None:
    with pytest.raises(SettingError, match="`quantile` must lie between 0 and 1"):
        nearest_neighbour_ratio(train, held_out, train, quantile=1.5)


def test_copies_are_improbable(train: np.ndarray) -> None:
    counts = sparse.csr_matrix(np.random.default_rng(0).poisson(3, (60, 30)).astype(np.float32))
    found = memorised_cells(counts[:20], counts[20:40], counts[:20])
    assert found.value == 1.0
    assert found.p < 1e-6
