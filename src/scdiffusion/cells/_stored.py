"""Rows of counts on disk, of which only those asked for are in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffusion.cells._rows import Named, Stored, slices, sparse_rows

__all__ = ["DenseSource", "Loaded", "SparseRows", "SparseSource", "StoredSource"]

_GAP_VALUES = 1 << 14  # reading this many unwanted values is quicker than one more request to the file


class Loaded(NamedTuple):
    """Some rows in memory as they are stored, to be given in any order."""

    rows: NDArray[np.int64]
    """Which, ascending; those between rows that were asked for may be among them."""
    counts: sp.csr_matrix
    """Every stored gene of these rows."""
    finish: Callable[[sp.csr_matrix], sp.csr_matrix]
    """Makes ``float32`` of stored rows, with the genes asked for."""

    def find(self, wanted: NDArray[np.integer]) -> sp.csr_matrix | None:
        """Return rows in the order given, or nothing where one is missing."""
        at = np.minimum(np.searchsorted(self.rows, wanted), len(self.rows) - 1)
        return self.finish(self.counts[at]) if (self.rows[at] == wanted).all() else None


class StoredSource(Named, ABC):
    """Cells on disk, stored row after row.

    Parameters
    ----------
    obs, var
        Labels of the stored cells and genes.
    starts
        Where each row begins among all stored values, and the last one ends; shape ``(N + 1,)``.
    value_bytes
        Memory of a stored value.
    genes
        Genes to give; `None` gives all.
    """

    _is_canonical = False  # whether columns are known to ascend in each row

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
        """Memory of the counts of one loaded cell in the mean."""
        return self._value_bytes * float(self._starts[-1]) / max(1, self.n_cells)

    def load(self, rows: NDArray[np.int64]) -> Loaded:
        """Read rows into memory, neighbours together.

        Parameters
        ----------
        rows
            Which, ascending, none twice, at least one.

        Returns
        -------
        The rows, and those in gaps that are quicker to read than to skip.
        """
        gaps = self._starts[rows[1:]] - self._starts[rows[:-1] + 1]
        runs = np.split(rows, np.flatnonzero(gaps > _GAP_VALUES) + 1)
        spans = [slice(int(run[0]), int(run[-1]) + 1) for run in runs]
        held = np.concatenate([np.arange(span.start, span.stop) for span in spans])
        return Loaded(held, self._read(spans), self._finish)

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        """Return the counts of some cells in the order given."""
        asked = np.asarray(indices, dtype=np.int64) % max(self.n_cells, 1)
        if asked.size == 0:
            return sp.csr_matrix((0, self.n_genes), dtype=np.float32)
        found = self.load(np.unique(asked)).find(asked)
        assert found is not None
        return found

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Visit all cells in order."""
        for where in slices(self.n_cells, n_rows):
            yield where, self._finish(self._read([where]))

    def _finish(self, rows: sp.csr_matrix) -> sp.csr_matrix:
        """Choose the genes of stored rows and make their counts numbers that networks take."""
        if not self._is_canonical:
            rows = sparse_rows(rows)
        data, columns, starts = rows.data.astype(np.float32, copy=False), rows.indices, rows.indptr
        width = rows.shape[1]
        if self._place is not None:
            columns, width = self._place[columns], self.n_genes
            dropped = np.flatnonzero(columns < 0)
            if dropped.size:
                kept = columns >= 0
                data, columns = data[kept], columns[kept]
                starts = starts - np.searchsorted(dropped, starts).astype(starts.dtype)
        chosen = sp.csr_matrix((data, columns, starts), shape=(rows.shape[0], width))
        chosen.has_canonical_format = True
        return chosen if self._place is not None else self.select(chosen)

    @abstractmethod
    def _read(self, spans: Sequence[slice]) -> sp.csr_matrix:
        """Read stretches of rows as they are stored."""


class DenseSource(StoredSource):
    """Cells stored with their zeros.

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

    def _read(self, spans: Sequence[slice]) -> sp.csr_matrix:
        return sp.vstack([sparse_rows(self._element[span]) for span in spans], format="csr")


class SparseRows(StoredSource, ABC):
    """Cells stored without their zeros, wherever the values are.

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

    def _read(self, spans: Sequence[slice]) -> sp.csr_matrix:
        lengths = [np.diff(self._starts[span.start : span.stop + 1]) for span in spans]
        starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        data, indices = (np.empty(starts[-1], dtype=one) for one in self._types)
        at = 0
        for span in spans:
            begin, end = int(self._starts[span.start]), int(self._starts[span.stop])
            self._fill(begin, data[at : at + end - begin], indices[at : at + end - begin])
            at += end - begin
        return sp.csr_matrix((data, indices, starts), shape=(starts.size - 1, self._width))

    @abstractmethod
    def _fill(self, begin: int, data: NDArray[np.generic], indices: NDArray[np.generic]) -> None:
        """Read the values from `begin` on, and their columns, as many as there is room for."""


class SparseSource(SparseRows):
    """Cells stored without their zeros in one file.

    Parameters
    ----------
    element
        A group of an open file with ``data``, ``indices`` and ``indptr``.
    obs, var, genes
        As in `StoredSource`.
    """

    def __init__(self, element: Stored, obs: pd.DataFrame, var: pd.DataFrame, *, genes: Sequence[str] | None) -> None:
        types = element["data"].dtype, element["indices"].dtype
        super().__init__(types, obs, var, starts=element["indptr"][:].astype(np.int64), genes=genes)
        self._data, self._indices = element["data"], element["indices"]

    def _fill(self, begin: int, data: NDArray[np.generic], indices: NDArray[np.generic]) -> None:
        data[:] = self._data[begin : begin + data.size]
        indices[:] = self._indices[begin : begin + indices.size]


def _places(columns: NDArray[np.intp] | None, width: int) -> NDArray[np.int32] | None:
    """Return the new column of each stored one, -1 where it is left out, if the order stays."""
    if columns is None or not columns.size or (np.diff(columns) <= 0).any():
        return None
    places = np.full(width, -1, dtype=np.int32)
    places[columns] = np.arange(columns.size)
    return places
