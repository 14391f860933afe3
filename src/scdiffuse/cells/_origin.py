"""Where cells come from, as their `uns` says: organism, source and licence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import anndata as ad

from scdiffuse._core.errors import UserError
from scdiffuse._core.text import one_line
from scdiffuse.cells._h5ad import open_h5ad
from scdiffuse.cells._sources import CellData
from scdiffuse.cells._structure import reading

__all__ = ["DataOrigin", "describe_origin", "read_origin"]

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


def read_origin(data: CellData) -> DataOrigin:
    """Read organism, source and licence of cells in memory or in a ``.h5ad`` file, of several the first.

    Parameters
    ----------
    data
        Cells as for `open_source`; formats that hold no `uns` say nothing.
    """
    if not isinstance(data, ad.AnnData | str | Path):
        return read_origin(data[0]) if data else describe_origin({})
    if isinstance(data, ad.AnnData):
        return describe_origin(data.uns)
    path = Path(data)
    if path.suffix != ".h5ad" or not path.is_file():
        return describe_origin({})
    keys = {"source", *(name for names in _TOP_NAMES.values() for name in names)}
    try:
        with reading("`uns`"), open_h5ad(path) as file:
            stored = file.get("uns", {})
            return describe_origin({key: ad.io.read_elem(stored[key]) for key in keys & set(stored)})
    except UserError:  # what cannot be read of a remark ends no fit
        return describe_origin({})


def _first(given: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Return the first of several entries that holds text, on one line."""
    texts = (str(given[name]) for name in names if isinstance(given.get(name), str) and given[name].strip())
    line = one_line(next(texts, "").strip())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."
