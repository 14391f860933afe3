"""Rows of raw counts, wherever they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffusion._core.errors import CountsError, GenesError, UnknownNameError, did_you_mean
from scdiffusion.cells._h5ad import matrix_element, open_h5ad, read_frame

__all__ = ["Matrix", "Source", "open_source", "sparse_rows"]

Stored: TypeAlias = h5py.Dataset | h5py.Group
"""Counts in an open file, dense or sparse."""
Matrix: TypeAlias = NDArray[np.generic] | sp.spmatrix | Stored
"""Counts as AnnData holds them, in memory or in an open file."""

_GAP_VALUES = 1 << 14  # reading this many unwanted values is quicker than one more request to the file


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
        """Visit all cells in order: where each block stands, and its counts."""


def open_source(
    data: ad.AnnData | str | Path, *, layer: str | None = None, genes: Sequence[str] | None = None
) -> Source:
    """Open cells for reading, whatever holds them.

    Rows stored one after another on disk (CSR or dense, in a ``.h5ad`` given by its path or as a backed object) are
    read when asked for, so memory does not grow with the number of cells. A matrix stored by columns, a view of a
    backed object and its layers are loaded whole.

    Parameters
    ----------
    data
        Cells in memory or backed, or the path of a ``.h5ad`` file.
    layer
        The layer that holds raw counts; `None` reads `X`.
    genes
        Names of the genes to give, in this order; `None` gives all.

    Returns
    -------
    The cells. Their values are not checked: see `check_counts`.

    Raises
    ------
    DataFileError
        The file is missing, unreadable, truncated or not a ``.h5ad``.
    UnknownNameError
        There is no such layer.
    GenesError
        Some of `genes` are missing from the data, or stand there twice.
    CountsError
        There is no matrix, or it does not hold numbers.
    """
    if isinstance(data, str | Path):
        file = open_h5ad(Path(data))
        if isinstance(file["obs"], h5py.Dataset):  # written by anndata before 0.7: tables cannot be read alone
            return open_source(ad.read_h5ad(data), layer=layer, genes=genes)
        element = matrix_element(file, layer)
        obs, var = read_frame(file, "obs"), read_frame(file, "var")
    else:
        element = _held_matrix(data, layer)
        obs, var = data.obs, data.var
    if isinstance(element, h5py.Dataset) or (
        isinstance(element, h5py.Group) and element.attrs.get("encoding-type") == "csr_matrix"
    ):
        return _FileSource(element, obs, var, genes=genes)
    if isinstance(element, h5py.Group):
        element = ad.io.read_elem(element)
    return _MemorySource(element, obs, var, genes=genes)


def sparse_rows(matrix: Matrix) -> sp.csr_matrix:
    """Turn any matrix of numbers into ``float32`` CSR, sharing memory where it is so already.

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
    if dtype is None or dtype.kind not in "biuf":
        msg = f"The count matrix holds {dtype or type(matrix).__name__} values, not numbers; expected raw counts."
        raise CountsError(msg + " Convert it to a numeric dtype first.")
    if not sp.issparse(matrix):
        matrix = np.asarray(matrix)
    rows = sp.csr_matrix(matrix).astype(np.float32, copy=False)
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


class _Named:
    """Labels of cells and genes, and which stored column each gene asked for stands in."""

    def __init__(self, obs: pd.DataFrame, var: pd.DataFrame, genes: Sequence[str] | None) -> None:
        self.obs = obs
        self.columns = None if genes is None else _find_genes(var.index, genes)
        self.var = var if self.columns is None else var.iloc[self.columns]
        self.genes: NDArray[np.str_] = self.var.index.to_numpy().astype(str)

    @property
    def n_cells(self) -> int:
        return len(self.obs)

    @property
    def n_genes(self) -> int:
        return len(self.genes)

    def select(self, rows: sp.csr_matrix) -> sp.csr_matrix:
        return rows if self.columns is None else rows[:, self.columns]


