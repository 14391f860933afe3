"""Read cells of any format into memory, with labels from a table beside them."""

from __future__ import annotations

import warnings
from pathlib import Path

import anndata as ad
import pandas as pd
import scipy.sparse as sp

from scdiffuse._core.errors import DataFileError, ScdiffuseWarning
from scdiffuse.cells._find import find_counts
from scdiffuse.cells._sources import CellData, open_source
from scdiffuse.cells._structure import reading

__all__ = ["add_labels", "label_obs", "read_cells"]


def read_cells(data: CellData, *, layer: str | None = None, round_counts: bool = False) -> ad.AnnData:
    """Read cells into memory, with counts in `X`.

    Parameters
    ----------
    data, layer, round_counts
        As for `open_source`; counts are found where they are if no layer is named, as by `find_counts`.

    Returns
    -------
    The cells. All slots of one ``.h5ad`` whose `X` holds the counts; counts, `obs` and `var` otherwise.

    Warns
    -----
    ScdiffuseWarning
        Counts are read from another place than `X`.
    """
    if not isinstance(data, ad.AnnData | str | Path) and len(data) == 1:
        data = data[0]
    place = find_counts(data, layer=layer, round_counts=round_counts)
    if place.message:
        warnings.warn(place.message, ScdiffuseWarning, stacklevel=3)
    source = open_source(place.data, layer=place.layer, round_counts=round_counts)
    if place.layer is None and not round_counts:
        if isinstance(place.data, ad.AnnData):
            return place.data
        if isinstance(place.data, str | Path) and Path(place.data).is_file():
            with reading(repr(str(place.data))):
                return ad.read_h5ad(place.data)
    counts = sp.vstack([block for _, block in source.blocks()], format="csr")
    return ad.AnnData(counts, obs=source.obs.copy(), var=source.var.copy())


def add_labels(adata: ad.AnnData, labels: pd.DataFrame) -> ad.AnnData:
    """Add columns of a table to `obs`, by the names of the cells.

    Parameters
    ----------
    adata
        Cells.
    labels
        As for `label_obs`.

    Returns
    -------
    A copy of the cells with the columns.
    """
    labelled = adata.copy()
    labelled.obs = label_obs(adata.obs, labels)
    return labelled


def label_obs(obs: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Add columns of a table to those of the cells, by their names.

    Parameters
    ----------
    obs
        One row a cell.
    labels
        One row a cell, as `read_labels` reads it; columns replace those of the same name.

    Returns
    -------
    A copy with the columns; cells without a row get missing values.

    Raises
    ------
    DataFileError
        No cell has a row, or a cell has two.

    Warns
    -----
    ScdiffuseWarning
        Some cells have no row, with their number.
    """
    if not labels.index.is_unique:
        twice = labels.index[labels.index.duplicated()][0]
        msg = (
            f"The table of labels names the cell {twice!r} more than once; expected one row a cell. Remove the others."
        )
        raise DataFileError(msg)
    n_found = int(obs.index.isin(labels.index).sum())
    if not n_found:
        ours, theirs = (", ".join(map(repr, names[:2])) for names in (obs.index, labels.index))
        msg = f"No cell has a row in the table of labels: cells are named {ours}, its rows {theirs}; expected the same"
        raise DataFileError(msg + " names. Correct the first column of the table.")
    if n_found < len(obs):
        msg = f"{len(obs) - n_found:,} of {len(obs):,} cells have no row in the table; their labels are missing."
        warnings.warn(msg, ScdiffuseWarning, stacklevel=3)
    return obs.assign(**{str(name): column for name, column in labels.reindex(obs.index).items()})
