"""Reduce-scatter and all-gather of rows of numbers, through shared memory if processes run on one machine."""

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
    """Reduce-scatter and all-gather of one row for each process, in messages.

    Between two writes to the same rows, call the other operation or wait for all processes, which may still read them.

    Parameters
    ----------
    processes
        The processes; all make the same calls in the same order.
    width
        Numbers in a row.
    device
        Device of the rows.
    """

    outgoing: Tensor
    """Summands of this process for each row, shape ``(processes, width)``, ``float32``."""
    gathered: Tensor
    """Rows of all processes after `all_gather`, shape ``(processes, width)``; a process writes its own row before."""
    reduced: Tensor
    """Row of this process after `reduce_scatter`, summed over all processes, shape ``(width,)``."""

    def __init__(self, processes: Processes, width: int, device: torch.device) -> None:
        import torch

        self._processes = processes
        self.outgoing = torch.zeros(processes.size, width, device=device)
        self.gathered = torch.zeros_like(self.outgoing)
        self.reduced = torch.zeros_like(self.outgoing[0])

    def reduce_scatter(self) -> None:
        """Sum the summands of all processes for the row of this one, into `reduced`."""
        self._sum(self._processes.all_to_all(self.outgoing))

    def all_gather(self) -> None:
        """Fill in the rows of the other processes in `gathered`."""
        self._processes.all_gather_blocks(self.gathered, 1)

    def _sum(self, rows: Tensor) -> None:
        """Add rows in their order; `Tensor.sum` takes twice as long for a few long ones."""
        import torch

        torch.add(rows[0], rows[1], out=self.reduced)
        for row in rows[2:]:
            self.reduced += row


class _SharedExchange(Exchange):
    """The same through shared memory; the only messages are barriers."""

    def __init__(self, processes: Processes, memory: Tensor) -> None:
        rank = processes.part.rank
        self._processes = processes
        self._mine = memory[:-1, rank]
        self.outgoing, self.gathered, self.reduced = memory[rank], memory[-1], self._mine[0].clone()

    def reduce_scatter(self) -> None:
        self._processes.barrier()
        self._sum(self._mine)

    def all_gather(self) -> None:
        self._processes.barrier()


def open_exchange(processes: Processes, width: int, device: torch.device) -> Exchange:
    """Choose shared memory if all processes run on one machine that has enough of it, and messages otherwise.

    Parameters
    ----------
    processes, width, device
        As for `Exchange`.
    """
    memory = _share(processes, width) if device.type == "cpu" else None
    return Exchange(processes, width, device) if memory is None else _SharedExchange(processes, memory)


def _share(processes: Processes, width: int) -> Tensor | None:
    """Map one file of zeros in all processes, shape ``(processes + 1, processes, width)``; `None` unless all can."""
    import torch

    shape = (processes.size + 1, processes.size, width)
    n_numbers = shape[0] * shape[1] * width
    memory = None
    with ExitStack() as named:  # a mapped file needs no name any more
        path = processes.broadcast_text(_new_file(4 * n_numbers, named) if processes.is_first else None)
        if path is not None and Path(path).is_file():  # another machine does not have the file
            with suppress(RuntimeError):  # another user may not open the file
                memory = torch.from_file(path, shared=True, size=n_numbers).view(shape)
        is_shared = processes.total(float(memory is not None)) == processes.size
    return memory if is_shared else None


def _new_file(n_bytes: int, named: ExitStack) -> str | None:
    """Make a file in memory with its space allocated, so that writing to it cannot fail later."""
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
