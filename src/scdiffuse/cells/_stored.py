"""Rows of counts on disk, read on request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse.cells._kernels import scatter_rows
from scdiffuse.cells._opened import Opened, opened_store
from scdiffuse.cells._rows import NamedSource, Stored, slices, sparse_rows
from scdiffuse.cells._structure import reading, require_columns, value_type, where_of

__all__ = ["DenseSource", "LoadedRows", "ReadBuffer", "SparseRows", "SparseSource", "StoredSource", "unchecked"]

Finish: TypeAlias = Callable[[NDArray[np.generic], NDArray[np.generic], NDArray[np.integer]], sp.csr_matrix]

_GAP_VALUES = 1 << 14  # reading this many unwanted values is faster than another request to the file
_AHEAD = 8  # spans that the system fetches while others are scattered
_SPAN_VALUES = 1 << 18  # values that are read before they are scattered; they stay in the CPU cache


class ReadBuffer:
    """Reused memory for stored values: new memory costs as much as filling it."""

    def __init__(self) -> None:
        self._memory: dict[str, NDArray[np.generic]] = {}

    def take(self, name: str, n: int, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
        """Return memory for `n` values; earlier values of the same name are overwritten."""
        memory = self._memory.get(name)
        if memory is None or len(memory) < n or memory.dtype != dtype:
            memory = self._memory[name] = np.empty(n + n // 16, dtype=dtype)
        return memory[:n]


class LoadedRows(NamedTuple):
    """Rows in memory as they are stored; taking them in their own order is fastest."""

    rows: NDArray[np.int64]
    """Row indices in their order."""
    data: NDArray[np.generic]
    """Stored counts, row by row."""
    columns: NDArray[np.generic]
    """Columns of the counts."""
    starts: NDArray[np.integer]
    """Start of each row in `data`, and the end of the last one."""
    finish: Finish
    """Turns such rows into ``float32`` with the selected genes."""

    def find(self, wanted: NDArray[np.integer]) -> sp.csr_matrix | None:
        """Return a copy of rows in the order given, or `None` if one is missing."""
        begin = int(np.argmax(self.rows == wanted[0])) if len(wanted) else 0
        if np.array_equal(self.rows[begin : begin + len(wanted)], wanted):
            starts = self.starts[begin : begin + len(wanted) + 1]
            values = slice(starts[0], starts[-1])
            return self.finish(self.data[values].astype(np.float32), self.columns[values].copy(), starts - starts[0])
        order = np.argsort(self.rows)
        at = order[np.minimum(np.searchsorted(self.rows, wanted, sorter=order), len(order) - 1)]
        if (self.rows[at] != wanted).any():
            return None
        width = 1 + int(self.columns.max(initial=0))
        rows = sp.csr_matrix((self.data, self.columns, self.starts), shape=(len(self.rows), width))[at]
        return self.finish(rows.data, rows.indices, rows.indptr)


def unchecked(
    data: NDArray[np.generic], columns: NDArray[np.generic], starts: NDArray[np.integer], *, width: int
) -> sp.csr_matrix:
    """Build a CSR matrix from valid arrays: the checks of scipy take longer than copying a batch.

    Parameters
    ----------
    data, columns, starts
        Values, their columns in ascending order in each row, and starts of rows.
    width
        Number of columns.
    """
    matrix = sp.csr_matrix((len(starts) - 1, width), dtype=data.dtype)
    index_type = np.int32 if starts[-1] <= np.iinfo(np.int32).max else np.int64
    matrix.data = data
    matrix.indices, matrix.indptr = (index.astype(index_type, copy=False) for index in (columns, starts))
    matrix.has_canonical_format = True
    return matrix


class StoredSource(NamedSource, ABC):
    """Cells on disk, stored row by row.

    Parameters
    ----------
    obs, var
        Labels of the stored cells and genes.
    starts
        Start of each row among all stored values, and the end of the last one, shape ``(N + 1,)``.
    value_bytes
        Memory of a stored value.
    genes
        Genes to read; `None` reads all.
    """

    _is_canonical = False  # whether columns ascend in each row
    _name = "The matrix"  # in messages
    _opened: Opened | None = None  # of cells that can be replaced while they are open

    def __init__(
        self,
        obs: pd.DataFrame,
        var: pd.DataFrame,
        *,
        starts: NDArray[np.int64],
        value_bytes: int,
        genes: Sequence[str] | None,
    ) -> None:
        super().__init__(obs, var, genes)
        self._starts = starts
        self._value_bytes = value_bytes
        self._width = len(var)
        self._place = _places(self.columns, self._width)

    @property
    def cell_bytes(self) -> float:
        """Mean memory of the counts of one loaded cell."""
        return self._value_bytes * float(self._starts[-1]) / max(1, self.n_cells)

    @abstractmethod
    def load(self, rows: NDArray[np.int64], buffer: ReadBuffer) -> LoadedRows:
        """Read rows into memory, neighbours together.

        Parameters
        ----------
        rows
            Distinct rows in the order of the result, at least one.
        buffer
            Memory of the result, valid until the buffer is used again.
        """

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        """Return the counts of some cells in the order given."""
        wanted = np.asarray(indices, dtype=np.int64) % max(self.n_cells, 1)
        if wanted.size == 0:
            return sp.csr_matrix((0, self.n_genes), dtype=np.float32)
        distinct = np.unique(wanted)
        with reading(self._name):
            loaded = self.load(wanted if len(distinct) == len(wanted) else distinct, ReadBuffer())
        found = loaded.find(wanted)
        assert found is not None
        return found

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Iterate over all cells in order."""
        for where in slices(self.n_cells, n_rows):
            with reading(self._name):
                data, columns, starts = self._read(where)
            require_columns(columns, self._width, name=self._name)
            yield where, self._finish(data, columns, starts)

    def _require_unchanged(self) -> None:
        if self._opened is not None:
            self._opened.require_unchanged()

    def _spans(self, rows: NDArray[np.int64]) -> list[slice]:
        """Find spans to read for ascending rows, with gaps that are faster to read than to skip."""
        gaps = self._starts[rows[1:]] - self._starts[rows[:-1] + 1]
        pieces = (self._starts[rows] - self._starts[rows[0]]) // _SPAN_VALUES
        cuts = np.flatnonzero((gaps > _GAP_VALUES) | (np.diff(pieces) > 0)) + 1
        return [slice(int(run[0]), int(run[-1]) + 1) for run in np.split(rows, cuts)]

    def _finish(
        self, data: NDArray[np.generic], columns: NDArray[np.generic], starts: NDArray[np.integer]
    ) -> sp.csr_matrix:
        """Select the genes of stored rows and turn counts into ``float32``."""
        if not self._is_canonical:
            rows = sparse_rows(sp.csr_matrix((data, columns, starts), shape=(len(starts) - 1, self._width)))
            data, columns, starts = rows.data, rows.indices, rows.indptr
        data = data.astype(np.float32, copy=False)
        if self._place is None:
            return self.select(unchecked(data, columns, starts, width=self._width))
        places = self._place[columns]
        dropped = np.flatnonzero(places < 0)
        if dropped.size:
            kept = places >= 0
            data, places = data[kept], places[kept]
            starts = starts - np.searchsorted(dropped, starts).astype(starts.dtype)
        return unchecked(data, places, starts, width=self.n_genes)

    @abstractmethod
    def _read(self, span: slice) -> tuple[NDArray[np.generic], NDArray[np.generic], NDArray[np.integer]]:
        """Read a span of rows as they are stored: counts, columns and starts of rows."""


