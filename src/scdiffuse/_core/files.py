"""Files that appear whole or not at all, and storage errors in plain words."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scdiffuse._core.errors import StorageError, UserError

__all__ = [
    "flush",
    "is_partial",
    "locked",
    "partial_folder",
    "remove_abandoned",
    "replaced_file",
    "sha256",
    "storage_errors",
    "without_links",
]

_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")  # how numpy reports that a write failed
_PARTIAL = re.compile(r"\..*\.[0-9a-f]{8}\.partial")
_LONGEST = 40  # characters of a name that are repeated in that of its partial folder, as names are limited to 255 bytes


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name and move it to its place when complete, whatever is there.

    Parameters
    ----------
    path
        Path of the file; missing parent folders are made. A symbolic link stays, and what it leads to is replaced.

    Yields
    ------
    The path to write to. It is removed when the block fails.

    Raises
    ------
    StorageError
        No permission, or the disk is full.
    """
    with storage_errors(path):
        path = without_links(path)
        with partial_folder(path) as folder:
            partial = folder / path.name
            yield partial
            flush(partial)
            partial.replace(path)
            flush(path.parent)


@contextmanager
def partial_folder(path: Path) -> Iterator[Path]:
    """Make a hidden folder beside a path for what is not complete yet, and remove it at the end.

    What processes that were killed left there is removed by the next one that writes to the same path.

    Parameters
    ----------
    path
        Path of what is being written; missing parent folders are made.

    Yields
    ------
    An empty folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path)
    while True:
        folder = path.with_name(f"{_prefix(path)}{uuid.uuid4().hex[:8]}.partial")
        folder.mkdir()
        with locked(folder):
            if not folder.exists():  # another process took it for an abandoned one before it was locked
                continue
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return


def remove_abandoned(path: Path) -> None:
    """Remove what processes that were killed have left of writing to a path."""
    prefix = _prefix(path)
    for old in [one for one in path.parent.iterdir() if one.name.startswith(prefix) and is_partial(one)]:
        with locked(old, wait=False) as is_abandoned:
            if is_abandoned:
                shutil.rmtree(old, ignore_errors=True)


def is_partial(path: Path) -> bool:
    """Return whether a path has the name of a folder of `partial_folder`."""
    return _PARTIAL.fullmatch(path.name) is not None


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a folder, which ends with the process that holds it.

    Parameters
    ----------
    folder
        Existing folder.
    wait
        Wait for a process that holds it.

    Yields
    ------
    Whether it is held: not where another process holds it, nor where the file system has no locks.
    """
    if sys.platform == "win32":
        yield False
        return
    import fcntl

    held, descriptor = False, -1
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = True
    try:
        yield held
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def flush(path: Path) -> None:
    """Force a file or a folder to the disk, so that it is whole after a power cut."""
    if sys.platform == "win32" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network file systems have none for folders
            raise
    finally:
        os.close(descriptor)


def without_links(path: Path) -> Path:
    """Return the absolute path that symbolic links lead to, of something that need not exist.

    Raises
    ------
    StorageError
        The links lead in a circle.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        msg = f"{str(path)!r} cannot be found ({error}); expected a path whose links lead somewhere."
        raise StorageError(msg + " Choose another path.") from error


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


def _prefix(path: Path) -> str:
    """Return how the names of the partial folders of a path begin."""
    return f".{path.name.lstrip('.')[:_LONGEST]}."


def _trouble(error: OSError | RuntimeError) -> str | None:
    """Name what the file system lacks and what to do, or return None for other errors."""
    code, text = getattr(error, "errno", None), str(error)
    if code in _FULL or "No space left on device" in text or "quota exceeded" in text or _SHORT_WRITE.search(text):
        return "the disk is full. Free some space or choose a path on another disk."
    if code in _FORBIDDEN or "Permission denied" in text:
        return "no permission to write there. Choose a folder that you may write to."
    if code == errno.EFBIG or "File too large" in text:
        return "the file is larger than this file system or account allows. Choose a path on another disk."
    if code == errno.ENAMETOOLONG or "File name too long" in text:
        return "the name is too long for the file system. Choose a shorter one."
    if isinstance(error, NotADirectoryError | FileExistsError):
        return "a file stands where a folder is needed. Choose another path."
    return None
