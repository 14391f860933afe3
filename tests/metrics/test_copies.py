"""Copies of training cells: exact ones by a hash, near ones by their tail."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import multinomial

from scdiffuse._core.errors import SettingError
from scdiffuse.metrics._copies import exact_copies, fingerprints, near_copies


def counts_of(n: int, *, seed: int, mean: float = 2.0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(mean, size=(n, 60)).astype(np.float32)


def test_the_hash_does_not_depend_on_the_order_of_storage() -> None:
    counts = sparse.csr_matrix(np.array([[0, 2.0, 3.0, 0]]))
    turned = sparse.csr_matrix((counts.data[::-1], counts.indices[::-1], counts.indptr), shape=counts.shape)
    explicit = sparse.csr_matrix((np.array([0.0, 2, 1, 2]), [0, 1, 2, 2], [0, 4]), shape=(1, 4))
    for other in (turned, explicit):
        assert fingerprints(other).hashes == fingerprints(counts).hashes
    assert fingerprints(sparse.csr_matrix(np.array([[0, 3.0, 2.0, 0]]))).hashes != fingerprints(counts).hashes


def test_no_profile_gives_the_counts_more_often_than_the_bound() -> None:
    counts = np.array([3, 1, 0, 2])
    bound = fingerprints(counts[None]).log_chance[0]
    assert bound == pytest.approx(multinomial.logpmf(counts, 6, counts / 6))
    assert bound > multinomial.logpmf(counts, 6, np.full(4, 0.25))


def test_one_deep_copy_is_significant_and_found_at_its_source() -> None:
    train, held_out, generated = (counts_of(n, seed=seed) for seed, n in enumerate((300, 20, 2000)))
    generated[1234] = train[17]
    found = exact_copies(*(fingerprints(cells) for cells in (train, held_out, generated)))
    assert (found.n_copies, found.sources.tolist()) == (1, [17])
    assert found.p < 1e-5


def test_shallow_cells_that_are_equal_by_chance_are_no_copies() -> None:
    train, held_out, generated = (counts_of(500, seed=seed, mean=0.02) for seed in range(3))
    found = exact_copies(*(fingerprints(cells) for cells in (train, held_out, generated)))
    assert found.n_copies > 50
    assert found.p > 0.001


def test_cells_that_the_data_hold_twice_are_the_null() -> None:
    train = counts_of(500, seed=0)
    held_out, generated = counts_of(400, seed=1), counts_of(400, seed=2)
    held_out[:40], generated[:40] = train[:40], train[40:80]
    found = exact_copies(*(fingerprints(cells) for cells in (train, held_out, generated)))
    assert found.null == found.value == 0.1
    assert found.p > 0.1


def sides(*samples: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Components and log-normalised genes; all genes are components, because they are few."""
    logs = [np.log1p(1e4 * cells / cells.sum(axis=1, keepdims=True)) for cells in samples]
    return [(cells, cells) for cells in logs]


def test_near_copies_are_found_with_their_sources() -> None:
    train, held_out, generated = (counts_of(n, seed=seed) for seed, n in enumerate((600, 200, 600)))
    stream = np.random.default_rng(3)
    generated[:18] = stream.binomial(train[100:118].astype(int), 0.95) + stream.poisson(0.1, (18, 60))
    found = near_copies(*sides(train, held_out, generated))
    assert found.p < 1e-5
    assert set(found.sources.tolist()) <= set(range(100, 118))


def test_fresh_cells_are_no_near_copies() -> None:
    found = near_copies(*sides(*(counts_of(n, seed=seed) for seed, n in enumerate((600, 200, 600)))))
    assert found.p > 0.01


def test_copies_are_found_among_training_cells_given_twice() -> None:
    train, held_out, generated = (counts_of(n, seed=seed) for seed, n in enumerate((600, 200, 600)))
    generated[:30] = train[:30]
    assert near_copies(*sides(np.concatenate([train, train]), held_out, generated)).p < 1e-10


@pytest.mark.parametrize(("n", "times"), [(2, 1), (1, 20)])
def test_fewer_than_three_different_training_cells_are_refused(n: int, times: int) -> None:
    train = np.repeat(counts_of(n, seed=0), times, axis=0)
    with pytest.raises(SettingError, match="training cells differ; expected at least 3"):
        near_copies(*sides(train, counts_of(30, seed=1), counts_of(30, seed=2)))