class DenseSource(StoredSource):
    """Cells in a dense matrix on disk.

    Parameters
    ----------
    element
        An array of an open file, shape ``(N, G)``.
    obs, var, genes
        As in `StoredSource`.
    """

    def __init__(self, element: Stored, obs: pd.DataFrame, var: pd.DataFrame, *, genes: Sequence[str] | None) -> None:
        starts = np.arange(len(obs) + 1, dtype=np.int64) * len(var)
        super().__init__(obs, var, starts=starts, value_bytes=8, genes=genes)
        self._element = element
        self._opened = opened_store([], [element])

    def load(self, rows: NDArray[np.int64], buffer: ReadBuffer) -> LoadedRows:
        """Read rows into memory, neighbours together."""
        self._require_unchanged()
        ascending = np.sort(rows)
        spans = self._spans(ascending)
        mine = np.split(ascending, np.searchsorted(ascending, [span.stop for span in spans[:-1]]))
        parts = [sparse_rows(self._element[span])[rows - span.start] for span, rows in zip(spans, mine, strict=True)]
        found = sp.vstack(parts, format="csr")[np.searchsorted(ascending, rows)]
        return LoadedRows(rows, found.data, found.indices, found.indptr, self._finish)

    def _read(self, span: slice) -> tuple[NDArray[np.generic], NDArray[np.generic], NDArray[np.integer]]:
        self._require_unchanged()
        found = sparse_rows(self._element[span])
        return found.data, found.indices, found.indptr


