"""Open `.h5ad` files, with plain messages for other files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from scdiffuse._core.errors import CountsError, DataFileError, UnknownNameError, did_you_mean
from scdiffuse.cells._rows import Stored
from scdiffuse.cells._structure import reading

__all__ = ["RAW", "label", "list_layers", "matrix_element", "open_h5ad", "read_frame", "require_raw"]

RAW = "raw.X"
"""In place of a layer: the counts of ``adata.raw``, with its genes."""

_GAPS = (type(None), type(pd.NA), type(pd.NaT))


def label(element: h5py.Group | h5py.Dataset, kind: str, version: str) -> None:
    """Write the encoding of an element as AnnData does.

    Parameters
    ----------
    element
        Element that is written.
    kind, version
        Encoding of the element.
    """
    element.attrs["encoding-type"] = kind
    element.attrs["encoding-version"] = version


def open_h5ad(path: Path) -> h5py.File:
    """Open a file of cells for reading.

    Parameters
    ----------
    path
        A ``.h5ad`` file.

    Returns
    -------
    The open file, which closes with its last reference.

    Raises
    ------
    DataFileError
        The file is missing, unreadable, truncated or not a ``.h5ad``.
    """
    if not path.is_file():
        others = [other.name for other in path.parent.glob("*.h5ad")] if path.parent.is_dir() else []
        msg = f"{str(path)!r} is not a file; expected a `.h5ad` file. Check the path."
        raise DataFileError(msg + did_you_mean(path.name, others))
    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError, KeyError) as error:  # h5py reports damaged headers as any of these
        raise DataFileError(_unreadable(path, error)) from error
    with reading(f"{str(path)!r}"):
        missing = [name for name in ("obs", "var") if name not in file]
    if missing:
        file.close()
        msg = (
            f"{str(path)!r} is an HDF5 file without `{'` and `'.join(missing)}`; expected a `.h5ad` file. "
            "Read it with the tool that wrote it and save it with `adata.write_h5ad`."
        )
        raise DataFileError(msg)
    return file


def matrix_element(file: Stored, layer: str | None) -> Stored:
    """Find the stored matrix of a file.

    Parameters
    ----------
    file
        An open ``.h5ad`` file or zarr group.
    layer
        Name of a layer; `None` for `X`.

    Returns
    -------
    The dataset (dense) or group (sparse), not read yet.

    Raises
    ------
    UnknownNameError
        There is no such layer.
    CountsError
        The file has no `X`.
    """
    known = list_layers(file)
    if layer is None and "X" in file:
        with reading(f"`X` of {_where(file)!r}"):
            return file["X"]
    if layer is None:
        msg = f"{_where(file)!r} has no `X`; expected raw counts."
        advice = (
            f" Name one of the layers {known} as `layer`." if known else " Write the cells with their counts in `X`."
        )
        raise CountsError(msg + advice)
    if layer not in known:
        require_raw(layer, known)
        msg = f"`layer` {layer!r} is not a layer of the data; expected one of {known} or none for `X`."
        raise UnknownNameError(msg + did_you_mean(layer, known))
    with reading(f"Layer {layer!r} of {_where(file)!r}"):
        return file["layers"][layer]


def require_raw(layer: str, known: Sequence[str]) -> None:
    """Refuse to read the counts of ``raw`` where there is none.

    Parameters
    ----------
    layer
        The layer that is asked for and not there.
    known
        Those that are.

    Raises
    ------
    UnknownNameError
        It stands for ``raw``.
    """
    if layer == RAW:
        msg = f"The counts of `raw` are asked for, and the data have no `raw`; expected one of the layers {list(known)}"
        raise UnknownNameError(msg + " or none for `X`. Name that as `layer`, or leave it out.")


def list_layers(file: Stored) -> list[str]:
    """List the names of the layers of an open file, sorted."""
    with reading(f"`layers` of {_where(file)!r}"):
        layers = file.get("layers", {})
        return sorted(layers) if hasattr(layers, "keys") else []


def read_frame(file: Stored, name: str) -> pd.DataFrame:
    """Read the labels of cells or genes.

    Parameters
    ----------
    file
        An open ``.h5ad`` file or zarr group.
    name
        ``"obs"`` or ``"var"``.

    Returns
    -------
    The table, indexed by name.

    Raises
    ------
    DataFileError
        The table is damaged.
    """
    import anndata as ad

    with reading(f"`{name}` of {_where(file)!r}"):
        frame = ad.io.read_elem(file[name])
    if not isinstance(frame, pd.DataFrame):
        msg = f"`{name}` of {_where(file)!r} is not a table; expected cells. Save them with `adata.write_h5ad`."
        raise DataFileError(msg)
    for column, values in frame.items():
        if not _is_plain(values):
            msg = f"`{name}` of {_where(file)!r} has values in the column {column!r} that are neither text nor numbers;"
            raise DataFileError(msg + " expected one text or number a row. Leave the column out, or convert it.")
    if not all(isinstance(one, str) for one in frame.index):
        frame.index = frame.index.astype(str)
    return frame


def _is_plain(column: pd.Series) -> bool:
    """Whether a column holds text, numbers, truth values, times or gaps, and nothing else."""
    if not pd.api.types.is_object_dtype(column.dtype):
        return getattr(column.dtype, "kind", "O") not in "Vc"
    kinds = set(map(type, column))
    return all(issubclass(kind, (str, bytes, bool, int, float, np.number, np.bool_, *_GAPS)) for kind in kinds)


def _where(file: Stored) -> str:
    return str(getattr(file, "filename", getattr(file, "store", file)))


def _unreadable(path: Path, error: Exception) -> str:
    """Describe why a file cannot be read: truncated, no permission, or another format."""
    reason = str(error)
    if "truncated" in reason:
        return f"{str(path)!r} is truncated: its end is missing. Copy or download it again; expected a whole `.h5ad`."
    if isinstance(error, PermissionError) or "Permission denied" in reason:
        return f"{str(path)!r} may not be read by this user. Ask for permission to read it, or copy it."
    if not path.stat().st_size:
        return f"{str(path)!r} is empty; expected a whole `.h5ad`. Copy or download it again."
    if path.suffix.lower() == ".gz":
        return (
            f"{str(path)!r} is compressed; expected a `.h5ad` file. Unpack it with `gunzip`, and pass what comes out."
        )
    return f"{str(path)!r} is not a `.h5ad` file. Read it with the tool that wrote it; save with `adata.write_h5ad`."
