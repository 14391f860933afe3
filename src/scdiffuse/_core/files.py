"""Outputs that appear whole or not at all, and storage troubles told plainly."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scdiffuse._core.errors import OutputExistsError, StorageError, UserError
from scdiffuse._core.slots import CONFIG_FILE, SHARDS_FILE

__all__ = ["atomic_file", "atomic_folder", "refuse_existing", "require_replaceable", "sha256", "storage_errors"]

_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_KINDS = {CONFIG_FILE: "a saved model", SHARDS_FILE: "shards"}
_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def atomic_file(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a file beside its place and move it there when complete.

    Parameters
    ----------
    path
        Where the file shall appear; missing parent folders are made.
    overwrite
        Replace what is there.

    Yields
    ------
    The path to write to, in the same folder. It is removed when the block fails.

    Raises
    ------
    OutputExistsError
        Something is there and `overwrite` is false; said before anything is written.
    StorageError
        No permission, or the disk is full.
    """
    path = Path(path)
    refuse_existing(path, overwrite=overwrite)
    partial = _partial(path)
    with storage_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            _flush(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def require_replaceable(folder: Path, *, mark: str = CONFIG_FILE) -> None:
    """Refuse to replace what is neither empty nor a folder of some kind.

    Parameters
    ----------
    folder
        What is there.
    mark
        The file by which a folder of this kind is known.

    Raises
    ------
    OutputExistsError
        It is something else.
    """
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / mark).is_file()):
        msg = f"{str(folder)!r} holds other things than {_KINDS[mark]}; it is not overwritten. Choose another folder."
        raise OutputExistsError(msg)


@contextmanager
def atomic_folder(path: str | Path, *, overwrite: bool = False, mark: str = CONFIG_FILE) -> Iterator[Path]:
    """Fill a folder beside its place and move it there when complete.

    Parameters
    ----------
    path
        Where the folder shall appear; missing parent folders are made.
    overwrite
        Replace the folder of the same kind, or the empty folder, that is there. A folder that holds anything else is
        never replaced.
    mark
        The file by which a folder of this kind is known: that of a saved model, or of shards.

    Yields
    ------
    An empty folder to write to. It is removed when the block fails.

    Raises
    ------
    OutputExistsError
        Something is there and `overwrite` is false, or it is not of this kind.
    StorageError
        No permission, or the disk is full.
    """
    path = Path(path)
    refuse_existing(path, overwrite=overwrite)
    if path.exists():
        require_replaceable(path, mark=mark)
    partial, old = _partial(path), _partial(path)
    with storage_errors(path):
        try:
            partial.mkdir(parents=True)
            yield partial
            for file in partial.rglob("*"):
                _flush(file)
            if path.exists():
                path.rename(old)
            partial.rename(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            if old.exists() and not path.exists():
                old.rename(path)
            shutil.rmtree(old, ignore_errors=True)


def refuse_existing(path: str | Path, *, overwrite: bool) -> None:
    """Stop before costly work when its output is already there.

    Parameters
    ----------
    path
        A file or folder about to be written.
    overwrite
        Whether the user allowed to replace it.

    Raises
    ------
    OutputExistsError
        Something is there and `overwrite` is false.
    """
    if Path(path).exists() and not overwrite:
        msg = f"{str(path)!r} already exists; nothing was written. Pass `overwrite=True`, or choose another path."
        raise OutputExistsError(msg)


@contextmanager
def storage_errors(path: str | Path) -> Iterator[None]:
    """Say in plain words that the file system refused to write.

    Parameters
    ----------
    path
        What the block writes, for the message.

    Raises
    ------
    StorageError
        No permission, or the disk is full; other errors pass unchanged.
    """
    try:
        yield
    except UserError:
        raise
    except (OSError, RuntimeError) as error:  # h5py reports a failed flush as RuntimeError
        trouble = _trouble(error)
        if trouble is None:
            raise
        msg = f"Cannot write {str(path)!r}: {trouble}"
        raise StorageError(msg) from error


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits.

    Parameters
    ----------
    path
        The file, read in pieces.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _trouble(error: OSError | RuntimeError) -> str | None:
    """Name what the file system lacks and what to do, if that is what went wrong."""
    code = getattr(error, "errno", None)
    if code in _FULL or "No space left on device" in str(error):
        return "the disk is full. Free some space or choose a path on another disk."
    if code in _FORBIDDEN or "Permission denied" in str(error):
        return "no permission to write there. Choose a folder that you may write to."
    if isinstance(error, NotADirectoryError | FileExistsError):
        return "a file stands where a folder is needed. Choose another path."
    return None


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.partial{path.suffix}")


def _flush(path: Path) -> None:
    """Force a file to the disk, so that a renamed file is never an empty one after a power cut."""
    if path.is_file():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
