"""Folders of shards: cells in random order, so that neighbours are a random sample."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import DataFileError, UnknownNameError
from scdiffuse._core.files import sha256
from scdiffuse._core.folders import current
from scdiffuse._core.slots import SHARDS_FILE
from scdiffuse.cells._h5ad import open_h5ad, read_frame
from scdiffuse.cells._joined import join_obs
from scdiffuse.cells._opened import Opened
from scdiffuse.cells._shard_statistics import ShardStatistics
from scdiffuse.cells._stored import SparseRows
from scdiffuse.cells._structure import reading, require_matrix

__all__ = ["SHARDS_FORMAT", "ShardSource", "damaged_shards", "is_shards", "open_shard", "open_shards"]

SHARDS_FORMAT = 1
"""Version of the layout of a folder of shards."""


class _Part(NamedTuple):
    """Position of the values of one shard in its file."""

    path: Path
    end: int
    """Values in this and all earlier shards."""
    data: int
    """First byte of the counts."""
    indices: int
    """First byte of their columns."""


class ShardSource(SparseRows):
    """Cells in shards.

    Counts are uncompressed and contiguous in their files, and are read directly.

    Parameters
    ----------
    parts
        The shards.
    types, obs, var, starts, genes
        As in `SparseRows`.
    opened
        The list of shards when they were opened.
    statistics
        File with the statistics of all cells and genes, and its SHA-256; `None` where there is none.
    """

    _is_canonical = True

    def __init__(  # noqa: PLR0917 - as the class above it
        self,
        parts: Sequence[_Part],
        types: tuple[np.dtype[np.generic], np.dtype[np.generic]],
        obs: pd.DataFrame,
        var: pd.DataFrame,
        *,
        starts: NDArray[np.int64],
        genes: Sequence[str] | None,
        opened: Opened,
        statistics: tuple[Path, str] | None = None,
    ) -> None:
        super().__init__(types, obs, var, starts=starts, genes=genes)
        self._opened = opened
        self._parts = parts
        self._ends = np.array([part.end for part in parts])
        self._statistics = statistics

    def read_statistics(self) -> ShardStatistics | None:
        """Read the statistics that were made with the shards; `None` without any, or where only some genes are read.

        Raises
        ------
        DataFileError
            The file is damaged.
        """
        if self._statistics is None or self.columns is not None:
            return None
        self._require_unchanged()
        path, digest = self._statistics
        try:
            return ShardStatistics.read(path, digest=digest, n_cells=self.n_cells, n_genes=self.n_genes)
        except (OSError, ValueError) as error:
            raise _damaged(path, str(error)) from error

    def _fill(self, begin: int, data: NDArray[np.generic], indices: NDArray[np.generic]) -> None:
        done = 0
        for part, values in self._pieces(begin, begin + data.size):
            n = values.stop - values.start
            with part.path.open("rb", buffering=0) as file:
                for first, whole in ((part.data, data), (part.indices, indices)):
                    _read_into(file, first + values.start * whole.itemsize, whole[done : done + n])
            done += n

    def _expect(self, span: slice) -> None:
        if not hasattr(os, "posix_fadvise"):  # macOS and Windows have no such call
            return
        for part, values in self._pieces(int(self._starts[span.start]), int(self._starts[span.stop])):
            with part.path.open("rb", buffering=0) as file:
                for first, dtype in zip((part.data, part.indices), self._types, strict=True):
                    begin, size = first + values.start * dtype.itemsize, (values.stop - values.start) * dtype.itemsize
                    os.posix_fadvise(file.fileno(), begin, size, os.POSIX_FADV_WILLNEED)

    def _pieces(self, begin: int, end: int) -> Iterator[tuple[_Part, slice]]:
        """Find the shards of values, and the slice of values in each."""
        at = int(np.searchsorted(self._ends, begin, side="right"))
        while begin < end:
            part, before = self._parts[at], self._parts[at - 1].end if at else 0
            stop = min(end, part.end)
            yield part, slice(begin - before, stop - before)
            begin, at = stop, at + 1


def _read_into(file: io.RawIOBase, offset: int, values: NDArray[np.generic]) -> None:
    """Fill an array from an offset of a file."""
    file.seek(offset)
    buffer, n = memoryview(cast("Any", values.view(np.uint8))), 0
    while n < len(buffer):
        got = file.readinto(buffer[n:])
        if not got:
            msg = f"A shard ended while it was read, {len(buffer) - n:,} bytes too early; expected whole files."
            raise DataFileError(msg + " Leave the folder alone during a fit, or make the shards again.")
        n += got


def is_shards(path: Path) -> bool:
    """Return whether a path is a folder of shards."""
    return current(path, SHARDS_FILE).is_file()


def open_shards(folder: Path, *, layer: str | None = None, genes: Sequence[str] | None = None) -> ShardSource:
    """Open a folder of shards for reading.

    Parameters
    ----------
    folder
        Folder that `shard` wrote.
    layer
        Must be `None`: shards hold one matrix.
    genes
        Names of the genes to read, in this order; `None` reads all.

    Returns
    -------
    The cells in the order of the shards; labels are in memory, counts are read on request.

    Raises
    ------
    DataFileError
        The folder is damaged, incomplete or of a newer version.
    UnknownNameError
        `layer` is given.
    GenesError
        Some of `genes` are missing.
    """
    index = _read_index(folder)
    if layer is not None:
        msg = f"`layer` {layer!r} is given for the shards in {str(folder)!r}, which hold one matrix; expected none."
        raise UnknownNameError(msg + " Leave `layer` out, or name it when the shards are made.")
    parts: list[_Part] = []
    frames, starts, var = [], [np.zeros(1, dtype=np.int64)], pd.DataFrame()
    types: list[tuple[np.dtype[np.generic], np.dtype[np.generic]]] = []
    n_values = 0
    for entry in index["shards"]:
        path = current(folder, entry["file"])
        with _open_part(path, entry) as file, reading(f"The shard {str(path)!r}"):
            frames.append(read_frame(file, "obs"))
            var = read_frame(file, "var") if not parts else var
            require_matrix(file["X"], (len(frames[-1]), len(var)), name=f"`X` of {str(path)!r}")
            data, indices = file["X"]["data"], file["X"]["indices"]
            begins = data.id.get_offset(), indices.id.get_offset()
            if None in begins and data.size:
                raise _damaged(path, "was written again by another program")
            starts.append(file["X"]["indptr"][1:].astype(np.int64) + n_values)
            n_values += data.size
            parts.append(_Part(path, n_values, begins[0] or 0, begins[1] or 0))
            types.append((data.dtype, indices.dtype))
            if data.dtype.kind != "u" or types[-1] != types[0]:
                raise _damaged(path, f"holds values of type {data.dtype} in columns of type {indices.dtype}")
    return ShardSource(
        parts,
        types[0],
        _below(frames),
        var,
        starts=np.concatenate(starts),
        genes=genes,
        opened=Opened(str(folder), partial(_read_index, folder), seen=index),
        statistics=_find_statistics(folder, index),
    )


def open_shard(folder: Path) -> h5py.File:
    """Open the first shard of a folder, for what all shards say alike.

    Parameters
    ----------
    folder
        Folder that `shard` wrote.

    Raises
    ------
    DataFileError
        The folder is damaged or of a newer version.
    """
    entry = _read_index(folder)["shards"][0]
    return _open_part(current(folder, entry["file"]), entry)


def damaged_shards(folder: Path) -> list[str]:
    """Find damaged shards by their checksums.

    Parameters
    ----------
    folder
        Folder that `shard` wrote; every byte is read.

    Returns
    -------
    Descriptions of damaged shards; empty for an intact folder.

    Raises
    ------
    DataFileError
        A shard is missing or of another size, or the list of shards is damaged.
    """
    wrong = []
    index = _read_index(folder)
    for entry in _listed(index):
        path = current(folder, entry["file"])
        _require_file(path, entry)
        if sha256(path) != entry["sha256"]:
            wrong.append(str(_damaged(path, "has another checksum")))
    return wrong


def _below(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return join_obs(frames, [str(at) for at in range(len(frames))])


def _read_index(folder: Path) -> dict[str, Any]:
    """Read the list of shards."""
    path = current(folder, SHARDS_FILE)
    try:
        index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, _ = int(index["format"]), index["shards"][0]
        if version <= SHARDS_FORMAT and not all(map(_is_entry, _listed(index))):
            raise KeyError
    except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        msg = f"{str(path)!r} cannot be read; expected the list of shards that `scdiffuse shard` wrote."
        raise DataFileError(msg + " Copy the folder again, or make the shards again.") from error
    if version > SHARDS_FORMAT:
        msg = f"The shards in {str(folder)!r} are of format {version}; expected {SHARDS_FORMAT} or earlier."
        raise DataFileError(msg + " Update scdiffuse.")
    return index


def _listed(index: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of all files."""
    return [*index["shards"], *([index["statistics"]] if "statistics" in index else [])]


