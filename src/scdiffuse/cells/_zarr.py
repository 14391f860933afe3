"""Open AnnData in `.zarr` folders."""

from __future__ import annotations

from pathlib import Path

from scdiffuse._core.errors import DataFileError, MissingExtraError
from scdiffuse._core.folders import current
from scdiffuse._core.slots import CONFIG_FILE
from scdiffuse.cells._rows import Stored
from scdiffuse.cells._structure import reading

__all__ = ["list_datasets", "open_zarr"]

_COLLECTION = "annbatch-preshuffled"
_MARKS = ("zarr.json", ".zgroup")


def open_zarr(path: Path) -> Stored:
    """Open a folder of cells for reading.

    Parameters
    ----------
    path
        A folder that ``adata.write_zarr`` or `annbatch` wrote.

    Returns
    -------
    The group with ``X``, ``obs`` and ``var``, or with several such groups: see `list_datasets`.

    Raises
    ------
    DataFileError
        The folder does not hold cells, or is damaged.
    MissingExtraError
        The package that reads it is not installed.
    """
    if not any((path / mark).is_file() for mark in _MARKS):
        what = "a saved model" if current(path, CONFIG_FILE).is_file() else "a folder of something else"
        msg = f"{str(path)!r} is {what}; expected cells: a `.h5ad` file, a `.zarr` store, or shards."
        raise DataFileError(msg + " Check the path; shards are made with `scdiffuse shard`.")
    try:
        import zarr
    except ImportError as error:
        msg = f"{str(path)!r} is a zarr store, and the package `zarr` is not installed. Run `pip install zarr`, or save"
        raise MissingExtraError(msg + " the cells with `adata.write_h5ad`.") from error
    with reading(f"{str(path)!r}"):
        group = zarr.open_group(str(path), mode="r")
        if list_datasets(group):
            return group
        missing = [name for name in ("obs", "var") if name not in group]
    if missing:
        msg = f"{str(path)!r} is a zarr store without `{'` and `'.join(missing)}`; expected cells."
        raise DataFileError(msg + " Save them with `adata.write_zarr`.")
    return group


def list_datasets(group: Stored) -> list[Stored]:
    """Find the parts of a collection of `annbatch`: cells in random order in several stores of one folder.

    Parameters
    ----------
    group
        An open store or file.

    Returns
    -------
    Groups with ``X``, ``obs`` and ``var`` each; empty for anything but a collection.

    References
    ----------
    `DatasetCollection` in the documentation of annbatch 0.3.
    """
    if group.attrs.get("encoding-type") != _COLLECTION:
        return []
    names = [name for name in group if name.startswith("dataset_") and name.removeprefix("dataset_").isdigit()]
    return [group[name] for name in sorted(names, key=lambda name: int(name.removeprefix("dataset_")))]
