"""Opening AnnData in `.zarr` folders."""

from __future__ import annotations

from pathlib import Path

from scdiffusion._core.errors import DataFileError, MissingExtraError
from scdiffusion._core.slots import CONFIG_FILE
from scdiffusion.cells._rows import Stored

__all__ = ["open_zarr"]

_MARKS = ("zarr.json", ".zgroup")


def open_zarr(path: Path) -> Stored:
    """Open a folder of cells for reading.

    Parameters
    ----------
    path
        A folder that ``adata.write_zarr`` wrote.

    Returns
    -------
    The group with ``X``, ``obs`` and ``var``.

    Raises
    ------
    DataFileError
        The folder does not hold cells.
    MissingExtraError
        The package that reads it is not installed.
    """
    if not any((path / mark).is_file() for mark in _MARKS):
        what = "a saved model" if (path / CONFIG_FILE).is_file() else "a folder of something else"
        msg = f"{str(path)!r} is {what}; expected cells: a `.h5ad` file, a `.zarr` store, or shards."
        raise DataFileError(msg + " Check the path; shards are made with `scdiffusion shard`.")
    try:
        import zarr
    except ImportError as error:
        msg = f"{str(path)!r} is a zarr store, and the package `zarr` is not installed. Run `pip install zarr`, or save"
        raise MissingExtraError(msg + " the cells with `adata.write_h5ad`.") from error
    group = zarr.open_group(str(path), mode="r")
    missing = [name for name in ("obs", "var") if name not in group]
    if missing:
        msg = f"{str(path)!r} is a zarr store without `{'` and `'.join(missing)}`; expected cells."
        raise DataFileError(msg + " Save them with `adata.write_zarr`.")
    return group
