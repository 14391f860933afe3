"""Where cells come from, as their `uns` says: organism, source and licence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import anndata as ad

from scdiffuse._core.errors import UserError
from scdiffuse._core.text import one_line
from scdiffuse.cells._h5ad import open_h5ad
from scdiffuse.cells._rows import Stored
from scdiffuse.cells._shards import is_shards, open_shard
from scdiffuse.cells._sources import CellData
from scdiffuse.cells._structure import reading
from scdiffuse.cells._zarr import list_datasets, open_zarr

__all__ = ["DataOrigin", "describe_origin", "read_origin", "uns_of"]

_LONGEST = 300
_NAMES = {
    "organism": ("organism", "species"),
    "source": ("name", "title", "source", "publication", "citation"),
    "licence": ("licence", "license"),
}
_TOP_NAMES = {"organism": ("organism", "species"), "source": ("title", "citation"), "licence": ("licence", "license")}


class DataOrigin(TypedDict):
    """Where cells come from; empty text where that is not given."""

    organism: str
    source: str
    """Name of the data, study or publication."""
    licence: str


def describe_origin(uns: Mapping[str, Any]) -> DataOrigin:
    """Read organism, source and licence from `uns`; nothing is guessed.

    Parameters
    ----------
    uns
        ``uns["source"]`` is text, or a mapping with ``name`` (or ``title``, ``publication``), ``organism`` and
        ``licence``; ``organism``, ``title`` and ``licence`` may also be entries of their own.

    Examples
    --------
    >>> describe_origin({"source": {"name": "PBMC 3k", "species": "human"}})
    {'organism': 'human', 'source': 'PBMC 3k', 'licence': ''}
    """
    given = uns.get("source")
    inner = given if isinstance(given, Mapping) else {"source": given}
    found = {key: _first(inner, names) or _first(uns, _TOP_NAMES[key]) for key, names in _NAMES.items()}
    return DataOrigin(organism=found["organism"], source=found["source"], licence=found["licence"])


def uns_of(origin: DataOrigin) -> dict[str, dict[str, str]]:
    """Write an origin as the `uns` that `describe_origin` reads.

    Parameters
    ----------
    origin
        What it returned.
    """
    given = {_NAMES[key][0]: text for key, text in origin.items() if isinstance(text, str) and text}
    return {"source": given} if given else {}


def read_origin(data: CellData) -> DataOrigin:
    """Read organism, source and licence of cells in memory or in a format of AnnData, of several the first.

    Parameters
    ----------
    data
        Cells as for `open_source`; formats that hold no `uns` say nothing.
    """
    if not isinstance(data, ad.AnnData | str | Path):
        return read_origin(data[0]) if data else describe_origin({})
    if isinstance(data, ad.AnnData):
        return describe_origin(data.uns)
    keys = {"source", *(name for names in _TOP_NAMES.values() for name in names)}
    try:
        with reading("`uns`"):
            stored = _open(Path(data)).get("uns", {})
            return describe_origin({key: ad.io.read_elem(stored[key]) for key in keys & set(stored)})
    except UserError:  # what cannot be read of a remark ends no fit
        return describe_origin({})


def _open(path: Path) -> Stored:
    """Open the file or group whose `uns` speaks for the cells of a path: of a collection, that of its first part."""
    if is_shards(path):
        return open_shard(path)
    file = open_zarr(path) if path.is_dir() else open_h5ad(path)
    return file if "uns" in file else next(iter(list_datasets(file)), file)


def _first(given: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Return the first of several entries that holds text, on one line."""
    texts = (str(given[name]) for name in names if isinstance(given.get(name), str) and given[name].strip())
    line = one_line(next(texts, "").strip())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."
