"""Opening the cells to compare: AnnData, or files of any format, whose counts are found where they are."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TypeAlias

import anndata as ad

from scdiffuse._core.errors import CountsError, ScdiffuseWarning, UserError
from scdiffuse._core.slots import OBS_SOURCE
from scdiffuse.cells import RAW, find_counts, read_cells, reading, require_cells

__all__ = ["CellsOrPath", "open_cells"]

CellsOrPath: TypeAlias = ad.AnnData | str | Path
_AS_THEY_ARE = ("generated", "predicted")
"""Cells that are taken as they are: what is wrong with them is part of the answer."""


def open_cells(cells: CellsOrPath, role: str, *, layer: str | None = None, round_counts: bool = False) -> ad.AnnData:
    """Open cells; those of an ``.h5ad`` file stay on disk where their counts are in `X` or in a layer.

    Parameters
    ----------
    cells
        AnnData or path, of any format that `scdiffuse.cells.open_source` reads.
    role
        Purpose of the cells, named in messages. Generated cells are taken as they are.
    layer
        Layer with the counts of real cells, or ``"raw.X"``. If not given, `X`; if that holds none, the one place that
        does.
    round_counts
        Round counts of real cells with decimals.

    Returns
    -------
    The cells, at least one, with counts in the layer if one is named, and in `X` otherwise.

    Raises
    ------
    DataFileError
        A path does not lead to readable cells.
    CountsError
        There are no cells.
    SettingError
        They are neither an AnnData nor a path.

    Warns
    -----
    ScdiffuseWarning
        Real cells are among the generated ones.
    """
    require_cells(cells)
    is_real = role not in _AS_THEY_ARE
    if isinstance(cells, ad.AnnData):
        table = cells
    elif not Path(cells).exists():
        return read_cells(cells)  # which says that there is no such file, and which one there is
    elif Path(cells).suffix == ".h5ad":
        with reading(f"`{role}` {str(cells)!r}"):
            table = ad.read_h5ad(cells, backed="r")
    else:
        read = _read(cells, layer=layer, round_counts=round_counts) if is_real else read_cells(cells)
        return _require_cells(read, role)
    _require_cells(table, role)
    if not is_real:
        _warn_of_real_cells(table, role)
    if is_real and (round_counts or layer == RAW or (layer is None and _are_elsewhere(cells))):
        return _read(cells, layer=layer, round_counts=round_counts)
    return table


def _are_elsewhere(cells: CellsOrPath) -> bool:
    """Return whether counts are in one place that is not `X`; what is wrong with cells is said where they are read."""
    try:
        return find_counts(cells).layer is not None
    except UserError:
        return False


def _read(cells: CellsOrPath, *, layer: str | None, round_counts: bool) -> ad.AnnData:
    """Read cells into memory, with their counts in `X` and in the layer that is named."""
    table = read_cells(cells, layer=layer, round_counts=round_counts)
    if layer is not None:
        table.layers[layer] = table.X
    return table


def _warn_of_real_cells(table: ad.AnnData, role: str) -> None:
    """Warn of real cells among generated ones, as `augment` puts them together."""
    n = int((table.obs[OBS_SOURCE].astype(str) == "real").sum()) if OBS_SOURCE in table.obs else 0
    if n:
        msg = f"{n:,} of {table.n_obs:,} `{role}` cells are real, says `obs[{OBS_SOURCE!r}]`; expected generated cells."
        msg += f" The results look better than they are. Keep `adata[adata.obs[{OBS_SOURCE!r}] == 'generated']`."
        warnings.warn(msg, ScdiffuseWarning, stacklevel=4)


def _require_cells(table: ad.AnnData, role: str) -> ad.AnnData:
    if not table.n_obs:
        msg = f"`{role}` holds no cells, expected at least one. Check the file, or the mask that selected its cells."
        raise CountsError(msg)
    return table
