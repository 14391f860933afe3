"""Collective operations of several processes, on one machine or on many."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, Self

from scdiffuse._core.errors import LostProcessError, SettingError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed import ProcessGroup

__all__ = ["ALONE", "WHOLE", "Part", "Processes", "is_main_process", "joined"]

_PATIENCE = timedelta(minutes=10)


class Part(NamedTuple):
    """One of several equal parts of a task."""

    rank: int
    """Number of the part, from 0."""
    size: int
    """Number of parts."""

    def of(self, n: int) -> range:
        """Return the items of the part among `n`: contiguous, and each item is in exactly one part.

        Examples
        --------
        >>> [list(Part(rank, 2).of(5)) for rank in (0, 1)]
        [[0, 1], [2, 3, 4]]
        """
        return range(n * self.rank // self.size, n * (self.rank + 1) // self.size)


WHOLE = Part(0, 1)
"""The whole task."""


class Processes:
    """The processes that share a task; all of them make the same calls in the same order.

    Parameters
    ----------
    part
        The part of this process.
    group
        Group for tensors in main memory; `None` for a single process.
    """

    def __init__(self, part: Part = WHOLE, group: ProcessGroup | None = None) -> None:
        self.part = part
        self._group = group

    @classmethod
    def present(cls, *, patience: timedelta = _PATIENCE) -> Self:
        """Return the processes of the current ``torch.distributed`` group; this process alone without a group.

        Parameters
        ----------
        patience
            Time to wait for a process that runs and does not answer. A process that ended is noticed at once.
        """
        import torch.distributed as dist

        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
            return cls()
        part = Part(dist.get_rank(), dist.get_world_size())
        with _report_lost_process(part):
            return cls(part, dist.new_group(backend="gloo", timeout=patience))

    @property
    def size(self) -> int:
        """Number of processes."""
        return self.part.size

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and messages."""
        return self.part.rank == 0

    def place(self, device: str) -> str:
        """Return the device of this process: its own accelerator if `device` names none by number."""
        return f"cuda:{os.environ.get('LOCAL_RANK', self.part.rank)}" if device == "cuda" and self.size > 1 else device

    def all_reduce(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all processes.

        Parameters
        ----------
        tensor
            Tensor of the same shape and type in all processes.
        """
        import torch.distributed as dist

        if self.size > 1:
            with _report_lost_process(self.part):
                dist.all_reduce(tensor, group=self._group_of(tensor))

    def _group_of(self, tensor: Tensor) -> ProcessGroup | None:
        """Choose the group of the device that the tensor is on."""
        return None if tensor.is_cuda else self._group

    def total(self, number: float) -> float:
        """Sum a number over all processes.

        Parameters
        ----------
        number
            Summand of this process.
        """
        import torch

        if self.size == 1:
            return number
        summed = torch.tensor([number], dtype=torch.float64)
        self.all_reduce(summed)
        return float(summed)

    def barrier(self) -> None:
        """Wait until all processes make this call."""
        self.total(0.0)

    def all_gather_blocks(self, rows: Tensor, block: int) -> None:
        """Fill in the rows that other processes computed.

        Parameters
        ----------
        rows
            Rows, shape ``(N, ...)``; those of the blocks of this process are set.
        block
            Rows of a block; `Part.of` divides blocks among processes.
        """
        import torch.distributed as dist

        n_blocks = -(-len(rows) // block)
        running = []
        with _report_lost_process(self.part):
            for rank in range(self.size if self.size > 1 else 0):
                blocks = Part(rank, self.size).of(n_blocks)
                mine = rows[blocks.start * block : blocks.stop * block]
                running.append(dist.broadcast(mine, rank, group=self._group_of(rows), async_op=True))
            for one in running:
                one.wait()

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Copy tensors of the first process to all others.

        Parameters
        ----------
        tensors
            Changed in place, on any device.
        """
        import torch.distributed as dist

        for tensor in tensors if self.size > 1 else ():
            on_cpu = tensor.detach().cpu().contiguous()
            with _report_lost_process(self.part):
                dist.broadcast(on_cpu, 0, group=self._group)
            tensor.detach().copy_(on_cpu)

    def is_same(self, content: bytes) -> bool:
        """Return whether all processes give the same; the answer is the same in all of them.

        Parameters
        ----------
        content
            What this process has.
        """
        import torch

        if self.size == 1:
            return True
        own = torch.frombuffer(bytearray(hashlib.sha256(content).digest()), dtype=torch.uint8)
        first = own.clone()
        self.broadcast([first])
        return self.total(float(not torch.equal(own, first))) == 0

    def is_one_machine(self) -> bool:
        """Return whether all processes run on the same machine, with the same files."""
        import platform

        import torch.distributed as dist

        names: list[str | None] = [None] * self.size
        if self.size > 1:
            with _report_lost_process(self.part):
                dist.all_gather_object(names, platform.node(), group=self._group)
        return len(set(names)) == 1


ALONE = Processes()
"""A single process."""


def is_main_process() -> bool:
    """Return whether this process writes the messages of its job."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Join the processes of a ``torchrun`` job, as its environment variables describe it; do nothing without a job.

    Parameters
    ----------
    device
        ``"cuda"`` uses NCCL, with one accelerator for each process.

    Raises
    ------
    SettingError
        A machine has fewer accelerators than processes, or the environment variables do not describe a job.
    LostProcessError
        The other processes cannot be reached.
    """
    import torch
    import torch.distributed as dist

    size = _number_of("WORLD_SIZE", 1, least=1)
    if size == 1 or "RANK" not in os.environ:
        yield
        return
    part = Part(_number_of("RANK", 0, below=size), size)
    backend = "gloo"
    if device.startswith("cuda"):
        local = _number_of("LOCAL_RANK", part.rank)
        if local >= torch.cuda.device_count():
            msg = f"Process {part.rank} is number {local} on its machine, which has {torch.cuda.device_count()} GPUs;"
            raise SettingError(msg + " expected one GPU for each process. Start fewer processes a machine.")
        torch.cuda.set_device(local)
        backend = "cpu:gloo,cuda:nccl"
    with _report_lost_process(part):
        dist.init_process_group(backend, rank=part.rank, world_size=size, timeout=_PATIENCE)
    yield
    dist.destroy_process_group()


def _number_of(name: str, default: int, *, least: int = 0, below: int | None = None) -> int:
    """Read a whole number from an environment variable."""
    text = os.environ.get(name, str(default))
    if text.isdecimal() and int(text) >= least and (below is None or int(text) < below):
        return int(text)
    range_ = f"a whole number from {least}" + ("" if below is None else f" to {below - 1}")
    msg = f"The environment variable {name} is {text!r}; expected {range_}, as `torchrun` sets it. Start the processes"
    raise SettingError(msg + f" with `torchrun`, or unset {name}.")


@contextmanager
def _report_lost_process(part: Part) -> Iterator[None]:
    """Report in plain words that other processes do not answer."""
    try:
        yield
    except (RuntimeError, ValueError) as error:  # raised by gloo, NCCL and the store
        reason = str(error).splitlines()[0][:200]
        msg = f"Process {part.rank} of {part.size} lost the others ({reason}); expected all to run to the end. Find out"
        msg += " what ended one of them; a fit goes on with `--resume` or `resume=True`."
        raise LostProcessError(msg) from error
