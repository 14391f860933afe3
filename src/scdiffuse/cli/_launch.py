"""One command in several processes of this machine."""

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
from scdiffuse.cli._errors import LOST, STOPPED
from scdiffuse.cli._messages import show

__all__ = ["launch", "leave_with_parent", "spread"]

_MARK = "SCDIFFUSE_LAUNCHED"
_GRACE_SECONDS = 10.0
_LOOK_SECONDS = 0.05


def spread(context: typer.Context, devices: int) -> None:
    """Run a command in several processes and exit with their exit code; for one process, return at once.

    Parameters
    ----------
    context
        Context of the command.
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
    """Run a command in several processes, and end all of them when one fails.

    Parameters
    ----------
    words
        Words of the command line after ``scdiffuse``.
    n
        Number of processes. The threads are divided among them, unless ``OMP_NUM_THREADS`` is set.

    Returns
    -------
    The exit code: that of the process which failed first, or 3 if it was killed.
    """
    shared = _environment(n)
    with ExitStack() as stack:
        outputs = [stack.enter_context(tempfile.TemporaryFile()) if rank else None for rank in range(n)]
        children = [
            subprocess.Popen(
                [sys.executable, "-m", "scdiffuse", *words],
                env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdin=subprocess.PIPE,  # closes when this process ends, however it ends
                stderr=outputs[rank],
                process_group=0,
            )
            for rank in range(n)
        ]
        for child in children:
            stack.enter_context(child)
        with _forwarded_signals(children):
            first = _wait(children)
        return _exit_code([child.returncode for child in children], first, words=words, outputs=outputs)


def leave_with_parent() -> None:
    """End this process as soon as the process that launched it ends."""
    if _MARK in os.environ:
        threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    while os.read(0, 1):
        pass
    os._exit(LOST)


def _environment(n: int) -> dict[str, str]:
    """Build the environment of the processes: their number, where they connect, and the threads of each."""
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
def _forwarded_signals(children: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Forward Ctrl-C and requests to end to the processes, once each."""

    def forward(number: int, _: object) -> None:
        for child in children:
            child.send_signal(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _wait(children: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Wait for all processes and return the first one that failed; the others then have a few seconds to end."""
    first: int | None = None
    deadline = float("inf")
    while True:
        codes = [child.poll() for child in children]
        failed = sorted((rank for rank, code in enumerate(codes) if code), key=lambda rank: (codes[rank] or 0) > 0)
        if failed and first is None:  # a killed process counts before those that lost contact with it
            first, deadline = failed[0], time.monotonic() + _GRACE_SECONDS
        if None not in codes:
            return first
        if time.monotonic() > deadline:
            for child in children:
                child.kill()
        time.sleep(_LOOK_SECONDS)


def _exit_code(
    codes: Sequence[int], first: int | None, *, words: Sequence[str], outputs: Sequence[IO[bytes] | None]
) -> int:
    """Turn the exit codes of all processes into one, and print the error that no process has printed yet."""
    if first is None or STOPPED in codes:
        return 0 if first is None else STOPPED
    own = [code for code in codes if code > 0 and code != LOST]
    if codes[first] < 0 or not own:
        more = ["--resume"] if "fit" in words and "--resume" not in words else []
        again = shlex.join(["scdiffuse", *words, *more])
        how = f"was ended by signal {-codes[first]}" if codes[first] < 0 else "lost contact with the others"
        show(f"Error: Process {first} of {len(codes)} {how}; expected all processes to finish.")
        show(f"The system ends processes when memory runs out. What was saved is kept; to continue, run:\n  {again}")
        return LOST
    if codes[0] != own[0]:
        rank = codes.index(own[0])
        file = outputs[rank]
        if file is not None:
            file.seek(0)
            show(f"Process {rank} of {len(codes)}: {file.read().decode(errors='replace').strip()}")
    return own[0]
