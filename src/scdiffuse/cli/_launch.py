"""One command as several processes of this machine."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO

import typer

from scdiffuse._core.errors import SettingError
from scdiffuse.cli._say import LOST, STOPPED, say

__all__ = ["launch", "leave_with_parent", "spread"]

_MARK = "SCDIFFUSE_LAUNCHED"
_GRACE_SECONDS = 10.0
_LOOK_SECONDS = 0.05


def spread(context: typer.Context, devices: int) -> None:
    """Carry a command out in several processes and leave it with their exit code; go on where there is but one.

    Parameters
    ----------
    context
        The command.
    devices
        Number of processes.

    Raises
    ------
    SettingError
        `devices` is below 1, or another launcher has started this process.
    """
    if devices < 1:
        msg = f"`--devices` must be at least 1, got {devices}; leave it out for one process."
        raise SettingError(msg)
    if devices == 1 or _MARK in os.environ:
        leave_with_parent()
        return
    if os.environ.get("WORLD_SIZE", "1") != "1":
        msg = f"`--devices {devices}` is given to a process that `torchrun` has started; expected one or the other."
        raise SettingError(msg + " Leave `--devices` out: the command takes the number of processes from `torchrun`.")
    raise typer.Exit(launch(context.find_root().obj, devices))


def launch(words: Sequence[str], n: int) -> int:
    """Run a command in several processes, and end all of them when one has failed.

    Parameters
    ----------
    words
        Words of the command line after ``scdiffuse``.
    n
        Number of processes; each gets its share of the threads, unless ``OMP_NUM_THREADS`` says otherwise.

    Returns
    -------
    The exit code: that of the process which failed first, or 3 if it was killed.
    """
    shared = _environment(n)
    with ExitStack() as stack:
        told = [stack.enter_context(tempfile.TemporaryFile()) if rank else None for rank in range(n)]
        children = [
            subprocess.Popen(
                [sys.executable, "-m", "scdiffuse", *words],
                env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdin=subprocess.PIPE,  # closes when this process ends, however it ends
                stderr=told[rank],
                process_group=0,
            )
            for rank in range(n)
        ]
        for child in children:
            stack.enter_context(child)
        with _passing_on(children):
            first = _wait(children)
        return _verdict([child.returncode for child in children], first, words=words, told=told)


def leave_with_parent() -> None:
    """End this process when the one that launched it has ended."""
    if _MARK in os.environ:
        threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    while os.read(0, 1):
        pass
    os._exit(LOST)


def _environment(n: int) -> dict[str, str]:
    """Tell the processes how many they are, where they meet and how many threads each has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    threads = str(max(1, len(os.sched_getaffinity(0)) // n if hasattr(os, "sched_getaffinity") else 1))
    loopback = {name for _, name in socket.if_nameindex()} & {"lo", "lo0"}
    kept = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "GLOO_SOCKET_IFNAME": next(iter(loopback), "")}
    return {
        **{name: os.environ.get(name, value) for name, value in kept.items() if value},
        "WORLD_SIZE": str(n),
        "LOCAL_WORLD_SIZE": str(n),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        _MARK: "1",
    }


@contextmanager
def _passing_on(children: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Hand Ctrl-C and requests to end to the processes, once each."""

    def hand_on(number: int, _: object) -> None:
        for child in children:
            child.send_signal(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _wait(children: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Wait for all processes; returns the first one that failed, after which the others have little time left."""
    first: int | None = None
    deadline = float("inf")
    while True:
        codes = [child.poll() for child in children]
        failed = sorted((rank for rank, code in enumerate(codes) if code), key=lambda rank: (codes[rank] or 0) > 0)
        if failed and first is None:  # one that was killed before those that lost it
            first, deadline = failed[0], time.monotonic() + _GRACE_SECONDS
        if None not in codes:
            return first
        if time.monotonic() > deadline:
            for child in children:
                child.kill()
        time.sleep(_LOOK_SECONDS)


def _verdict(codes: Sequence[int], first: int | None, *, words: Sequence[str], told: Sequence[IO[bytes] | None]) -> int:
    """Turn the exit codes of all processes into one, and tell what nobody has told yet."""
    if first is None or STOPPED in codes:
        return 0 if first is None else STOPPED
    own = [code for code in codes if code > 0 and code != LOST]
    if codes[first] < 0 or not own:
        more = ["--resume"] if "fit" in words and "--resume" not in words else []
        again = shlex.join(["scdiffuse", *words, *more])
        how = f"was ended by signal {-codes[first]}" if codes[first] < 0 else "lost the others"
        say(f"Error: Process {first} of {len(codes)} {how}; expected all to run to the end.")
        say(f"The system does so when memory runs out. What was saved is kept; to go on, run:\n  {again}")
        return LOST
    if codes[0] != own[0]:
        where = codes.index(own[0])
        file = told[where]
        if file is not None:
            file.seek(0)
            say(f"Process {where} of {len(codes)}: {file.read().decode(errors='replace').strip()}")
    return own[0]