class _MemorySource(_Named):
    """All cells in memory, by rows."""

    def __init__(self, matrix: Matrix, obs: pd.DataFrame, var: pd.DataFrame, *, genes: Sequence[str] | None) -> None:
        super().__init__(obs, var, genes)
        self._counts = self.select(sparse_rows(matrix))

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        return self._counts[indices]

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        for where in _slices(self.n_cells, n_rows):
            yield where, self._counts[where]


class _FileSource(_Named):
    """Cells on disk, stored row after row."""

    def __init__(self, element: Stored, obs: pd.DataFrame, var: pd.DataFrame, *, genes: Sequence[str] | None) -> None:
        super().__init__(obs, var, genes)
        self._element = element
        self._n_stored = int(element.shape[1] if isinstance(element, h5py.Dataset) else element.attrs["shape"][1])
        if isinstance(element, h5py.Group):
            self._starts = element["indptr"][:].astype(np.int64)
        else:
            self._starts = np.arange(self.n_cells + 1, dtype=np.int64) * self._n_stored

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        wanted, order = np.unique(np.asarray(indices, dtype=np.int64) % self.n_cells, return_inverse=True)
        if wanted.size == 0:
            return sp.csr_matrix((0, self.n_genes), dtype=np.float32)
        gaps = self._starts[wanted[1:]] - self._starts[wanted[:-1] + 1]
        runs = np.split(wanted, np.flatnonzero(gaps > _GAP_VALUES) + 1)
        parts = [self._read(slice(int(run[0]), int(run[-1]) + 1))[run - run[0]] for run in runs]
        return sp.vstack(parts, format="csr")[order]

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        for where in _slices(self.n_cells, n_rows):
            yield where, self._read(where)

    def _read(self, where: slice) -> sp.csr_matrix:
        if isinstance(self._element, h5py.Dataset):
            return self.select(sparse_rows(self._element[where]))
        starts = self._starts[where.start : where.stop + 1]
        stored = slice(int(starts[0]), int(starts[-1]))
        values = self._element["data"][stored], self._element["indices"][stored], starts - starts[0]
        return self.select(sparse_rows(sp.csr_matrix(values, shape=(starts.size - 1, self._n_stored))))


def _slices(n_cells: int, n_rows: int) -> Iterator[slice]:
    for begin in range(0, n_cells, n_rows):
        yield slice(begin, min(begin + n_rows, n_cells))


def _held_matrix(adata: ad.AnnData, layer: str | None) -> Matrix:
    """Find the matrix of an AnnData; rows that a backed one keeps in its file are left there."""
    if layer is not None:
        if layer not in adata.layers:
            known = sorted(adata.layers)
            msg = f"`layer` {layer!r} is not a layer of the data; expected one of {known} or none for `X`."
            raise UnknownNameError(msg + did_you_mean(layer, known))
        return adata.layers[layer]
    if adata.isbacked and not adata.is_view:
        return adata.file["X"]
    if adata.X is None:
        msg = f"`adata.X` is empty; expected raw counts. Name one of the layers {sorted(adata.layers)} as `layer`."
        raise CountsError(msg)
    return adata.X


def _find_genes(names: pd.Index, genes: Sequence[str]) -> NDArray[np.intp]:
    """Locate genes among the stored names."""
    twice = names[names.duplicated()].intersection(pd.Index(genes))
    if len(twice):
        msg = f"{len(twice)} of the expected genes stand more than once in the data, such as {twice[0]!r};"
        raise GenesError(msg + " expected unique names. Run `adata.var_names_make_unique()`.")
    columns = pd.Index(names[~names.duplicated()]).get_indexer(pd.Index(genes))
    missing = [gene for gene, column in zip(genes, columns, strict=True) if column < 0]
    if missing:
        shown = ", ".join(repr(str(gene)) for gene in missing[:3])
        msg = (
            f"The data lack {len(missing)} of the {len(genes)} expected genes, such as {shown}, and have {len(names)} "
            f"genes such as {', '.join(repr(str(name)) for name in names[:3])}. Use the same kind of gene names, and "
            "add missing genes as columns of zeros only if they were measured and not seen."
        )
        raise GenesError(msg)
    return np.asarray(np.flatnonzero(~names.duplicated())[columns])
