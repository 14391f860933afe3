from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from scdiffuse._core.random import (
    Draws,
    cell_keys,
    cell_normals,
    cell_uniforms,
    generator,
    keyed_generators,
    noise_ids_of,
)

CELLS = np.arange(4000)
GOLDEN_NORMALS = [[0.7491689324378967, -0.12139518558979034], [0.09354003518819809, -1.3364527225494385]]
GOLDEN_INTEGER = 941303


def test_the_same_seed_and_stream_give_the_same_numbers() -> None:
    assert np.array_equal(generator(3, "batches", 1).random(5), generator(3, "batches", 1).random(5))


@pytest.mark.parametrize("other", [(4, "batches", 1), (3, "noise", 1), (3, "batches", 2), (3, "batches", "1")])
def test_another_seed_or_stream_gives_other_numbers(other: tuple[int, str, int]) -> None:
    assert generator(3, "batches", 1).random() != generator(*other).random()


def test_numbers_are_the_same_in_every_process_and_version() -> None:
    normals = cell_normals(0, "noise", np.array([0, 10**6]), 2)
    assert normals == pytest.approx(np.array(GOLDEN_NORMALS), abs=1e-6)
    assert generator(0, "x").integers(10**6) == GOLDEN_INTEGER


def test_normals_of_a_cell_ignore_chunking_and_order() -> None:
    whole = cell_normals(1, "noise", CELLS, 7)
    shuffled = np.random.default_rng(0).permutation(CELLS)
    assert np.array_equal(cell_normals(1, "noise", shuffled, 7), whole[shuffled])
    parts = [cell_normals(1, "noise", part, 7) for part in np.array_split(CELLS, 9)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_a_narrower_draw_begins_a_wider_one() -> None:
    assert np.array_equal(cell_normals(0, "noise", CELLS, 9)[:, :4], cell_normals(0, "noise", CELLS, 4))


def test_normals_are_normal_within_and_across_cells() -> None:
    normals = cell_normals(0, "noise", CELLS, 40)
    assert stats.kstest(normals.ravel(), "norm").pvalue > 0.01
    assert stats.kstest(normals[:, 0], "norm").pvalue > 0.01
    assert stats.kstest(normals.mean(axis=1) * np.sqrt(40), "norm").pvalue > 0.01
    assert stats.kstest((normals**2).sum(axis=1), "chi2", args=(40,)).pvalue > 0.01


def test_columns_and_neighbouring_cells_are_uncorrelated() -> None:
    normals = cell_normals(0, "noise", CELLS, 20).astype(np.float64)
    columns = np.corrcoef(normals.T) - np.eye(20)
    assert np.abs(columns).max() < 5 / np.sqrt(CELLS.size)
    neighbours = np.corrcoef(normals[:-1].ravel(), normals[1:].ravel())[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(normals.size)


def test_seeds_next_to_each_other_are_independent() -> None:
    first, second = (cell_normals(seed, "noise", CELLS, 20).ravel() for seed in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(first.size)


def test_uniforms_are_uniform_and_belong_to_their_cells() -> None:
    uniforms = cell_uniforms(0, "conditions", CELLS)
    assert stats.kstest(uniforms, "uniform").pvalue > 0.01
    assert np.array_equal(cell_uniforms(0, "conditions", CELLS[::-1]), uniforms[::-1])


def test_generators_of_a_cell_ignore_the_others() -> None:
    whole = [one.random(3) for one in keyed_generators(cell_keys(0, "counts", CELLS[:50]))]
    alone = [one.random(3) for one in keyed_generators(cell_keys(0, "counts", np.array([49, 7])))]
    assert np.array_equal(whole[49], alone[0])
    assert np.array_equal(whole[7], alone[1])


def test_a_half_used_generator_does_not_leak_into_the_next_cell() -> None:
    greedy = keyed_generators(cell_keys(0, "counts", np.arange(2)))
    next(greedy).integers(2, size=3, dtype=np.uint32)
    alone = next(keyed_generators(cell_keys(0, "counts", np.array([1]))))
    assert (
        next(greedy).integers(100, size=4, dtype=np.uint32).tolist()
        == alone.integers(100, size=4, dtype=np.uint32).tolist()
    )


def test_generators_of_cells_are_uniform_across_cells() -> None:
    firsts = [one.random() for one in keyed_generators(cell_keys(0, "counts", CELLS))]
    assert stats.kstest(firsts, "uniform").pvalue > 0.01


def test_cells_of_different_requests_have_different_noise() -> None:
    cells, nothing = np.arange(50), np.full((50, 2), np.nan)
    np.testing.assert_array_equal(noise_ids_of(cells, nothing), cells)
    asked = [(0.0, np.nan), (1.0, np.nan), (np.nan, 0.0), (np.nan, 1.0), (0.0, 1.0), (1.0, 0.0), (0.5, -3.25)]
    ids = np.concatenate([noise_ids_of(cells, np.tile(one, (50, 1))) for one in asked])
    assert len(np.unique(ids)) == len(ids)
    np.testing.assert_array_equal(noise_ids_of(cells[7:9], np.tile(asked[4], (2, 1))), ids[4 * 50 + 7 : 4 * 50 + 9])
    assert noise_ids_of(cells, np.full((50, 1), -0.0))[3] == noise_ids_of(cells, np.zeros((50, 1)))[3]


def test_keys_of_a_step_belong_to_slices() -> None:
    def slices(*which: int) -> Draws:
        return Draws([generator(0, at) for at in which], [3 * at for at in range(len(which) + 1)])

    whole = slices(0, 1, 2).keys()
    assert len(set(whole.tolist())) == 9
    np.testing.assert_array_equal(slices(1, 2).keys(), whole[3:])
