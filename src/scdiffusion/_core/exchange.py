"""Rows of numbers that processes add up and hand round, through memory where they share one."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from scdiffusion._core.processes import loss_told

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from scdiffusion._core.processes import Processes

__all__ = ["Exchange", "open_exchange"]

_SHARED_MEMORY = Path("/dev/shm")


class Exchange:
    """One row for each process, summed by it for all, then handed round; in messages.

    Between writing the same rows twice lies a call of the other kind, or a wait for all: they may still be read.

    Parameters
    ----------
    processes
        Who takes part; all make the same calls in the same order.
    width
        Numbers of a row.
    device
        Where they are.
    """

    given: Tensor
    """What this process adds to each row, shape ``(processes, width)``, ``float32``."""
    known: Tensor
    """What all know once it is handed round, shape ``(processes, width)``; a process writes its own row."""
    summed: Tensor
    """The row of this process, summed over what all have given, shape ``(width,)``."""

    def __init__(self, processes: Processes, width: int, device: torch.device) -> None:
        import torch

        self._processes = processes
        self.given = torch.zeros(processes.size, width, device=device)
        self.known = torch.zeros_like(self.given)
        self.summed = torch.zeros_like(self.given[0])

    def add_up(self) -> None:
        """Sum what all have given, into `summed`."""
        self._sum(self._processes.collect(self.given))

    def hand_round(self) -> None:
        """Fill in the rows of the others in `known`."""
        self._processes.exchange(self.known, 1)

    def _sum(self, rows: Tensor) -> None:
        """Add rows in their order; `Tensor.sum` takes twice as long for a few long ones."""
        self.summed.copy_(rows[0])
        for row in rows[1:]:
            self.summed += row


class _SharedExchange(Exchange):
    """The same in memory that all can see."""

    def __init__(self, processes: Processes, memory: Tensor, lines: Sequence[socket.socket]) -> None:
        rank = processes.part.rank
        self._processes, self._lines = processes, lines
        self._mine = memory[:-1, rank]
        self.given, self.known, self.summed = memory[rank], memory[-1], self._mine[0].clone()

    def add_up(self) -> None:
        self._meet()
        self._sum(self._mine)

    def hand_round(self) -> None:
        self._meet()

    def _meet(self) -> None:
        """Go on when all have come here: a byte to the first process and one back, a fifth of the time of a message."""
        with loss_told(self._processes.part):
            if not self._processes.is_first:
                self._lines[0].sendall(b".")
            for line in self._lines:
                if not line.recv(1):
                    msg = "Connection closed by another process"
                    raise ConnectionError(msg)
            for line in self._lines if self._processes.is_first else ():
                line.sendall(b".")


@contextmanager
def open_exchange(processes: Processes, width: int, device: torch.device) -> Iterator[Exchange]:
    """Choose how rows are exchanged: through memory, if all processes run on one machine with enough to share.

    Parameters
    ----------
    processes, width, device
        As for `Exchange`.
    """
    with ExitStack() as lines:
        shared = _share(processes, width, lines) if device.type == "cpu" and hasattr(socket, "AF_UNIX") else None
        yield shared or Exchange(processes, width, device)


def _share(processes: Processes, width: int, opened: ExitStack) -> Exchange | None:
    """Map one file of zeros everywhere, and connect all to the first process; `None` unless all can."""
    import torch

    shape = (processes.size + 1, processes.size, width)
    n_numbers = shape[0] * shape[1] * width
    door = opened.enter_context(socket.socket(socket.AF_UNIX))
    memory, lines = None, [door]
    with ExitStack() as named:  # what is mapped and connected needs no name any more
        folder = processes.from_first(_prepare(4 * n_numbers, door, named) if processes.is_first else None)
        if folder is not None:
            with suppress(OSError):  # it is not on another machine, nor open to another user
                if not processes.is_first:
                    door.connect(f"{folder}/door")
                memory = torch.from_file(f"{folder}/rows", shared=True, size=n_numbers).view(shape)
        if processes.total(float(memory is not None)) < processes.size or memory is None:
            return None
        if processes.is_first:
            lines = [opened.enter_context(door.accept()[0]) for _ in range(1, processes.size)]
    for line in lines:
        line.settimeout(processes.patience.total_seconds())
    return _SharedExchange(processes, memory, lines)


def _prepare(n_bytes: int, door: socket.socket, named: ExitStack) -> str | None:
    """Make a folder with rows, whose space is really there so that writing cannot fail, and with a door to knock at."""
    if not (_SHARED_MEMORY.is_dir() and hasattr(os, "posix_fallocate")):
        return None
    try:
        folder = named.enter_context(tempfile.TemporaryDirectory(prefix="scdiffusion-", dir=_SHARED_MEMORY))
        with Path(folder, "rows").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        door.bind(f"{folder}/door")
        door.listen()
    except OSError:
        return None
    return folder