def _is_entry(entry: dict[str, Any]) -> bool:
    name = entry["file"]
    is_name = isinstance(name, str) and name == Path(name).name
    return is_name and isinstance(entry["bytes"], int) and isinstance(entry["sha256"], str)


def _find_statistics(folder: Path, index: dict[str, Any]) -> tuple[Path, str] | None:
    """Find the file with statistics, which folders made by earlier versions lack."""
    if "statistics" not in index:
        return None
    path = current(folder, index["statistics"]["file"])
    _require_file(path, index["statistics"])
    return path, index["statistics"]["sha256"]


def _open_part(path: Path, entry: dict[str, Any]) -> h5py.File:
    """Open a shard of the right size."""
    _require_file(path, entry)
    return open_h5ad(path)


def _require_file(path: Path, entry: dict[str, Any]) -> None:
    """Check that a file is there and of the right size."""
    if not path.is_file():
        raise _damaged(path, "is missing")
    if path.stat().st_size != entry["bytes"]:
        raise _damaged(path, f"has {path.stat().st_size:,} bytes instead of {entry['bytes']:,}")


def _damaged(path: Path, how: str) -> DataFileError:
    msg = f"The file of shards {str(path)!r} {how}; expected the one that `scdiffuse shard` wrote. Copy the folder"
    return DataFileError(msg + " again, or make the shards again.")
