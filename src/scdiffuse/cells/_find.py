"""Find the one place of the data that holds raw counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import anndata as ad
import numpy as np
import scipy.sparse as sp

from scdiffuse._core.errors import CountsError, UserError
from scdiffuse.cells._formats import read_foreign
from scdiffuse.cells._h5ad import list_layers, open_h5ad
from scdiffuse.cells._rows import Source
from scdiffuse.cells._shards import is_shards
from scdiffuse.cells._sources import RAW, CellData, open_source, require_cells
from scdiffuse.cells._values import are_logs, is_decimal, trouble

__all__ = ["CountsPlace", "find_counts", "list_counts"]

_ROWS = 1024


class CountsPlace(NamedTuple):
    """Cells, and the place in them that holds counts."""

    data: CellData
    """The cells; formats of other tools are in memory."""
    layer: str | None
    """Layer to read, as for `open_source`."""
    message: str = ""
    """Why this place was chosen, where none was named and it is not `X`."""


def find_counts(data: CellData, *, layer: str | None = None, round_counts: bool = False) -> CountsPlace:
    """Find where counts are, if none is named and exactly one place has them.

    The first rows of `X`, of each layer and of `raw` are looked at. Places with the same counts are one place.

    Parameters
    ----------
    data
        Cells as for `open_source`.
    layer
        The layer that the user names; it is taken without a look.
    round_counts
        Take `X` if it can be rounded to counts, whatever other places hold.

    Returns
    -------
    The cells and the place; the place of `X` where no other, or several, hold counts.

    Raises
    ------
    SettingError
        `data` is no cells.
    """
    require_cells(data)
    if not isinstance(data, ad.AnnData | str | Path) and len(data) == 1:
        data = data[0]
    if not isinstance(data, ad.AnnData | str | Path):
        places = [find_counts(one, layer=layer, round_counts=round_counts) for one in data]
        opened = [place.data for place in places]
        if len({place.layer for place in places}) > 1:
            return CountsPlace(opened, layer)
        return CountsPlace(opened, *(places[0][1:] if places else (layer,)))
    if not isinstance(data, ad.AnnData):
        read = read_foreign(Path(data))
        data = data if read is None else read
    if layer is not None or not _has_choice(data):
        return CountsPlace(data, layer)
    why = _why_not(data, round_counts=round_counts)
    if not why:
        return CountsPlace(data, None)
    good = list_counts(data)
    if len(good) != 1:
        return CountsPlace(data, None)
    where = "`raw`" if good[0] == RAW else f"layer {good[0]!r}"
    return CountsPlace(data, good[0], f"Counts are read from {where}, the one place that holds them: {why}.")


def list_counts(data: ad.AnnData | str | Path) -> list[str | None]:
    """List the places whose first rows are counts, each set of counts once.

    Parameters
    ----------
    data
        One AnnData or path.

    Returns
    -------
    Layers as `open_source` takes them: `None` for `X`, names of layers, and ``"raw.X"``.
    """
    good: list[str | None] = []
    heads: list[tuple[list[str], sp.csr_matrix]] = []
    for layer in _list_places(data):
        try:
            source = open_source(data, layer=layer)
            head = _head(source)
        except UserError:
            continue
        if trouble(head) or not head.nnz:
            continue
        genes = list(source.genes)
        if not any(genes == others and (head != other).nnz == 0 for others, other in heads):
            good.append(layer)
            heads.append((genes, head))
    return good


def _why_not(data: ad.AnnData | str | Path, *, round_counts: bool) -> str:
    """Describe why `X` does not hold counts, or decimals to round if asked; empty where it does."""
    try:
        head = _head(open_source(data))
    except CountsError as error:
        return str(error).partition(";")[0]
    why = "" if round_counts and is_decimal(head) and not are_logs(head) else trouble(head)
    return f"`X` {why}" if why else ""


def _head(source: Source) -> sp.csr_matrix:
    return source.rows(np.arange(min(_ROWS, source.n_cells)))


def _has_choice(data: ad.AnnData | str | Path) -> bool:
    """Return whether data hold more than one matrix."""
    return len(list(_list_places(data))) > 1


def _list_places(data: ad.AnnData | str | Path) -> Iterator[str | None]:
    """Iterate over the matrices of cells: `X`, layers, `raw`."""
    if isinstance(data, ad.AnnData):
        yield None
        yield from sorted(map(str, data.layers))
        if data.raw is not None:
            yield RAW
        return
    path = Path(data)
    yield None
    if path.is_dir():
        if is_shards(path):
            return
        from scdiffuse.cells._zarr import list_datasets, open_zarr

        file = open_zarr(path)
        if list_datasets(file):
            return
    else:
        file = open_h5ad(path)
    yield from list_layers(file)
    if "raw" in file and "X" in file["raw"]:
        yield RAW


def advice(data: Source | CellData) -> str:
    """Name the matrices of the same data that hold counts, for a message.

    Parameters
    ----------
    data
        Cells as for `open_source`; of an open source nothing else is known.
    """
    places = [data] if isinstance(data, ad.AnnData | str | Path) else data if isinstance(data, Sequence) else []
    found = [list_counts(one) for one in places]
    good = [layer for layer in (found[0] if found else []) if all(layer in other for other in found)]
    if not good:
        return "No other place in these data holds counts: load the matrix as it was measured." + _rounding(data)
    how = ["leave `layer` out" if layer is None else f"pass `layer={layer!r}`" for layer in good]
    return f"Counts are elsewhere: {' or '.join(how)}."


def _rounding(data: Source | CellData) -> str:
    """Suggest rounding for counts with decimals: values that are not normalised."""
    if not isinstance(data, ad.AnnData | str | Path):
        return ""
    if not is_decimal(_head(open_source(data))):
        return ""
    return " If they are counts with decimals, as of SoupX, pass `round_counts=True` to fit a model, which keeps to it."