class SparseRows(StoredSource, ABC):
    """Cells in a sparse matrix on disk.

    Parameters
    ----------
    types
        Types of the stored counts and of their columns.
    obs, var, starts, genes
        As in `StoredSource`.
    """

    def __init__(
        self,
        types: tuple[np.dtype[np.generic], np.dtype[np.generic]],
        obs: pd.DataFrame,
        var: pd.DataFrame,
        *,
        starts: NDArray[np.int64],
        genes: Sequence[str] | None,
    ) -> None:
        super().__init__(obs, var, starts=starts, value_bytes=sum(one.itemsize for one in types), genes=genes)
        self._types = types

    def load(self, rows: NDArray[np.int64], buffer: ReadBuffer) -> LoadedRows:
        """Read rows into memory, neighbours together, and scatter them to their places."""
        self._require_unchanged()
        lengths = self._starts[rows + 1] - self._starts[rows]
        places = np.concatenate([[0], np.cumsum(lengths)])
        order = np.argsort(rows)
        ascending, done = rows[order], 0
        spans = self._spans(ascending)
        most = max(map(self._n_values, spans))
        whole = [buffer.take(f"whole {at}", places[-1], dtype) for at, dtype in enumerate(self._types)]
        piece = [buffer.take(f"piece {at}", most, dtype) for at, dtype in enumerate(self._types)]
        for at, span in enumerate(spans):
            for coming in spans[at + _AHEAD if at else 0 : at + _AHEAD + 1]:
                self._expect(coming)
            stored = [values[: self._n_values(span)] for values in piece]
            self._fill(int(self._starts[span.start]), *stored)
            require_columns(stored[1], self._width, name=self._name)  # compiled code that takes rows apart checks none
            end = int(np.searchsorted(ascending, span.stop))
            mine, begins = order[done:end], self._starts[ascending[done:end]] - self._starts[span.start]
            for values, out in zip(stored, whole, strict=True):
                scatter_rows(values, begins, lengths[mine], places[mine], out)
            done = end
        return LoadedRows(rows, whole[0], whole[1], places, self._finish)

    def _read(self, span: slice) -> tuple[NDArray[np.generic], NDArray[np.generic], NDArray[np.integer]]:
        self._require_unchanged()
        data, columns = (np.empty(self._n_values(span), dtype=one) for one in self._types)
        starts = self._starts[span.start : span.stop + 1]
        self._fill(int(starts[0]), data, columns)
        return data, columns, starts - starts[0]

    def _expect(self, span: slice) -> None:
        """Announce a span that will be read soon."""

    def _n_values(self, span: slice) -> int:
        return int(self._starts[span.stop] - self._starts[span.start])

    @abstractmethod
    def _fill(self, begin: int, data: NDArray[np.generic], indices: NDArray[np.generic]) -> None:
        """Fill the arrays with the values from `begin` on and their columns."""


class SparseSource(SparseRows):
    """Cells in a sparse matrix of one file.

    Parameters
    ----------
    element
        A group of an open file with ``data``, ``indices`` and ``indptr``.
    obs, var, genes
        As in `StoredSource`.
    """

    def __init__(self, element: Stored, obs: pd.DataFrame, var: pd.DataFrame, *, genes: Sequence[str] | None) -> None:
        types = value_type(element["data"].dtype), element["indices"].dtype.newbyteorder("=")
        super().__init__(types, obs, var, starts=element["indptr"][:].astype(np.int64), genes=genes)
        self._data, self._indices = element["data"], element["indices"]
        self._name = f"`{element.name.lstrip('/')}` of {where_of(element)!r}"
        self._opened = opened_store([element["indptr"]], [self._indices, self._data])

    def _fill(self, begin: int, data: NDArray[np.generic], indices: NDArray[np.generic]) -> None:
        data[:] = self._data[begin : begin + data.size]
        indices[:] = self._indices[begin : begin + indices.size]


def _places(columns: NDArray[np.intp] | None, width: int) -> NDArray[np.int32] | None:
    """Return the new column of each stored one, -1 where it is left out; None if the order changes."""
    if columns is None or not columns.size or (np.diff(columns) <= 0).any():
        return None
    places = np.full(width, -1, dtype=np.int32)
    places[columns] = np.arange(columns.size)
    return places
