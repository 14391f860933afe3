"""Generated cells as AnnData, in memory or written to disk batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray

from scdiffuse._core.endings import CELLS, require_ending
from scdiffuse._core.outputs import atomic_file
from scdiffuse._core.slots import OBS_SOURCE, OBSM_LATENT
from scdiffuse.cells._h5ad import label

__all__ = ["H5adWriter", "build_anndata"]

_CHUNK_VALUES = 1 << 16
_VALUES_AT_ONCE = 1 << 20
_RETYPED_AT_ONCE = 1 << 13
_COMPRESSION = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


def build_anndata(  # noqa: PLR0917 - the four slots in AnnData's own order
    counts: sp.csr_matrix,
    obs: pd.DataFrame,
    var: pd.DataFrame,
    uns: Mapping[str, Any],
    *,
    latents: NDArray[np.float32] | None = None,
) -> ad.AnnData:
    """Build an AnnData of generated counts, labels and latents.

    Parameters
    ----------
    counts
        Whole numbers, shape ``(N, G)``.
    obs
        Conditions, ``N`` rows; its index names the cells.
    var
        The genes, ``G`` rows.
    uns
        Metadata of the cells, such as the seed.
    latents
        Latents, shape ``(N, D)``.

    Returns
    -------
    Cells with ``X`` as CSR ``int32``, the conditions, ``obs['source']`` = ``'generated'`` and, where latents are given,
    ``obsm['X_scdiffuse']``.
    """
    table, obsm = _with_source(obs), {} if latents is None else {OBSM_LATENT: latents}
    return ad.AnnData(X=sp.csr_matrix(counts, dtype=np.int32), obs=table, var=var.copy(), uns=dict(uns), obsm=obsm)


class H5adWriter:
    """Write cells to a ``.h5ad`` batch by batch, in memory that does not grow with their number.

    Use it as a context manager. The complete file appears when the block ends; if the block fails, no file appears.

    Parameters
    ----------
    path
        Path of the file.
    var
        The genes, ``G`` rows.
    overwrite
        Replace an existing file.

    Raises
    ------
    OutputExistsError
        The file exists and `overwrite` is false.
    SettingError
        The path does not end with ``.h5ad``.
    StorageError
        No permission, or the disk is full.
    """

    def __init__(self, path: str | Path, var: pd.DataFrame, *, overwrite: bool = False) -> None:
        require_ending(path, CELLS)
        self.path = Path(path)
        self.n_cells = 0
        self._var = var
        self._overwrite = overwrite
        self._n_values = 0
        self._is_open = False
        self._stack = ExitStack()
        self._columns: dict[str, h5py.Dataset] = {}
        self._latents: h5py.Dataset | None = None

    def __enter__(self) -> Self:
        """Open a temporary file in the same folder."""
        with ExitStack() as stack:
            partial = stack.enter_context(atomic_file(self.path, overwrite=self._overwrite))
            self._file = stack.enter_context(h5py.File(partial, "w"))
            label(self._file, "anndata", "0.1.0")
            x = self._file.create_group("X")
            label(x, "csr_matrix", "0.1.0")
            self._data = _growing(x, "data", np.int32)
            self._indices = _growing(x, "indices", np.int32)
            self._indptr = _growing(x, "indptr", np.int64)
            _extend(self._indptr, np.zeros(1, dtype=np.int64))
            ad.io.write_elem(self._file, "var", self._var)
            self._stack = stack.pop_all()
        self._is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file, or remove it if the block failed."""
        if not self._is_open:
            return
        if error is None:
            self.close({})
            return
        self._is_open = False
        with self._stack:
            raise error

    def append(self, counts: sp.csr_matrix, obs: pd.DataFrame, *, latents: NDArray[np.float32] | None = None) -> None:
        """Add cells at the end.

        Parameters
        ----------
        counts
            Whole numbers, shape ``(B, G)``.
        obs
            Conditions, ``B`` rows: categories or numbers. Columns and categories are those of the first batch; the
            index names the cells.
        latents
            Latents, shape ``(B, D)``; given for every batch or for none.
        """
        rows = sp.csr_matrix(counts)
        rows.sort_indices()
        _extend(self._data, rows.data)
        _extend(self._indices, rows.indices)
        _extend(self._indptr, rows.indptr[1:].astype(np.int64) + self._n_values)
        table = _with_source(obs)
        if not self._columns:
            self._begin_obs(table)
        for name, column in self._columns.items():
            values = table[name] if name in table else pd.Series(table.index)
            _extend(column, values.cat.codes if isinstance(values.dtype, pd.CategoricalDtype) else values)
        if latents is not None:
            if self._latents is None:
                self._latents = self._begin_latents(latents.shape[1])
            _extend(self._latents, latents)
        self._n_values += rows.nnz
        self.n_cells += rows.shape[0]

    def take(self, path: str | Path) -> None:
        """Add the cells of another file at the end, piece by piece.

        Parameters
        ----------
        path
            File of another writer, with the same genes and columns; at least one cell was appended before.
        """
        with h5py.File(path) as file:
            x, obs = file["X"], file["obs"]
            known = [name for name in self._columns if name in obs]  # a name such as "tissue/type" is a path
            stored = {name: obs[name]["codes"] if isinstance(obs[name], h5py.Group) else obs[name] for name in known}
            pairs = [(self._data, x["data"]), (self._indices, x["indices"])]
            pairs += [(self._columns[name], values) for name, values in stored.items()]
            pairs += [] if self._latents is None else [(self._latents, file["obsm"][OBSM_LATENT])]
            for target, values in pairs:
                for begin in range(0, len(values), _VALUES_AT_ONCE):
                    _extend(target, values[begin : begin + _VALUES_AT_ONCE])
            for begin in range(1, len(x["indptr"]), _VALUES_AT_ONCE):
                _extend(self._indptr, x["indptr"][begin : begin + _VALUES_AT_ONCE].astype(np.int64) + self._n_values)
            self._n_values += len(x["data"])
            self.n_cells += len(x["indptr"]) - 1

    def close(self, uns: Mapping[str, Any]) -> None:
        """Finish the file and move it to its place; leaving the block does so without `uns`.

        Parameters
        ----------
        uns
            Nested mapping of text, numbers and arrays.
        """
        with self._stack:
            self._is_open = False
            if not self._columns:
                ad.io.write_elem(self._file, "obs", pd.DataFrame(index=pd.Index([], dtype=str)))
            index_type = np.int32 if self._n_values <= np.iinfo(np.int32).max else np.int64
            for name in ("indices", "indptr"):  # readers take them as they are, and scipy needs both of one type
                _retype(self._file["X"], name, index_type)
            self._file["X"].attrs["shape"] = np.array([self.n_cells, len(self._var)])
            ad.io.write_elem(self._file, "uns", dict(uns))

    def _begin_latents(self, width: int) -> h5py.Dataset:
        """Create the entry of `obsm` in the layout of AnnData."""
        obsm = self._file.create_group("obsm")
        label(obsm, "dict", "0.1.0")
        shape, chunk = (0, width), (max(1, _CHUNK_VALUES // width), width)
        dataset = obsm.create_dataset(OBSM_LATENT, shape, maxshape=(None, width), dtype=np.float32, chunks=chunk)
        label(dataset, "array", "0.2.0")
        return dataset

    def _begin_obs(self, table: pd.DataFrame) -> None:
        """Create the columns in the layout of AnnData."""
        obs = self._file.create_group("obs")
        label(obs, "dataframe", "0.2.0")
        obs.attrs["_index"] = "_index"
        obs.attrs["column-order"] = np.array(list(table.columns), dtype=h5py.string_dtype())
        self._columns["_index"] = _growing(obs, "_index", h5py.string_dtype())
        for name, column in table.items():
            if isinstance(column.dtype, pd.CategoricalDtype):
                group = obs.create_group(str(name))
                label(group, "categorical", "0.2.0")
                group.attrs["ordered"] = False
                ad.io.write_elem(group, "categories", column.cat.categories.to_numpy())
                self._columns[str(name)] = _growing(group, "codes", column.cat.codes.to_numpy().dtype)
            else:
                self._columns[str(name)] = _growing(obs, str(name), column.to_numpy().dtype)


def _with_source(obs: pd.DataFrame) -> pd.DataFrame:
    table = obs.assign(**{OBS_SOURCE: pd.Categorical(["generated"] * len(obs), categories=["generated"])})
    return table.set_axis(obs.index.astype(str))


def _growing(group: h5py.Group, name: str, dtype: DTypeLike) -> h5py.Dataset:
    is_text = h5py.check_string_dtype(np.dtype(dtype)) is not None
    dataset = group.create_dataset(
        name, (0,), maxshape=(None,), dtype=dtype, chunks=(_CHUNK_VALUES,), **({} if is_text else _COMPRESSION)
    )
    label(dataset, "string-array" if is_text else "array", "0.2.0")
    return dataset


def _retype(group: h5py.Group, name: str, dtype: DTypeLike) -> None:
    """Store whole numbers in another type, piece by piece."""
    values = group[name]
    if values.dtype == dtype:
        return
    del group[name]  # the numbers stay until `values` is gone
    stored = _growing(group, name, dtype)
    for begin in range(0, len(values), _RETYPED_AT_ONCE):
        _extend(stored, values[begin : begin + _RETYPED_AT_ONCE])


def _extend(dataset: h5py.Dataset, values: NDArray[Any] | pd.Series[Any]) -> None:
    begin = dataset.shape[0]
    dataset.resize(begin + len(values), axis=0)
    dataset[begin:] = np.asarray(values)
