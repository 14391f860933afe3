"""Outputs: what may be written where, and that it appears whole or not at all."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scdiffuse._core.errors import OutputExistsError
from scdiffuse._core.files import (
    flush,
    is_partial,
    locked,
    partial_folder,
    replaced_file,
    storage_errors,
    without_links,
)
from scdiffuse._core.folders import MODEL, SHARDS, FolderKind, is_free, move_in
from scdiffuse._core.slots import NEXT_FOLDER

__all__ = ["atomic_file", "atomic_folder", "require_folder", "require_output", "write_text"]

_SHOWN = 3  # names in a message


@contextmanager
def atomic_file(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a file under a temporary name and move it to its place when complete.

    Parameters
    ----------
    path
        Path of the file; missing parent folders are made.
    overwrite
        Replace an existing file.

    Yields
    ------
    The path to write to. It is removed when the block fails.

    Raises
    ------
    OutputExistsError
        As in `require_output`; raised before anything is written.
    StorageError
        No permission, or the disk is full.
    """
    path = Path(path)
    require_output(path, overwrite=overwrite)
    with replaced_file(path) as partial:
        yield partial


def write_text(path: str | Path, text: str, *, overwrite: bool = False) -> None:
    """Write text to a file as `atomic_file` does, with the same arguments and errors."""
    with atomic_file(path, overwrite=overwrite) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(path: str | Path, *, kind: FolderKind, overwrite: bool = False) -> Iterator[Path]:
    """Fill a folder under a temporary name; its files take their places when all are complete.

    Parameters
    ----------
    path
        Path of the folder; missing parent folders are made.
    kind
        What is written.
    overwrite
        Replace an existing folder of that kind. Files in it that are not of ours stay.

    Yields
    ------
    An empty folder to write to. It is removed when the block fails.

    Raises
    ------
    OutputExistsError
        As in `require_folder`; raised before anything is written.
    StorageError
        No permission, or the disk is full.
    """
    path = Path(path)
    require_folder(path, kind=kind, overwrite=overwrite)
    with storage_errors(path):
        place = without_links(path)
        is_there = place.is_dir()
        with partial_folder(place / NEXT_FOLDER if is_there else place) as partial:
            yield partial
            for file in [*partial.rglob("*"), partial]:
                flush(file)
            if is_there:
                _replace(place, partial, kind)
            else:
                _begin(place, partial)


def require_output(path: str | Path, *, overwrite: bool, inputs: Iterable[str | Path | None] = ()) -> None:
    """Stop before costly work if a file must not be written to a path.

    Parameters
    ----------
    path
        The file about to be written.
    overwrite
        Whether an existing file may be replaced.
    inputs
        Files and folders that are read; `None` stands for one that was not given.

    Raises
    ------
    OutputExistsError
        The path exists and `overwrite` is false; or it is a folder or a device, one of the inputs, or a file of
        a saved model or of shards.
    """
    path = Path(path)
    what = repr(str(path))
    if path.is_dir():
        msg = f"{what} is a folder; expected the path of a file. Add a name to it."
        raise OutputExistsError(msg)
    place = without_links(path)
    for given in _folders_and_files(inputs):
        if place == given or (_is_store(given) and place.is_relative_to(given)):
            msg = f"{what} is read by this command ({str(given)!r}) and cannot be its output too. Choose another path."
            raise OutputExistsError(msg)
    for kind in (MODEL, SHARDS):
        if (kind.files(place.parent) or set()) & {place.name}:
            msg = f"{what} belongs to {kind.title} in that folder and is not overwritten. Choose another path."
            raise OutputExistsError(msg)
    if not path.exists():
        return
    if not path.is_file():
        msg = f"{what} is a device or a pipe; expected the path of an ordinary file. Choose another path."
        raise OutputExistsError(msg)
    _require_overwrite(path, what, overwrite=overwrite)


def require_folder(
    path: str | Path,
    *,
    kind: FolderKind,
    overwrite: bool,
    inputs: Iterable[str | Path | None] = (),
) -> None:
    """Stop before costly work if a folder must not be written to a path.

    Parameters
    ----------
    path
        The folder about to be written.
    kind
        What is written.
    overwrite
        Whether an existing folder of that kind may be replaced. Its other files stay.
    inputs
        As in `require_output`.

    Raises
    ------
    OutputExistsError
        The path holds something and `overwrite` is false; or it is a file, one of the inputs, a folder of other things,
        or holds files whose names are needed.
    """
    path = Path(path)
    what = repr(str(path))
    if path.exists() and not path.is_dir():
        msg = f"{what} is a file; expected the path of a folder. Choose another path."
        raise OutputExistsError(msg)
    place, owned = without_links(path), kind.files(path)
    for given in _folders_and_files(inputs):
        if place == given or (owned and given.parent == place and given.name in owned):
            msg = f"{what} is read by this command ({str(given)!r}) and cannot be its output too. Choose another path."
            raise OutputExistsError(msg)
    if is_free(path):
        return
    _require_overwrite(path, what, overwrite=overwrite)
    found = sorted(one.name for one in path.iterdir() if not is_partial(one))
    if owned is None:
        msg = f"{what} holds something other than {kind.title} ({_shown(found)}) and is not overwritten."
        raise OutputExistsError(msg + " Choose another folder.")
    taken = [name for name in found if name not in owned and kind.is_name(name)]
    if taken:
        msg = f"{what} holds files that are not of {kind.title} there and have names that it needs: {_shown(taken)}."
        raise OutputExistsError(msg + " Move them away, or choose another folder.")


def _require_overwrite(path: Path, what: str, *, overwrite: bool) -> None:
    if not overwrite:
        msg = f"{what} already exists; nothing was written. Pass `overwrite=True`, or choose another path."
        raise OutputExistsError(msg)


def _folders_and_files(inputs: Iterable[str | Path | None]) -> list[Path]:
    return [without_links(Path(one)) for one in inputs if one is not None]


def _is_store(path: Path) -> bool:
    """Return whether all in a folder is one object, as in a zarr store."""
    return path.suffix == ".zarr" or any((path / name).exists() for name in (".zgroup", "zarr.json"))


def _shown(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(map(repr, names[:_SHOWN])) + (f" and {more} more" if more > 0 else "")


def _begin(place: Path, partial: Path) -> None:
    """Move a whole new folder to its place."""
    try:
        partial.rename(place)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        msg = f"{str(place)!r} came to be while its content was computed; nothing was written. Choose another path."
        raise OutputExistsError(msg) from error
    flush(place.parent)


def _replace(folder: Path, partial: Path, kind: FolderKind) -> None:
    """Make the files of a partial folder the valid ones, and move them to their places."""
    with locked(folder):
        move_in(folder, kind)
        require_folder(folder, kind=kind, overwrite=True)  # it may hold other files than before the work
        partial.rename(folder / NEXT_FOLDER)
        flush(folder)
        move_in(folder, kind)
