"""Read cells in the formats of other tools into memory: 10x Genomics, Matrix Market, loom and tables of text."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from scdiffuse._core.errors import DataFileError
from scdiffuse.cells._structure import reading
from scdiffuse.cells._tables import read_table

__all__ = ["read_foreign"]

_TABLES = (".csv", ".tsv", ".txt")
_ADVICE = {
    ".rds": "In R, run `sceasy::convertFormat(readRDS({path!r}), from='seurat', to='anndata', main_layer='counts', "
    "outFile={new!r})`",
    ".h5seurat": "In R, run `SeuratDisk::Convert({path!r}, dest='h5ad')`",
    ".h5mu": "Run `python -c \"import mudata; mudata.read({path!r})['rna'].write_h5ad({new!r})\"`",
    ".zip": "Unpack it",
    ".tar": "Unpack it",
}
_ADVICE |= {".rdata": _ADVICE[".rds"], ".rda": _ADVICE[".rds"]}
_CELL_IDS, _GENE_IDS = ("CellID", "obs_names", "cell_id", "barcode"), ("Gene", "var_names", "gene_symbol", "Accession")


def read_foreign(path: Path) -> ad.AnnData | None:
    """Read cells of a format other than AnnData's.

    Parameters
    ----------
    path
        A ``.h5`` of 10x Genomics, a folder with ``matrix.mtx`` or that file itself, a ``.loom``, or a table of text
        (``.csv``, ``.tsv``, ``.txt``), compressed or not.

    Returns
    -------
    The cells in memory; `None` for files and folders of AnnData, and for paths that do not exist. Genes that share a
    symbol get a number.

    Raises
    ------
    DataFileError
        The file is damaged, of a format that Python does not read, or it cannot be told where the genes are.
    """
    kind = _kind(path)
    if kind in _ADVICE and path.exists():
        new = str(path.with_suffix(".h5ad"))
        msg = f"{str(path)!r} is a `{kind}` file; expected cells that Python reads, such as `.h5ad`."
        msg += f" {_ADVICE[kind].format(path=str(path), new=new)}, then pass {new!r}."
        raise DataFileError(msg)
    reader = _reader(path, kind)
    if reader is None:
        return None
    with reading(f"{str(path)!r}"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are not unique: they are made so
        adata = reader(path)
        adata.var_names_make_unique()
    return adata


def _kind(path: Path) -> str:
    """Return the ending that says what a file is, in lower case and without that of a compression."""
    return (path.with_suffix("") if path.suffix.lower() in {".gz", ".bz2", ".xz"} else path).suffix.lower()


def _reader(path: Path, kind: str) -> Any:  # noqa: ANN401 - a function of a path, or None
    if path.is_dir():
        return _read_folder if any(_matrices(path)) else None
    if not path.is_file() or kind in {".h5ad", ".zarr"}:
        return None
    by_ending = {".mtx": _read_mtx} | dict.fromkeys(_TABLES, read_table)
    return by_ending[kind] if kind in by_ending else _hdf5_reader(path)


def _hdf5_reader(path: Path) -> Any:  # noqa: ANN401 - as above
    """Choose by what a file holds, whatever its ending is."""
    try:
        with h5py.File(path, "r") as file:
            if "row_attrs" in file and "col_attrs" in file:
                return _read_loom
            groups = [one for one in file.values() if isinstance(one, h5py.Group)]
            return _read_10x if "obs" not in file and any("barcodes" in group for group in groups) else None
    except (OSError, RuntimeError, KeyError):  # no HDF5, or a damaged one, which is reported where it is opened
        return None


def _read_10x(path: Path) -> ad.AnnData:
    """Read a ``.h5`` of Cell Ranger, gene expression only."""
    import scanpy as sc

    return sc.read_10x_h5(path)


def _read_folder(path: Path) -> ad.AnnData:
    """Read the one matrix of a folder."""
    found = _matrices(path)
    if len(found) > 1:
        names = ", ".join(repr(one.name) for one in found[:3])
        msg = f"{str(path)!r} holds {len(found)} matrices ({names}); expected one. Pass the path of each file."
        raise DataFileError(msg)
    return _read_mtx(found[0])


def _matrices(path: Path) -> list[Path]:
    return sorted(one for pattern in ("*matrix.mtx", "*matrix.mtx.gz") for one in path.glob(pattern))


def _read_mtx(path: Path) -> ad.AnnData:
    """Read a Matrix Market file of genes x cells, with the lists of genes and barcodes beside it."""
    from scipy.io import mmread

    prefix = path.name.split("matrix.mtx")[0] if "matrix.mtx" in path.name else ""
    genes = _beside(path, prefix, ("features.tsv", "genes.tsv"))
    cells = _beside(path, prefix, ("barcodes.tsv",))
    matrix = sp.csr_matrix(mmread(path))
    if matrix.shape != (len(genes), len(cells)) and matrix.shape == (len(cells), len(genes)):
        matrix = sp.csr_matrix(matrix.T)
    if matrix.shape != (len(genes), len(cells)):
        msg = f"{str(path)!r} has shape {matrix.shape}, and the lists beside it {len(genes):,} genes and"
        msg += f" {len(cells):,} cells; expected genes x cells. Copy the three files of one sample again."
        raise DataFileError(msg)
    symbols = genes[1] if genes.shape[1] > 1 else genes[0]
    var = pd.DataFrame({"gene_ids": genes[0].to_numpy()}, index=pd.Index(symbols.to_numpy(dtype=str)))
    if genes.shape[1] > 2:
        var["feature_types"] = genes[2].to_numpy()
    adata = ad.AnnData(
        sp.csr_matrix(matrix.T, dtype=np.float32), obs=pd.DataFrame(index=cells[0].to_numpy(dtype=str)), var=var
    )
    if "feature_types" in var and (var["feature_types"] == "Gene Expression").any():
        adata = adata[:, (var["feature_types"] == "Gene Expression").to_numpy()].copy()
    return adata


def _beside(path: Path, prefix: str, names: tuple[str, ...]) -> pd.DataFrame:
    """Read a list that stands beside a matrix."""
    for name in names:
        for ending in ("", ".gz"):
            place = path.with_name(f"{prefix}{name}{ending}")
            if place.is_file():
                return pd.read_csv(place, sep="\t", header=None, dtype=str, keep_default_na=False)
    msg = f"{str(path)!r} has no `{prefix}{names[0]}` beside it; expected the three files of one sample in one folder:"
    raise DataFileError(msg + " matrix, `features.tsv` (or `genes.tsv`) and `barcodes.tsv`, with or without `.gz`.")


def _read_loom(path: Path) -> ad.AnnData:
    """Read a loom file: genes x cells, with one-dimensional attributes of both."""
    with h5py.File(path, "r") as file:
        matrix = file["matrix"]
        n_genes, n_cells = matrix.shape
        blocks = [
            sp.csr_matrix(matrix[:, begin : begin + 4096].astype(np.float32).T) for begin in range(0, n_cells, 4096)
        ]
        obs = _attributes(file["col_attrs"], n_cells, _CELL_IDS)
        var = _attributes(file["row_attrs"], n_genes, _GENE_IDS)
    return ad.AnnData(sp.vstack(blocks, format="csr"), obs=obs, var=var)


def _attributes(group: h5py.Group, n: int, ids: tuple[str, ...]) -> pd.DataFrame:
    columns = {}
    for name, stored in group.items():
        if isinstance(stored, h5py.Dataset) and stored.shape == (n,):
            columns[name] = stored.asstr()[:] if h5py.check_string_dtype(stored.dtype) else stored[:]
    frame = pd.DataFrame(columns, index=pd.RangeIndex(n).astype(str))
    named = next((name for name in ids if name in frame), None)
    return frame if named is None else frame.set_index(frame[named].astype(str).rename(None)).drop(columns=named)
