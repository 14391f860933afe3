"""Some cells of any file, to look at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import UnknownNameError, did_you_mean
from scdiffuse._core.random import generator
from scdiffuse.cells import Source, find_counts, open_source

__all__ = ["Renamed", "SampledCells", "rename_labels", "sample_cells"]

Renamed: TypeAlias = Mapping[str, Mapping[str, str | None]]
"""New label by column of `obs` and label; `None` counts as missing."""


class SampledCells(NamedTuple):
    """Some cells of a file."""

    adata: ad.AnnData
    """Counts in `X` (CSR ``float32``), `obs` and `var`."""
    n_cells: int
    """Cells in the file."""
    obs: pd.DataFrame
    """Columns of `obs` of all cells in the file."""
    layer: str | None
    """Where the counts are."""
    message: str
    """Why they are read from there, where that was not asked for and it is not `X`."""


def sample_cells(
    path: str | Path,
    *,
    n_cells: int,
    layer: str | None = None,
    round_counts: bool = False,
    renamed: Renamed | None = None,
    seed: int = 0,
) -> SampledCells:
    """Read cells drawn at random from a file of any format, with counts in `X`.

    Values need not be counts: a look at the cells shows what they are.

    Parameters
    ----------
    path
        The file or folder.
    n_cells
        Most cells to read; all of them, in their order, if there are no more.
    layer, round_counts
        As for `CellGenerator`.
    renamed
        Labels to rename, as for `rename_labels`.
    seed
        Seed of the draw.

    Returns
    -------
    The cells, in the order of the file.

    Raises
    ------
    DataFileError
        The path holds no readable cells.
    """
    place = find_counts(path, layer=layer, round_counts=round_counts)
    source = open_source(place.data, layer=place.layer, round_counts=round_counts)
    obs = rename_labels(source.obs, renamed or {})
    rows = np.arange(source.n_cells)
    if source.n_cells > n_cells:
        rows = np.sort(generator(seed, "shown cells").choice(source.n_cells, n_cells, replace=False))
    adata = ad.AnnData(_read(source, rows), obs=obs.iloc[rows].copy(), var=source.var.copy())
    return SampledCells(adata, source.n_cells, obs, place.layer, place.message)


def _read(source: Source, rows: NDArray[np.int64]) -> object:
    """Read rows in blocks, so that an open file is asked for few of them at a time."""
    import scipy.sparse as sp

    parts = [source.rows(rows[at : at + _AT_ONCE]) for at in range(0, len(rows), _AT_ONCE)]
    return sp.vstack(parts, format="csr") if parts else source.rows(rows)


_AT_ONCE = 4096


def rename_labels(obs: pd.DataFrame, renamed: Renamed) -> pd.DataFrame:
    """Rename labels: merge some into one, or count some as missing.

    Parameters
    ----------
    obs
        Labels of cells.
    renamed
        New label by column and label, written as text.

    Returns
    -------
    A copy with these columns changed; they hold text.

    Raises
    ------
    UnknownNameError
        There is no such column.

    Examples
    --------
    >>> obs = pd.DataFrame({"cell_type": ["B", "Bp", "T", "?"]})
    >>> list(rename_labels(obs, {"cell_type": {"Bp": "B", "?": None}})["cell_type"])
    ['B', 'B', 'T', None]
    """
    if not renamed:
        return obs
    changed = obs.copy()
    for name, labels in renamed.items():
        if name not in obs:
            msg = f"{name!r} is not a column of `obs`; expected one of {list(map(str, obs.columns))}."
            raise UnknownNameError(msg + did_you_mean(name, obs.columns))
        text = [None if pd.isna(label) else str(label) for label in obs[name]]
        changed[name] = pd.Series(
            [label if label is None else labels.get(label, label) for label in text], index=obs.index, dtype=object
        )
    return changed
