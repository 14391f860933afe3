"""Errors: the message that each one shows, and the exit code of the command."""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from scdiffuse._core.errors import LostProcessError, UserError
from scdiffuse.cli._messages import show, show_failure

__all__ = ["LOST", "MISTAKE", "STOPPED", "show_error"]

STOPPED = 130
"""Exit code after Ctrl-C, as in shells."""
LOST = 3
"""Exit code after one of several processes has ended."""
MISTAKE = 2
"""Exit code of what the user can mend."""
_FAULT = 1


def show_error(
    error: BaseException, words: Sequence[str], *, less_memory: str, translate: Callable[[str], str] = str
) -> int:
    """Print what went wrong and what to do about it.

    Parameters
    ----------
    error
        The exception that ended the command.
    words
        Words of the command line, so that the message can repeat them.
    less_memory
        What lowers the memory that the command needs.
    translate
        Writes a message of the Python API in the words of the command line.

    Returns
    -------
    The exit code.
    """
    if isinstance(error, KeyboardInterrupt):
        show("Stopped.")
        return STOPPED
    text, code = _explain(error, words, less_memory=less_memory, translate=translate)
    show_failure(text)
    if code == _FAULT:
        again = shlex.join(["scdiffuse", "--debug", *words])
        show(f"This is a fault of scdiffuse, not yours. Please report it with the output of:\n  {again}")
    return code


def _explain(
    error: BaseException, words: Sequence[str], *, less_memory: str, translate: Callable[[str], str]
) -> tuple[str, int]:
    """Tell mistakes of the user from faults of the program."""
    if isinstance(error, UserError):
        return translate(str(error)), LOST if isinstance(error, LostProcessError) else MISTAKE
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error).lower():
        return f"Memory ran out. To need less, {less_memory}.", MISTAKE
    if isinstance(error, PermissionError):
        return f"No permission for {error.filename!r}. Choose a place that you may read and write.", MISTAKE
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "The disk is full. Free some space or choose a path on another disk.", MISTAKE
    if isinstance(error, OSError) and not _is_ours(error.filename):
        return _refused(error, words), MISTAKE
    return f"{type(error).__name__}: {error}", _FAULT


def _is_ours(path: object) -> bool:
    """Whether a path belongs to the installed package, which no user has to mend."""
    return isinstance(path, str | os.PathLike) and Path(os.fsdecode(path)).is_relative_to(Path(__file__).parents[1])


def _refused(error: OSError, words: Sequence[str]) -> str:
    """Say what the system, or the library that reads a file, does not do, and with which of the paths typed."""
    typed = [word for word in words if _exists(word)]
    paths = [os.fsdecode(error.filename)] if isinstance(error.filename, str | bytes) else typed
    reason = (error.strerror or str(error)).splitlines() or [type(error).__name__]
    given = ", ".join(map(repr, paths)) or "a file of this command"
    return (
        f"Reading or writing {given} failed ({reason[0].rstrip('.')}). Check that the path is right and the file whole."
    )


def _exists(word: str) -> bool:
    try:
        return Path(word).exists()
    except (OSError, ValueError):
        return False
