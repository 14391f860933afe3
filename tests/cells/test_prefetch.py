from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse.cells import Batches, Blocks, Prefetch, Source, open_source, plan_blocks, shard
from scdiffuse.cells._prefetch import BUFFER_BYTES


class Watched:
    """A source that notes what is read from it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.obs, self.var, self.genes = source.obs, source.var, source.genes
        self.n_cells, self.n_genes = source.n_cells, source.n_genes
        self.requested: list[NDArray[np.int64]] = []

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        self.requested.append(np.asarray(indices, dtype=np.int64))
        return self.source.rows(indices)

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        return self.source.blocks(n_rows)


@pytest.fixture
def watched(adata: ad.AnnData) -> Watched:
    return Watched(open_source(adata))


def test_each_step_gets_its_rows_from_few_readings(watched: Watched, counts: sp.csr_matrix) -> None:
    batches = Batches(60, 5, seed=0, blocks=Blocks(10, 2))
    with Prefetch(watched, batches.buffers(2, 30)) as prefetch:
        for step in range(2, 30):
            assert np.array_equal(prefetch.rows(batches.at(step)).toarray(), counts[batches.at(step)].toarray())
    assert len(watched.requested) == len(list(batches.buffers(2, 30))) == 8
    assert np.array_equal(np.concatenate(watched.requested), np.concatenate(list(batches.buffers(2, 30))))


def test_the_next_buffer_is_read_before_it_is_requested_for(watched: Watched) -> None:
    coming = [np.arange(20), np.arange(20, 40), np.arange(40, 60)]
    with Prefetch(watched, iter(coming)) as prefetch:
        prefetch.rows(np.array([3]))
        assert prefetch._next is not None
        assert prefetch._next.result().rows[0] == 20
    assert [rows[0] for rows in watched.requested] == [0, 20]


def test_at_most_two_buffers_are_held(watched: Watched) -> None:
    with Prefetch(watched, iter([np.arange(at, at + 10) for at in range(0, 60, 10)])) as prefetch:
        for at in range(0, 60, 10):
            prefetch.rows(np.array([at, at + 9]))
            assert prefetch._current is not None
            assert len(prefetch._current.rows) == 10
            assert sum(rows.size for rows in watched.requested) <= at + 20
    assert prefetch._current is None


def test_rows_that_were_not_announced_are_read_all_the_same(watched: Watched, counts: sp.csr_matrix) -> None:
    with Prefetch(watched, iter([np.arange(10)])) as prefetch:
        assert np.array_equal(prefetch.rows(np.array([50, 2])).toarray(), counts[[50, 2]].toarray())
        assert np.array_equal(prefetch.rows(np.array([2])).toarray(), counts[[2]].toarray())
    assert (prefetch.n_cells, prefetch.n_genes, list(prefetch.genes)) == (60, 30, list(watched.genes))
    assert prefetch.obs is watched.obs
    assert prefetch.var is watched.var
    assert next(prefetch.blocks(7))[1].shape == (7, 30)


def test_an_error_of_reading_is_reported(watched: Watched) -> None:
    with pytest.raises(IndexError), Prefetch(watched, iter([np.array([1000])])) as prefetch:
        prefetch.rows(np.array([0]))


def test_a_buffer_keeps_to_its_bytes(adata: ad.AnnData, tmp_path: Path) -> None:
    wide = sp.random(300, 20_000, density=0.1, format="csr", dtype=np.float32, random_state=0)
    ad.AnnData(X=wide).write_h5ad(tmp_path / "wide.h5ad")
    blocks = plan_blocks(open_source(tmp_path / "wide.h5ad"), np.arange(300))
    bytes_a_cell = 8 * wide.nnz / 300
    assert BUFFER_BYTES / 2 < blocks.size * blocks.together * bytes_a_cell <= BUFFER_BYTES
    assert plan_blocks(open_source(adata), np.arange(60)) == Blocks(128, 512)


def test_shards_are_read_in_longer_blocks_than_files(adata: ad.AnnData, tmp_path: Path) -> None:
    adata.write_h5ad(tmp_path / "cells.h5ad")
    shard(tmp_path / "cells.h5ad", tmp_path / "shards", progress=False)
    assert plan_blocks(open_source(tmp_path / "shards"), np.arange(60)) == Blocks(1024, 64)
    assert plan_blocks(open_source(tmp_path / "cells.h5ad"), np.arange(60)) == Blocks(128, 512)


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("order", ["as announced", "another"])
@pytest.mark.parametrize("place", ["tall.h5ad", "shards"])
def test_rows_come_in_the_order_given(adata: ad.AnnData, tmp_path: Path, *, place: str, order: str, every: int) -> None:
    tall = ad.concat([adata] * 40, index_unique="-", merge="same")
    tall.write_h5ad(tmp_path / "tall.h5ad")
    if place == "shards":
        shard(tmp_path / "tall.h5ad", tmp_path / "shards", cells_per_shard=700, progress=False)
        tall = ad.concat([ad.read_h5ad(path) for path in sorted((tmp_path / "shards").glob("*.h5ad"))], merge="same")
    genes = None if every == 1 else [f"gene-{at}" for at in range(0, 30, every)]
    source = open_source(tmp_path / place, genes=genes)
    batches = Batches(2400, 50, seed=0, blocks=Blocks(300, 5))
    requested = [
        batches.at(step) if order == "as announced" or step % 3 else np.sort(batches.at(step)) for step in range(96)
    ]
    with Prefetch(source, batches.buffers(0, 96)) as prefetch:
        given = [prefetch.rows(wanted) for wanted in requested]
    assert not any(buffer._memory for buffer in prefetch._buffers)
    for wanted, found in zip(requested, given, strict=True):  # when buffers have been used again
        assert np.array_equal(found.toarray(), tall.X[wanted][:, ::every].toarray())
