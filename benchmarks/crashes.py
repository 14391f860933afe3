"""End a process at any call that changes files, or in the middle of a file, and see what the next reader finds.

Python tells of each call by its audit events, so a forked process counts those on files of a folder and ends, without
any clean-up, before the one asked for. In the middle of a file the system ends it, at a limit on the size of files.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["DONE", "FAULT", "REFUSED", "Crash", "Write", "count_calls", "crash", "try_write"]

DONE, REFUSED, FAULT, ENDED = 0, 2, 70, 71
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Crash(NamedTuple):
    """Where a process ends."""

    kind: Literal["call", "byte", "full"]
    """Before a call, at a byte of a file, or not at all: ``full`` reports an error at a byte, as a full disk does."""
    at: int


class Write(NamedTuple):
    """One way in which files are written."""

    name: str
    prepare: Callable[[Path], None]
    """Puts what is there before into an empty folder."""
    run: Callable[[Path], None]
    """Writes."""
    state: Callable[[Path], str]
    """Reads what is there; it raises where that is neither nothing nor something whole."""
    again: Callable[[Path], None] | None = None
    """What a user does after a crash; the same if not given."""


class Verdict(NamedTuple):
    """What a crash left."""

    found: str
    """``old``, ``new``, or what is wrong."""
    is_right: bool


def count_calls(job: Callable[[], None], root: Path) -> int:
    """Count the calls of a job that change files of a folder.

    Parameters
    ----------
    job
        Writes; it runs in a process of its own.
    root
        The folder.
    """
    reading, writing = os.pipe()
    code = _in_child(job, root, Crash("call", -1), pipe=writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    if code != DONE:
        msg = f"The job ended with {code} without any crash."
        raise RuntimeError(msg)
    return int(text)


def crash(job: Callable[[], None], root: Path, where: Crash) -> int:
    """Run a job in a process that ends at some point.

    Parameters
    ----------
    job, root
        As in `count_calls`.
    where
        The point.

    Returns
    -------
    Exit code, negative for a signal.
    """
    return _in_child(job, root, where, pipe=-1)


def try_write(write: Write, where: Crash, folder: Path, *, old: str, new: str) -> Verdict:
    """Crash one write, read what is there, write again, and compare both with the law.

    Parameters
    ----------
    write
        The write.
    where
        The point.
    folder
        An empty folder.
    old, new
        What is there before, and after a write that did not crash.
    """
    write.prepare(folder)
    mine = _files_of_user(folder)
    code = crash(lambda: write.run(folder), folder, where)
    wrong = [f"ended with {code}"] if code == FAULT or (where.kind == "full" and code not in {DONE, REFUSED}) else []
    found = _read(write, folder)
    wrong += [] if found in {old, new} else [f"found {found}"]
    wrong += ["reports success and is not done"] if code == DONE and found != new else []
    code = crash(lambda: (write.again or write.run)(folder), folder, Crash("call", -1))
    wrong += [f"again ended with {code}"] if code not in {DONE, *([REFUSED] if found == new else [])} else []
    wrong += [f"again left {_read(write, folder)}"] if _read(write, folder) != new else []
    wrong += ["files of the user changed"] if {**_files_of_user(folder), **mine} != _files_of_user(folder) else []
    left = [one.name for one in folder.rglob(".*") if not one.name.startswith(".user")]
    wrong += [f"left {left}"] if left and code == DONE else []
    return Verdict("; ".join(wrong) or ("new" if found == new else "old"), not wrong)


def _read(write: Write, folder: Path) -> str:
    try:
        return write.state(folder)
    except Exception as error:  # noqa: BLE001 - whatever a reader meets is a finding
        return f"{type(error).__name__}: {error}"


def _files_of_user(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*user*") if one.is_file()}


def _in_child(job: Callable[[], None], root: Path, where: Crash, *, pipe: int) -> int:
    """Run a job in a forked process and return its exit code."""
    child = os.fork()
    if child == 0:
        code = FAULT
        with suppress(BaseException):
            code = _run(job, root, where, pipe=pipe)
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run(job: Callable[[], None], root: Path, where: Crash, *, pipe: int) -> int:
    import torch

    from scdiffuse import UserError

    torch.set_num_threads(1)  # the threads of the first process are not in this one
    counted = _watch(str(root), where.at if where.kind == "call" else -1)
    if where.kind != "call":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL if where.kind == "byte" else signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (where.at, resource.RLIM_INFINITY))
    try:
        job()
    except UserError:
        return REFUSED
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:  # noqa: BLE001 - the process ends here
        traceback.print_exc()
        return FAULT
    if pipe >= 0:
        os.write(pipe, str(counted[0]).encode())
    return DONE


def _watch(root: str, last: int) -> list[int]:
    """Count calls that change files of a folder, and end this process before the one asked for."""
    counted = [0]

    def count() -> None:
        if counted[0] == last:
            os._exit(ENDED)
        counted[0] += 1

    def hear(event: str, args: tuple[Any, ...]) -> None:
        changes = bool((args[2] or 0) & _WRITING) if event == "open" else event in _CHANGES
        if changes and (_is_inside(args[0], root) or (_is_relative(args[0]) and event != "open")):
            count()

    flush = os.fsync

    def counted_flush(descriptor: int) -> None:
        count()
        flush(descriptor)

    os.fsync = counted_flush  # type: ignore[assignment]
    sys.addaudithook(hear)
    return counted


def _is_relative(path: object) -> bool:
    """Return whether a path is one below an open folder, as in the removal of a tree."""
    return isinstance(path, str | bytes | os.PathLike) and not os.fsdecode(path).startswith(os.sep)


def _is_inside(path: object, root: str) -> bool:
    return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(root)
