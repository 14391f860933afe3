from __future__ import annotations

import numpy as np
import pytest

from scdiffusion._core.errors import SettingError
from scdiffusion.cells import Batches


def test_an_epoch_sees_each_cell_once() -> None:
    batches = Batches(12, 4, seed=0)
    assert batches.steps_per_epoch == 3
    assert sorted(np.concatenate([batches.at(step) for step in range(3)])) == list(range(12))


def test_a_step_is_the_same_however_one_gets_there() -> None:
    walked, jumped = Batches(50, 8, seed=1), Batches(50, 8, seed=1)
    walk = [walked.at(step) for step in range(20)]
    assert np.array_equal(jumped.at(19), walk[19])
    assert np.array_equal(jumped.at(3), walk[3])


def test_epochs_and_seeds_differ() -> None:
    batches = Batches(64, 64, seed=0)
    assert not np.array_equal(batches.at(0), batches.at(1))
    assert not np.array_equal(batches.at(0), Batches(64, 64, seed=1).at(0))


def test_the_last_short_batch_is_dropped() -> None:
    batches = Batches(10, 4, seed=0)
    assert {batches.at(step).size for step in range(9)} == {4}


def test_few_cells_are_one_batch() -> None:
    batches = Batches(3, 100, seed=0)
    assert sorted(batches.at(5)) == [0, 1, 2]


def test_neighbours_stay_together_and_none_is_missed() -> None:
    batches = Batches(1003, 64, seed=0, run=16)
    seen = np.concatenate([batches.at(step) for step in range(batches.steps_per_epoch)])
    assert np.unique(seen).size == seen.size == 15 * 64
    assert np.mean(np.diff(seen) == 1) > 0.9
    assert not np.array_equal(batches.at(0), batches.at(batches.steps_per_epoch))


@pytest.mark.parametrize(("n", "size", "run"), [(0, 4, 1), (4, 0, 1), (4, 4, 0)])
def test_nothing_to_batch_is_refused(n: int, size: int, run: int) -> None:
    with pytest.raises(SettingError, match=f"at least 1, got {n}, {size} and {run}"):
        Batches(n, size, seed=0, run=run)
