"""Several processes that share one piece of work, on one machine or on many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, Self

from scdiffuse._core.errors import LostProcessError, SettingError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed import ProcessGroup

__all__ = ["ALONE", "WHOLE", "Part", "Processes", "joined", "speaks"]

_PATIENCE = timedelta(minutes=10)


class Part(NamedTuple):
    """Which of how many equal parts of the work."""

    rank: int
    """Number of the part, from 0."""
    size: int
    """Parts in all."""

    def of(self, n: int) -> range:
        """Return those of `n` items that belong to the part; neighbours, and all parts together have each item once.

        Examples
        --------
        >>> [list(Part(rank, 2).of(5)) for rank in (0, 1)]
        [[0, 1], [2, 3, 4]]
        """
        return range(n * self.rank // self.size, n * (self.rank + 1) // self.size)


WHOLE = Part(0, 1)
"""All of the work."""


class Processes:
    """The processes that share the work; all of them make the same calls in the same order.

    Parameters
    ----------
    part
        The part of this process.
    group
        How it reaches the others from main memory; `None` where there are none.
    """

    def __init__(self, part: Part = WHOLE, group: ProcessGroup | None = None) -> None:
        self.part = part
        self._group = group

    @classmethod
    def present(cls, *, patience: timedelta = _PATIENCE) -> Self:
        """Find the processes of the ``torch.distributed`` group that this one is in; itself alone if in none.

        Parameters
        ----------
        patience
            How long to wait for one that is alive and says nothing. One that has ended is noticed at once.
        """
        import torch.distributed as dist

        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
            return cls()
        part = Part(dist.get_rank(), dist.get_world_size())
        with _loss_told(part):
            return cls(part, dist.new_group(backend="gloo", timeout=patience))

    @property
    def size(self) -> int:
        """Number of processes."""
        return self.part.size

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.part.rank == 0

    def place(self, device: str) -> str:
        """Give each process of a machine its own accelerator, where a kind of them is named without a number."""
        return f"cuda:{os.environ.get('LOCAL_RANK', self.part.rank)}" if device == "cuda" and self.size > 1 else device

    def sum_(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all processes.

        Parameters
        ----------
        tensor
            Of one shape and type everywhere.
        """
        import torch.distributed as dist

        if self.size > 1:
            with _loss_told(self.part):
                dist.all_reduce(tensor, group=self._reach(tensor))

    def _reach(self, tensor: Tensor) -> ProcessGroup | None:
        """Choose the way to the others: that of the accelerator for what lives there."""
        return None if tensor.is_cuda else self._group

    def total(self, number: float) -> float:
        """Add up a number over all processes.

        Parameters
        ----------
        number
            What this one has.
        """
        import torch

        if self.size == 1:
            return number
        held = torch.tensor([number], dtype=torch.float64)
        self.sum_(held)
        return float(held)

    def wait(self) -> None:
        """Go on when all have come here."""
        self.total(0.0)

    def exchange(self, rows: Tensor, block: int) -> None:
        """Fill in the rows that the others have computed.

        Parameters
        ----------
        rows
            Shape ``(N, ...)``; those of the blocks of this process are set.
        block
            Rows of a block; blocks are divided as `Part.of` does.
        """
        import torch.distributed as dist

        n_blocks = -(-len(rows) // block)
        running = []
        with _loss_told(self.part):
            for rank in range(self.size if self.size > 1 else 0):
                blocks = Part(rank, self.size).of(n_blocks)
                mine = rows[blocks.start * block : blocks.stop * block]
                running.append(dist.broadcast(mine, rank, group=self._reach(rows), async_op=True))
            for one in running:
                one.wait()

    def collect(self, rows: Tensor) -> Tensor:
        """Get from every process the row that it has for this one.

        Parameters
        ----------
        rows
            One for each process, shape ``(processes, ...)``.

        Returns
        -------
        What each has for this one, same shape.
        """
        import torch
        import torch.distributed as dist

        if self.size == 1:
            return rows
        received = torch.empty_like(rows)
        with _loss_told(self.part):
            dist.all_to_all_single(received, rows, group=self._reach(rows))
        return received

    def from_first(self, text: str | None) -> str | None:
        """Tell all processes what the first one says.

        Parameters
        ----------
        text
            What this one would say.
        """
        import torch.distributed as dist

        held = [text]
        if self.size > 1:
            with _loss_told(self.part):
                dist.broadcast_object_list(held, 0, group=self._group)
        return held[0]

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Give all processes what the first one holds.

        Parameters
        ----------
        tensors
            Changed in place, on any device.
        """
        import torch.distributed as dist

        for tensor in tensors if self.size > 1 else ():
            held = tensor.detach().cpu().contiguous()
            with _loss_told(self.part):
                dist.broadcast(held, 0, group=self._group)
            tensor.detach().copy_(held)

    def is_one_machine(self) -> bool:
        """Tell whether all processes run on the same machine and see the same files."""
        import platform

        import torch.distributed as dist

        names: list[str | None] = [None] * self.size
        if self.size > 1:
            with _loss_told(self.part):
                dist.all_gather_object(names, platform.node(), group=self._group)
        return len(set(names)) == 1


ALONE = Processes()
"""This process and no other."""


def speaks() -> bool:
    """Tell whether this process is the one of its job that talks to the user."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Join the processes that the environment tells of, as ``torchrun`` sets it; do nothing where it tells of none.

    Parameters
    ----------
    device
        ``"cuda"`` talks through NCCL, with one accelerator a process.

    Raises
    ------
    SettingError
        A machine has fewer accelerators than processes.
    LostProcessError
        The others cannot be reached.
    """
    import torch
    import torch.distributed as dist

    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "RANK" not in os.environ:
        yield
        return
    part = Part(int(os.environ["RANK"]), size)
    backend = "gloo"
    if device.startswith("cuda"):
        local = int(os.environ.get("LOCAL_RANK", part.rank))
        if local >= torch.cuda.device_count():
            msg = f"Process {part.rank} is number {local} on its machine, which has {torch.cuda.device_count()} GPUs;"
            raise SettingError(msg + " expected one GPU for each process. Start fewer processes a machine.")
        torch.cuda.set_device(local)
        backend = "cpu:gloo,cuda:nccl"
    with _loss_told(part):
        dist.init_process_group(backend, rank=part.rank, world_size=size, timeout=_PATIENCE)
    yield
    dist.destroy_process_group()


@contextmanager
def _loss_told(part: Part) -> Iterator[None]:
    """Say in plain words that the other processes do not answer."""
    try:
        yield
    except (RuntimeError, ValueError) as error:  # gloo, NCCL and the store all report so
        reason = str(error).splitlines()[0][:200]
        msg = f"Process {part.rank} of {part.size} lost the others ({reason}); expected all to run to the end. See what"
        raise LostProcessError(msg + " ended one of them; a fit goes on with `--resume` or `resume=True`.") from error
