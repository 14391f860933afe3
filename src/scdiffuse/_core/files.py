"""Outputs that appear whole or not at all, and storage errors in plain words."""

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
    """Write a file under a temporary name and move it to its place when complete.

    Parameters
    ----------
    path
        Path of the file; missing parent folders are made.
    overwrite
        Replace an existing file.

    Yields
    ------
    The path to write to, in the same folder. It is removed when the block fails.

    Raises
    ------
    OutputExistsError
        The path exists and `overwrite` is false; raised before anything is written.
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
    """Check that a folder may be replaced: it is empty or of the same kind.

    Parameters
    ----------
    folder
        Existing folder.
    mark
        File that every folder of this kind has.

    Raises
    ------
    OutputExistsError
        The path is something else.
    """
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / mark).is_file()):
        msg = (
            f"{str(folder)!r} holds something other than {_KINDS[mark]} and is not overwritten. Choose another folder."
        )
        raise OutputExistsError(msg)


@contextmanager
def atomic_folder(path: str | Path, *, overwrite: bool = False, mark: str = CONFIG_FILE) -> Iterator[Path]:
    """Fill a folder under a temporary name and move it to its place when complete.

    Parameters
    ----------
    path
        Path of the folder; missing parent folders are made.
    overwrite
        Replace an existing folder of the same kind, or an empty one. A folder that holds anything else is never
        replaced.
    mark
        File that every folder of this kind has: that of a saved model, or of shards.

    Yields
    ------
    An empty folder to write to. It is removed when the block fails.

    Raises
    ------
    OutputExistsError
        The path exists and `overwrite` is false, or it is a folder of another kind.
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
    """Stop before costly work if its output exists.

    Parameters
    ----------
    path
        A file or folder about to be written.
    overwrite
        Whether the output may be replaced.

    Raises
    ------
    OutputExistsError
        The path exists and `overwrite` is false.
    """
    if Path(path).exists() and not overwrite:
        msg = f"{str(path)!r} already exists; nothing was written. Pass `overwrite=True`, or choose another path."
        raise OutputExistsError(msg)


@contextmanager
def storage_errors(path: str | Path) -> Iterator[None]:
    """Report in plain words that the file system refuses to write.

    Parameters
    ----------
    path
        Path that the block writes, for the message.

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
    """Name what the file system lacks and what to do, or return None for other errors."""
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
