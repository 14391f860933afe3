from __future__ import annotations

import numpy as np
import pytest

from scdiffuse._core.errors import SettingError
from scdiffuse.cells import Batches, Blocks


def test_an_epoch_sees_each_cell_once() -> None:
    batches = Batches(12, 4, seed=0)
    assert batches.steps_per_epoch == 3
    assert sorted(np.concatenate([batches.at(step) for step in range(3)])) == list(range(12))


def test_a_step_is_the_same_however_one_gets_there() -> None:
    walked, jumped = Batches(50, 8, seed=1), Batches(50, 8, seed=1)
    integrate = [walked.at(step) for step in range(20)]
    assert np.array_equal(jumped.at(19), integrate[19])
    assert np.array_equal(jumped.at(3), integrate[3])


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


def test_neighbours_are_read_together_and_none_is_missed() -> None:
    batches = Batches(1003, 64, seed=0, blocks=Blocks(64, 4))
    buffers = list(batches.buffers(0, batches.steps_per_epoch))
    assert [buffer.size for buffer in buffers] == [256, 256, 256, 192]
    seen = np.concatenate(buffers)
    assert np.unique(seen).size == seen.size == 15 * 64
    for buffer in buffers[:3]:  # cells of the last one that fill no batch are left out
        assert np.count_nonzero(np.diff(np.sort(buffer)) > 1) <= 6


def test_cells_of_a_buffer_are_mixed() -> None:
    batches = Batches(4096, 64, seed=0, blocks=Blocks(256, 8))
    places = np.concatenate([np.searchsorted(np.sort(buffer), buffer) for buffer in batches.buffers(0, 64)])
    assert abs(np.corrcoef(places, np.arange(4096) % 2048)[0, 1]) < 0.05
    assert len({int(cell) // 256 for cell in batches.at(5)}) >= 8


def test_blocks_begin_elsewhere_in_each_epoch() -> None:
    batches = Batches(100, 10, seed=0, blocks=Blocks(10, 1))
    first = set(batches.at(0))
    assert not any(first == set(batches.at(step)) for step in range(10, 20))


@pytest.mark.parametrize("blocks", [None, Blocks(7, 3), Blocks(1000, 1), Blocks(1, 1), Blocks(2, 1)])
def test_a_step_in_the_middle_of_a_buffer_is_found_again(blocks: Blocks | None) -> None:
    walked = Batches(103, 4, seed=1, blocks=blocks)
    integrate = [walked.at(step) for step in range(60)]
    for step in (59, 0, 31, 30):
        assert np.array_equal(Batches(103, 4, seed=1, blocks=blocks).at(step), integrate[step])
        assert integrate[step].size == 4
    assert np.array_equal(np.concatenate(list(walked.buffers(13, 60))), np.concatenate(integrate[13:]))
    assert np.unique(np.concatenate(integrate[:25])).size == 100


@pytest.mark.parametrize(("n", "size", "blocks"), [(0, 4, None), (4, 0, None), (4, 4, (0, 1)), (4, 4, (1, 0))])
def test_nothing_to_batch_is_refused(n: int, size: int, blocks: tuple[int, int] | None) -> None:
    with pytest.raises(SettingError, match=f"at least 1, got {n} cells, {size} a step"):
        Batches(n, size, seed=0, blocks=blocks and Blocks(*blocks))
