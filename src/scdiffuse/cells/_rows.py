"""Sources of raw counts: the protocol, names of cells and genes, and rows as sparse matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse._core.errors import CountsError, GenesError
from scdiffuse.cells._gene_names import match_genes
from scdiffuse.cells._structure import require_whole, value_type

__all__ = ["Matrix", "MemorySource", "NamedSource", "Source", "Stored", "WrappedSource", "slices", "sparse_rows"]

Stored: TypeAlias = Any
"""Counts in an open file: an array (dense) or a group of arrays (sparse) of h5py or zarr."""
Matrix: TypeAlias = NDArray[np.generic] | sp.spmatrix | Stored
"""Counts as AnnData holds them, in memory or in an open file."""


def sparse_rows(matrix: Matrix) -> sp.csr_matrix:
    """Turn any matrix of numbers into ``float32`` CSR, without a copy if it is one already.

    Parameters
    ----------
    matrix
        Dense or sparse, shape ``(N, G)``.

    Returns
    -------
    The same values, without duplicate entries, shape ``(N, G)``.

    Raises
    ------
    CountsError
        The values are not numbers.
    """
    dtype = getattr(matrix, "dtype", None)
    if dtype is None:
        msg = f"The count matrix is a {type(matrix).__name__}, not numbers; expected raw counts."
        raise CountsError(msg + " Convert it to a numeric dtype first.")
    read_as = value_type(dtype)
    if not sp.issparse(matrix):
        matrix = np.asarray(matrix)
    if read_as != dtype:  # scipy has no matrices of half precision, nor of the other byte order
        matrix = matrix.astype(read_as)
    rows = sp.csr_matrix(matrix).astype(np.float32, copy=False)
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


class Source(Protocol):
    """Cells as rows of counts, read in any order or from the first to the last."""

    @property
    def obs(self) -> pd.DataFrame:
        """Labels of the cells, ``N`` rows."""

    @property
    def var(self) -> pd.DataFrame:
        """Annotation of the genes, ``G`` rows, indexed by gene name."""

    @property
    def genes(self) -> NDArray[np.str_]:
        """Names of the genes, shape ``(G,)``."""

    @property
    def n_cells(self) -> int:
        """Number of cells ``N``."""

    @property
    def n_genes(self) -> int:
        """Number of genes ``G``."""

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        """Return the counts of some cells in the order given, ``float32``, shape ``(B, G)``."""

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Iterate over all cells in order: rows and counts of each block."""


class WrappedSource:
    """Base of a source that wraps another one and has its names.

    Parameters
    ----------
    source
        Source to wrap.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def obs(self) -> pd.DataFrame:
        """Labels of the cells."""
        return self._source.obs

    @property
    def var(self) -> pd.DataFrame:
        """Annotation of the genes."""
        return self._source.var

    @property
    def genes(self) -> NDArray[np.str_]:
        """Names of the genes, shape ``(G,)``."""
        return self._source.genes

    @property
    def n_cells(self) -> int:
        """Number of cells ``N``."""
        return self._source.n_cells

    @property
    def n_genes(self) -> int:
        """Number of genes ``G``."""
        return self._source.n_genes


class NamedSource:
    """Base of sources: labels of cells and genes, and the stored column of each selected gene."""

    def __init__(self, obs: pd.DataFrame, var: pd.DataFrame, genes: Sequence[str] | None) -> None:
        self.obs = obs
        self.columns = None if genes is None else _find_genes(var, genes)
        self.var = var if self.columns is None else var.iloc[self.columns]
        if genes is not None and len(genes) and not (self.var.index == pd.Index(genes)).all():
            self.var = self.var.set_axis(pd.Index(genes, dtype=object))  # found by symbols or identifiers
        self.genes: NDArray[np.str_] = self.var.index.to_numpy().astype(str)

    @property
    def n_cells(self) -> int:
        """Number of cells ``N``."""
        return len(self.obs)

    @property
    def n_genes(self) -> int:
        """Number of genes ``G``."""
        return len(self.genes)

    def select(self, rows: sp.csr_matrix) -> sp.csr_matrix:
        """Select the columns of the genes."""
        return rows if self.columns is None else rows[:, self.columns]


class MemorySource(NamedSource):
    """All cells in memory, by rows."""

    def __init__(self, matrix: Matrix, obs: pd.DataFrame, var: pd.DataFrame, *, genes: Sequence[str] | None) -> None:
        super().__init__(obs, var, genes)
        if hasattr(matrix, "to_memory"):  # sparse rows or columns of an open file, as AnnData holds them
            matrix = matrix.to_memory()
        if sp.issparse(matrix):
            require_whole(matrix, name="The matrix")
        self._counts = self.select(sparse_rows(matrix))

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        """Return the counts of some cells in the order given."""
        return self._counts[indices]

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Iterate over all cells in order."""
        for where in slices(self.n_cells, n_rows):
            yield where, self._counts[where]


def slices(n_cells: int, n_rows: int) -> Iterator[slice]:
    """Divide cells into blocks."""
    for begin in range(0, n_cells, n_rows):
        yield slice(begin, min(begin + n_rows, n_cells))


def _find_genes(var: pd.DataFrame, genes: Sequence[str]) -> NDArray[np.intp]:
    """Find the stored columns of genes by name, or all of them by symbols or identifiers in a column of `var`."""
    names = var.index
    twice = names[names.duplicated()].intersection(pd.Index(genes))
    if len(twice):
        msg = f"{len(twice)} of the expected genes are more than once in the data, such as {twice[0]!r};"
        raise GenesError(msg + " expected unique names. Run `adata.var_names_make_unique()`.")
    columns = pd.Index(names[~names.duplicated()]).get_indexer(pd.Index(genes))
    missing = [gene for gene, column in zip(genes, columns, strict=True) if column < 0]
    if missing:
        matched = match_genes(var, genes)
        if np.count_nonzero(matched >= 0) == len(genes):
            return np.argsort(np.where(matched < 0, len(genes), matched), kind="stable")[: len(genes)]
        shown = ", ".join(repr(str(gene)) for gene in missing[:3])
        msg = (
            f"The data lack {len(missing)} of the {len(genes)} expected genes, such as {shown}, and have {len(names)} "
            f"genes such as {', '.join(repr(str(name)) for name in names[:3])}. Use the same kind of gene names, and "
            "add missing genes as columns of zeros only if they were measured and not seen."
        )
        raise GenesError(msg)
    return np.asarray(np.flatnonzero(~names.duplicated())[columns])
