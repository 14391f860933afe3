"""Check raw counts before anything is fitted, and say what to do about other values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import scipy.sparse as sp

from scdiffuse._core.errors import CountsError, GenesError
from scdiffuse.cells._h5ad import open_h5ad
from scdiffuse.cells._rows import Matrix, Source, sparse_rows
from scdiffuse.cells._sources import CellData, open_source

__all__ = ["check_counts", "check_names", "require_counts"]

MAX_COUNT = (1 << 24) - 1
"""Largest count of a gene in a cell; ``float32``, in which counts are read, holds all whole numbers up to it."""
MAX_CELL_COUNTS = 100_000_000
"""Most counts of a cell; the deepest cells have some million."""
_ROWS_FOR_A_HINT = 1024


def check_counts(data: Source | CellData, *, layer: str | None = None) -> Source:
    """Open cells and check that they are raw counts.

    Every value must be finite, not negative and whole; values are read block by block.

    Parameters
    ----------
    data
        Cells as for `open_source`, or an open source.
    layer
        The layer that holds raw counts; `None` reads `X`. Not used for an open source.

    Returns
    -------
    The cells, open for reading.

    Raises
    ------
    CountsError
        There are no cells or genes, two cells share a name, or a value is not a count. For data that look normalised
        the message names the layers that do hold counts.
    GenesError
        Two genes share a name.
    """
    if isinstance(data, ad.AnnData | str | Path | Sequence):
        source = open_source(data, layer=layer)
        name = "`X`" if layer is None else f"Layer {layer!r}"
    else:
        source, name = data, "The matrix"
    check_names(source)
    for _, block in source.blocks():
        require_counts(block, name, data)
    return source


def require_counts(block: sp.csr_matrix, name: str, data: Source | CellData) -> None:
    """Check that values are counts.

    Parameters
    ----------
    block
        Rows of counts.
    name
        Name of the matrix, for the message.
    data
        Where the matrix is from, to look for counts elsewhere.

    Raises
    ------
    CountsError
        A value is not a count.
    """
    trouble = _trouble(block)
    if trouble:
        msg = f"{name} {trouble}; expected raw counts: whole numbers, not negative. {_advice(data)}"
        raise CountsError(msg)
    excess = _excess(block)
    if excess:
        msg = f"{name} {excess}. Look for a column of totals or ids among the genes, and leave it out."
        raise CountsError(msg)


def check_names(source: Source) -> None:
    """Check that data are not empty and that names are unique.

    Parameters
    ----------
    source
        The cells.

    Raises
    ------
    CountsError
        There are no cells or genes, or two cells share a name.
    GenesError
        Two genes share a name.
    """
    if source.n_cells == 0 or source.n_genes == 0:
        msg = f"The data hold {source.n_cells} cells and {source.n_genes} genes; expected at least one of each."
        raise CountsError(msg + " Check the filters that were applied before.")
    for names, slot, kind in ((source.var.index, "var", GenesError), (source.obs.index, "obs", CountsError)):
        twice = names[names.duplicated()]
        if len(twice):
            msg = f"{len(twice)} of `{slot}_names` repeat an earlier one, such as {twice[0]!r}; expected unique names."
            raise kind(msg + f" Run `adata.{slot}_names_make_unique()`.")


def _trouble(block: sp.csr_matrix) -> str:
    """Describe what is wrong with some values; empty for counts."""
    values = block.data
    n_bad = int(np.count_nonzero(~np.isfinite(values)))
    if n_bad:
        return f"holds NaN or infinite values ({n_bad} among {block.shape[0]} cells)"
    if values.size and values.min() < 0:
        return f"holds negative values such as {values.min():.4g}, as scaled data do"
    fractions = values[values != np.rint(values)]
    if fractions.size:
        kind = "log-normalised" if values.max() < 30 else "normalised"
        return f"looks {kind}: it holds fractions such as {fractions[0]:.4g}"
    return ""


def _excess(block: sp.csr_matrix) -> str:
    """Describe counts that no cell has, which would take minutes to draw from; empty for others."""
    largest = float(block.data.max(initial=0))
    if largest > MAX_COUNT:
        return f"holds a count of {largest:.4g}; expected at most {MAX_COUNT:,} of a gene in a cell"
    if largest * np.diff(block.indptr).max(initial=0) > MAX_CELL_COUNTS:
        deepest = float(block.sum(axis=1, dtype=np.float64).max())
        if deepest > MAX_CELL_COUNTS:
            return f"holds a cell of {deepest:.4g} counts; expected at most {MAX_CELL_COUNTS:,}"
    return ""


def _advice(data: Source | CellData) -> str:
    """Name the matrices of the same data that hold counts."""
    good = [how for how, matrix in _places(data) if _starts_with_counts(matrix)]
    if good:
        return f"Counts are elsewhere: {' or '.join(good)}."
    return "No other place in these data holds counts: load the matrix as it was measured."


def _places(data: Source | CellData) -> Iterator[tuple[str, Matrix | None]]:
    """Iterate over the matrices of the data and how to pass each."""
    if isinstance(data, ad.AnnData):
        yield "leave `layer` out", data.file["X"] if data.isbacked else data.X
        for layer, matrix in data.layers.items():
            yield f"pass `layer={layer!r}`", matrix
        if data.raw is not None:
            yield "pass `adata.raw.to_adata()`", data.raw.X
    elif isinstance(data, str | Path) and Path(data).is_file():
        file = open_h5ad(Path(data))
        for name in ("X", *(f"layers/{layer}" for layer in file.get("layers", ())), "raw/X"):
            if name in file:
                how = {"X": "leave `layer` out", "raw/X": "read the file and pass `adata.raw.to_adata()`"}
                yield how.get(name, f"pass `layer={name.removeprefix('layers/')!r}`"), file[name]


def _starts_with_counts(matrix: Matrix | None) -> bool:
    """Check the first rows only, for a hint."""
    if matrix is None:
        return False
    if isinstance(matrix, h5py.Group):
        matrix = ad.io.sparse_dataset(matrix)
    return not _trouble(sparse_rows(matrix[:_ROWS_FOR_A_HINT]))
