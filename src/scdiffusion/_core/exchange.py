"""Rows of numbers that processes add up and hand round, through memory where they share one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

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

    def __init__(self, processes: Processes, width: int, device: torch.device) -> None:
        import torch

        self._processes = processes
        self.given = torch.zeros(processes.size, width, device=device)
        self.known = torch.zeros_like(self.given)

    def add_up(self) -> Tensor:
        """Return the row of this process, summed over what all have given, shape ``(width,)``."""
        return _sum(self._processes.collect(self.given))

    def hand_round(self) -> None:
        """Fill in the rows of the others in `known`."""
        self._processes.exchange(self.known, 1)


class _SharedExchange(Exchange):
    """The same in memory that all can see; the only messages say that everybody has written."""

    def __init__(self, processes: Processes, memory: Tensor) -> None:
        self._processes = processes
        self._all = memory[:-1]
        self.given, self.known = memory[processes.part.rank], memory[-1]

    def add_up(self) -> Tensor:
        self._processes.wait()
        return _sum(self._all[:, self._processes.part.rank])

    def hand_round(self) -> None:
        self._processes.wait()


def _sum(rows: Tensor) -> Tensor:
    """Add rows in their order; `Tensor.sum` takes twice as long for a few long ones."""
    total = rows[0].clone()
    for row in rows[1:]:
        total += row
    return total


def open_exchange(processes: Processes, width: int, device: torch.device) -> Exchange:
    """Choose how rows are exchanged: through memory, if all processes run on one machine with enough to share.

    Parameters
    ----------
    processes, width, device
        As for `Exchange`.
    """
    memory = _share_memory(processes, width) if device.type == "cpu" else None
    return Exchange(processes, width, device) if memory is None else _SharedExchange(processes, memory)


def _share_memory(processes: Processes, width: int) -> Tensor | None:
    """Map one file of zeros everywhere, shape ``(processes + 1, processes, width)``; `None` unless all can."""
    import torch

    shape = (processes.size + 1, processes.size, width)
    n_bytes = 4 * shape[0] * shape[1] * width
    path = processes.from_first(_new_file(n_bytes) if processes.is_first else None)
    memory = None
    if path is not None and Path(path).is_file():  # it is not on another machine
        memory = torch.from_file(path, shared=True, size=n_bytes // 4).view(shape)
    is_shared = processes.total(float(memory is not None)) == processes.size
    if processes.is_first and path is not None:
        Path(path).unlink()
    return memory if is_shared else None


def _new_file(n_bytes: int) -> str | None:
    """Make a file in memory whose space is really there, so that writing to it cannot fail later."""
    if not (_SHARED_MEMORY.is_dir() and hasattr(os, "posix_fallocate")):
        return None
    handle, path = tempfile.mkstemp(prefix="scdiffusion-", dir=_SHARED_MEMORY)
    try:
        os.posix_fallocate(handle, 0, n_bytes)
    except OSError:
        Path(path).unlink()
        return None
    finally:
        os.close(handle)
    return path
