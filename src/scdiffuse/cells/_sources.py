"""Open cells of any format as a source of raw counts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import anndata as ad
import numpy as np
import pandas as pd

from scdiffuse._core.errors import CountsError, ScdiffuseWarning, SettingError, UnknownNameError, did_you_mean
from scdiffuse.cells._embedding import SourceWithEmbedding, read_obsm
from scdiffuse.cells._formats import read_foreign
from scdiffuse.cells._h5ad import RAW, list_layers, matrix_element, open_h5ad, read_frame, require_raw
from scdiffuse.cells._joined import JoinedSource, join_var, name_places
from scdiffuse.cells._rounded import RoundedSource
from scdiffuse.cells._rows import Matrix, MemorySource, Source, Stored
from scdiffuse.cells._shards import is_shards, open_shards
from scdiffuse.cells._stored import DenseSource, SparseSource
from scdiffuse.cells._structure import is_array, reading, require_columns, require_matrix
from scdiffuse.cells._zarr import list_datasets, open_zarr

__all__ = ["RAW", "CellData", "name_of", "open_source", "require_cells"]

Place: TypeAlias = ad.AnnData | str | Path
"""Cells in memory or backed, or a path: a ``.h5ad`` file, a ``.zarr`` store, or a folder of shards."""
CellData: TypeAlias = Place | Sequence[Place]
"""Cells as the user gives them: one object or path, or several."""


def open_source(
    data: CellData,
    *,
    layer: str | None = None,
    genes: Sequence[str] | None = None,
    obsm_key: str | None = None,
    round_counts: bool = False,
) -> Source:
    """Open cells of any format for reading.

    Rows stored one after another on disk (CSR or dense, given by the path or as a backed object) are read on request,
    so that memory does not grow with the number of cells. A matrix stored by columns, a view of a backed object and its
    layers are loaded whole.

    Parameters
    ----------
    data
        Cells in memory or backed; the path of a ``.h5ad`` file, a ``.zarr`` store or collection of `annbatch`, a folder
        of shards, or a file of another tool (``.h5`` or folder of 10x Genomics, ``.mtx``, ``.loom``, ``.csv``,
        ``.tsv``); or several of these, with the genes that all have.
    layer
        The layer that holds raw counts; `None` reads `X`, ``"raw.X"`` reads ``adata.raw``.
    genes
        Names of the genes to read, in this order; `None` reads all.
    obsm_key
        Entry of `obsm` that rows have beside their counts; `None` for counts alone.
    round_counts
        Round values with decimals to whole counts.

    Returns
    -------
    The cells. Their values are not checked: see `check_counts`.

    Raises
    ------
    DataFileError
        The file is missing, unreadable, truncated or does not hold cells.
    UnknownNameError
        There is no such layer or entry of `obsm`.
    GenesError
        Some of `genes` are missing from the data or not unique, or several files have no gene in common.
    CountsError
        There is no matrix, or it does not hold numbers.
    SettingError
        `data` is an empty list or no cells, or the entry of `obsm` does not hold finite numbers.

    Warns
    -----
    UserWarning
        Genes that only some of several files have are left out; the message counts them.
    """
    require_cells(data)
    if obsm_key is not None:
        counts = open_source(data, layer=layer, genes=genes, round_counts=round_counts)
        return SourceWithEmbedding(counts, read_obsm(data, obsm_key))
    if round_counts:
        return RoundedSource(open_source(data, layer=layer, genes=genes))
    if not isinstance(data, Place):
        return _join(data, layer=layer, genes=genes)
    if isinstance(data, ad.AnnData):
        matrix, var = _matrix_of(data, layer)
        return _source(matrix, data.obs, var, genes=genes, name=name_of(layer))
    read = read_foreign(Path(data))
    if read is not None:
        return open_source(read, layer=layer, genes=genes)
    return _open_path(Path(data), layer=layer, genes=genes)


def require_cells(data: object) -> None:
    """Check that something is cells, or a path of cells, or several of these.

    Parameters
    ----------
    data
        What the user gave.

    Raises
    ------
    SettingError
        It is something else, such as a bare matrix or a table.
    """
    is_several = (isinstance(data, Sequence) and not isinstance(data, str)) or getattr(data, "ndim", 0) == 1
    for one in data if is_several else [data]:  # type: ignore[attr-defined]
        if not isinstance(one, Place):
            msg = f"The cells are of type {type(one).__name__}; expected an AnnData, the path of a file, or a list of"
            raise SettingError(msg + " these. Put a matrix or a table into `anndata.AnnData(X, obs=..., var=...)`.")


def _open_path(path: Path, *, layer: str | None, genes: Sequence[str] | None) -> Source:
    """Open the cells of a path."""
    if is_shards(path):
        return open_shards(path, layer=layer, genes=genes)
    file = open_zarr(path) if path.is_dir() else open_h5ad(path)
    parts = [_read(part, layer=layer, genes=genes) for part in list_datasets(file)]
    if parts:
        return JoinedSource(parts, [str(at) for at in range(len(parts))])
    with reading(f"`obs` of {str(path)!r}"):
        is_old = bool(getattr(file["obs"], "dtype", np.dtype("f")).names)  # before anndata 0.7: no tables on their own
    if not is_old:
        return _read(file, layer=layer, genes=genes)
    with reading(f"{str(path)!r}"):
        whole = ad.read_h5ad(path)
    return open_source(whole, layer=layer, genes=genes)


def _read(file: Stored, *, layer: str | None, genes: Sequence[str] | None) -> Source:
    """Read the labels of an open file, and choose how to read its matrix."""
    obs = read_frame(file, "obs")
    if layer == RAW and layer not in list_layers(file) and "raw" in file:
        file, layer = file["raw"], None
    return _source(matrix_element(file, layer), obs, read_frame(file, "var"), genes=genes, name=name_of(layer))


def _source(element: Matrix, obs: pd.DataFrame, var: pd.DataFrame, *, genes: Sequence[str] | None, name: str) -> Source:
    """Choose how to read a matrix."""
    if not hasattr(element, "attrs"):
        return MemorySource(element, obs, var, genes=genes)
    if "h5sparse_format" in element.attrs:  # written by anndata before 0.7
        with reading(name):
            whole = ad.io.read_elem(element)
        return MemorySource(whole, obs, var, genes=genes)
    require_matrix(element, (len(obs), len(var)), name=name)
    if is_array(element):
        return DenseSource(element, obs, var, genes=genes)
    if element.attrs["encoding-type"] == "csr_matrix":
        return SparseSource(element, obs, var, genes=genes)
    stored: Stored = element
    require_columns(stored["indices"][:], len(obs), name=name)
    with reading(name):
        whole = ad.io.read_elem(element)
    return MemorySource(whole, obs, var, genes=genes)


def name_of(layer: str | None) -> str:
    """Name a matrix, as a message begins."""
    return {None: "`X`", RAW: "`raw`"}.get(layer, f"Layer {layer!r}")


def _join(data: Sequence[Place], *, layer: str | None, genes: Sequence[str] | None) -> Source:
    """Open several files or objects with the genes that all have."""
    if len(data) == 1:
        return open_source(data[0], layer=layer, genes=genes)
    if not data:
        msg = "The list of cells is empty; expected at least one file."
        raise SettingError(msg)
    names = name_places(data)
    if genes is None:
        whole = [open_source(one, layer=layer) for one in data]
        genes = [str(gene) for gene in join_var([one.var for one in whole], "intersection").index]
        left = {name: one.n_genes - len(genes) for name, one in zip(names, whole, strict=True)}
        if any(left.values()):
            lost = ", ".join(f"{n:,} of {name!r}" for name, n in left.items() if n)
            msg = f"{len(data)} files share {len(genes):,} genes; genes that others lack are left out: {lost}."
            warnings.warn(msg, ScdiffuseWarning, stacklevel=3)
    return JoinedSource([open_source(one, layer=layer, genes=genes) for one in data], names)


def _matrix_of(adata: ad.AnnData, layer: str | None) -> tuple[Matrix, pd.DataFrame]:
    """Find the matrix of an AnnData and its genes; rows of a backed object stay in its file."""
    if layer == RAW and layer not in adata.layers and adata.raw is not None:
        return adata.raw.X, adata.raw.var
    if layer is not None:
        if layer not in adata.layers:
            known = sorted(adata.layers)
            require_raw(layer, known)
            msg = f"`layer` {layer!r} is not a layer of the data; expected one of {known} or none for `X`."
            raise UnknownNameError(msg + did_you_mean(layer, known))
        return adata.layers[layer], adata.var
    if adata.isbacked and not adata.is_view:
        return adata.file["X"], adata.var
    if adata.X is None:
        known = sorted(adata.layers)
        advice = f"Name one of the layers {known} as `layer`." if known else "Put them into `adata.X`."
        msg = f"`adata.X` is empty; expected raw counts. {advice}"
        raise CountsError(msg)
    return adata.X, adata.var
