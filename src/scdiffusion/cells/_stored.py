"""Rows of counts on disk, of which only those asked for are in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffusion.cells._rows import Named, Stored, slices, sparse_rows

__all__ = ["DenseSource", "SparseRows", "SparseSource", "StoredSource", "Values"]

Values = tuple[NDArray[np.generic], NDArray[np.integer]]
"""Counts and the columns they stand in, as they are stored."""

_GAP_VALUES = 1 << 14  # reading this many unwanted values is quicker than one more request to the file


class StoredSource(Named, ABC):
    """Cells on disk, stored row after row.

    Parameters
    ----------
    obs, var
        Labels of the stored cells and genes.
    starts
        Where each row begins among all stored values, and the last one ends; shape ``(N + 1,)``.
    genes
        Genes to give; `None` gives all.
    """

    def __init__(
        self, obs: pd.DataFrame, var: pd.DataFrame, *, starts: NDArray[np.int64], genes: Sequence[str] | None
    ) -> None:
        self._n_stored = len(var)
        super().__init__(obs, var, genes)
        self._starts = starts

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        """Return the counts of some cells in the order given; neighbours are read together."""
        asked = np.asarray(indices, dtype=np.int64) % max(self.n_cells, 1)
        if asked.size == 0:
            return sp.csr_matrix((0, self.n_genes), dtype=np.float32)
        is_sorted = bool((np.diff(asked) > 0).all())
        wanted, order = (asked, None) if is_sorted else np.unique(asked, return_inverse=True)
        gaps = self._starts[wanted[1:]] - self._starts[wanted[:-1] + 1]
        runs = np.split(wanted, np.flatnonzero(gaps > _GAP_VALUES) + 1)
        parts = [self._run(run) for run in runs]
        rows = parts[0] if len(parts) == 1 else sp.vstack(parts, format="csr")
        return rows if order is None else rows[order]

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Visit all cells in order."""
        for where in slices(self.n_cells, n_rows):
            yield where, self._read(where)

    def _run(self, run: NDArray[np.int64]) -> sp.csr_matrix:
        """Read rows that lie near each other."""
        rows = self._read(slice(int(run[0]), int(run[-1]) + 1))
        return rows if rows.shape[0] == run.size else rows[run - run[0]]

    @abstractmethod
    def _read(self, where: slice) -> sp.csr_matrix:
        """Read neighbouring rows."""


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
        super().__init__(obs, var, starts=starts, genes=genes)
        self._element = element

    def _read(self, where: slice) -> sp.csr_matrix:
        return self.select(sparse_rows(self._element[where]))


class SparseRows(StoredSource, ABC):
    """Cells stored without their zeros, wherever the values are."""

    def _read(self, where: slice) -> sp.csr_matrix:
        starts = self._starts[where.start : where.stop + 1]
        data, indices = self._values(int(starts[0]), int(starts[-1]))
        shape = starts.size - 1, self._n_stored
        return self.select(sparse_rows(sp.csr_matrix((data, indices, starts - starts[0]), shape=shape)))

    @abstractmethod
    def _values(self, begin: int, end: int) -> Values:
        """Read neighbouring values."""


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
        super().__init__(obs, var, starts=element["indptr"][:].astype(np.int64), genes=genes)
        self._data, self._indices = element["data"], element["indices"]

    def _values(self, begin: int, end: int) -> Values:
        return self._data[begin:end], self._indices[begin:end]
