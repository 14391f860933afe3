"""Check raw counts before anything is fitted, and say what to do about other values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anndata as ad
import scipy.sparse as sp

from scdiffuse._core.errors import CountsError, GenesError
from scdiffuse.cells._find import advice
from scdiffuse.cells._rows import Source
from scdiffuse.cells._sources import CellData, name_of, open_source
from scdiffuse.cells._values import excess, trouble

__all__ = ["check_counts", "check_names", "require_counts"]


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
        name = name_of(layer)
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
    why = trouble(block)
    if why:
        msg = f"{name} {why}; expected raw counts: whole numbers, not negative. {advice(data)}"
        raise CountsError(msg)
    too_many = excess(block)
    if too_many:
        msg = f"{name} {too_many}. Look for a column of totals or ids among the genes, and leave it out."
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
