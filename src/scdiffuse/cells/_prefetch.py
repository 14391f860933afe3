"""Prefetch cells from disk during training."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse.cells._batches import Blocks
from scdiffuse.cells._rows import Source, WrappedSource
from scdiffuse.cells._shards import ShardSource
from scdiffuse.cells._stored import LoadedRows, ReadBuffer, StoredSource, unchecked

__all__ = ["BUFFER_BYTES", "Prefetch", "plan_blocks"]

BUFFER_BYTES = 1 << 27
"""Memory of the counts that are shuffled together; one such buffer is in use while the next one is read."""
_BLOCK_CELLS = 1024  # for shards, whose neighbours are a random sample
_SHORT_BLOCK_CELLS = 128  # for files, whose neighbours may be of one type: more blocks in a buffer
_FEWEST_CELLS = 4_096
_MOST_CELLS = 65_536
_SAMPLE = 256
_VALUE_BYTES = 8  # a count and its gene


def plan_blocks(source: Source, rows: NDArray[np.int64]) -> Blocks:
    """Choose how many cells to read and to shuffle together.

    Parameters
    ----------
    source
        Counts on disk.
    rows
        Cells of the fit, at least one.

    Returns
    -------
    Blocks of 1,024 cells from shards and of 128 from files, where neighbours may be similar; as many blocks
    together as `BUFFER_BYTES` hold, but at least 4,096 and at most 65,536 cells.
    """
    if isinstance(source, StoredSource):
        bytes_a_cell = source.cell_bytes
    else:
        sample = rows[np.linspace(0, len(rows) - 1, min(_SAMPLE, len(rows))).astype(np.int64)]
        bytes_a_cell = _VALUE_BYTES * source.rows(sample).nnz / len(sample)
    size = _BLOCK_CELLS if isinstance(source, ShardSource) else _SHORT_BLOCK_CELLS
    n_cells = min(max(int(BUFFER_BYTES / max(1.0, bytes_a_cell)), _FEWEST_CELLS), _MOST_CELLS)
    return Blocks(size, n_cells // size)


class Prefetch(WrappedSource):
    """A source that holds the rows of the next steps in memory and reads later ones in the background.

    Use it as a context manager. Rows are fastest in the announced order; other rows are read on request.

    Parameters
    ----------
    source
        Source of the rows.
    coming
        Rows of the next steps, buffer by buffer; memory holds two buffers.
    """

    def __init__(self, source: Source, coming: Iterator[NDArray[np.int64]]) -> None:
        super().__init__(source)
        self._coming = coming
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
        self._buffers = ReadBuffer(), ReadBuffer()
        self._current: LoadedRows | None = None
        self._next: Future[LoadedRows] | None = None

    def __enter__(self) -> Self:
        """Start to read."""
        self._begin_next()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the thread and release all rows."""
        self._thread.shutdown(cancel_futures=True)
        self._current = self._next = None
        self._buffers = ReadBuffer(), ReadBuffer()

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        """Return the counts of some cells in the order given, from memory if announced."""
        found = self._current and self._current.find(indices)
        if found is None and self._next is not None:
            self._current = None  # memory holds two buffers at most
            self._current = self._next.result()
            self._begin_next()
            found = self._current.find(indices)
        return self._source.rows(indices) if found is None else found

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Iterate over all cells in order, without the buffers."""
        return self._source.blocks(n_rows)

    def _begin_next(self) -> None:
        wanted = next(self._coming, None)
        self._next = None if wanted is None or not wanted.size else self._thread.submit(self._read, wanted)

    def _read(self, rows: NDArray[np.int64]) -> LoadedRows:
        self._buffers = self._buffers[::-1]  # the memory of the previous buffer is free
        if isinstance(self._source, StoredSource):
            return self._source.load(rows, self._buffers[0])
        found = self._source.rows(rows)
        return LoadedRows(rows, found.data, found.indices, found.indptr, partial(unchecked, width=self.n_genes))
