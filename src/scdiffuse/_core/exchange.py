"""Rows of numbers that processes add up and hand round, through memory where they share one."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from scdiffuse._core.processes import Processes

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

    def all_gather(self) -> None:
        """Fill in the rows of the others in `known`."""
        self._processes.exchange(self.known, 1)

    def _sum(self, rows: Tensor) -> None:
        """Add rows in their order; `Tensor.sum` takes twice as long for a few long ones."""
        import torch

        torch.add(rows[0], rows[1], out=self.summed)
        for row in rows[2:]:
            self.summed += row


class _SharedExchange(Exchange):
    """The same in memory that all can see; the only messages say that everybody has written."""

    def __init__(self, processes: Processes, memory: Tensor) -> None:
        rank = processes.part.rank
        self._processes = processes
        self._mine = memory[:-1, rank]
        self.given, self.known, self.summed = memory[rank], memory[-1], self._mine[0].clone()

    def add_up(self) -> None:
        self._processes.wait()
        self._sum(self._mine)

    def all_gather(self) -> None:
        self._processes.wait()


def open_exchange(processes: Processes, width: int, device: torch.device) -> Exchange:
    """Choose how rows are exchanged: through memory, if all processes run on one machine with enough to share.

    Parameters
    ----------
    processes, width, device
        As for `Exchange`.
    """
    memory = _share(processes, width) if device.type == "cpu" else None
    return Exchange(processes, width, device) if memory is None else _SharedExchange(processes, memory)


def _share(processes: Processes, width: int) -> Tensor | None:
    """Map one file of zeros everywhere, shape ``(processes + 1, processes, width)``; `None` unless all can."""
    import torch

    shape = (processes.size + 1, processes.size, width)
    n_numbers = shape[0] * shape[1] * width
    memory = None
    with ExitStack() as named:  # what is mapped needs no name any more
        path = processes.from_first(_new_file(4 * n_numbers, named) if processes.is_first else None)
        if path is not None and Path(path).is_file():  # it is not on another machine
            with suppress(RuntimeError):  # nor open to another user
                memory = torch.from_file(path, shared=True, size=n_numbers).view(shape)
        is_shared = processes.total(float(memory is not None)) == processes.size
    return memory if is_shared else None


def _new_file(n_bytes: int, named: ExitStack) -> str | None:
    """Make a file in memory whose space is really there, so that writing to it cannot fail later."""
    if not (_SHARED_MEMORY.is_dir() and hasattr(os, "posix_fallocate")):
        return None
    try:
        handle, path = tempfile.mkstemp(prefix="scdiffuse-", dir=_SHARED_MEMORY)
        named.callback(os.unlink, path)
        named.callback(os.close, handle)
        os.posix_fallocate(handle, 0, n_bytes)
    except OSError:
        return None
    return path
