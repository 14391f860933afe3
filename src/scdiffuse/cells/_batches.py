"""Cells of each training step, computed from the number of the step alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError
from scdiffuse._core.random import generator

__all__ = ["Batches", "Blocks"]


class Blocks(NamedTuple):
    """How cells on disk are shuffled: in blocks of neighbours that are read together."""

    size: int
    """Neighbouring cells that are read together."""
    together: int
    """Number of blocks whose cells are shuffled among each other."""


class Batches:
    """Shuffled batches without state: resuming at a step gives the batch of an uninterrupted fit.

    Parameters
    ----------
    n
        Number of cells.
    batch_size
        Cells of a step. The last cells of an epoch that do not fill a batch are left to other epochs; with fewer cells
        than `batch_size`, each step has them all.
    seed
        Seed of the shuffles.
    blocks
        How to shuffle cells that are read from disk: an epoch visits blocks of neighbours in random order and shuffles
        the cells of some blocks among each other. Each epoch divides cells into other blocks. `None` shuffles all
        cells.

    Raises
    ------
    SettingError
        There are no cells, or `batch_size` or the sizes in `blocks` are not positive.

    Examples
    --------
    >>> batches = Batches(10, 4, seed=0)
    >>> batches.steps_per_epoch, batches.at(7).shape
    (2, (4,))
    """

    def __init__(self, n: int, batch_size: int, seed: int, *, blocks: Blocks | None = None) -> None:
        if min(n, batch_size, *(blocks or (1,))) < 1:
            msg = f"Batches need at least 1 cell and sizes of at least 1, got {n} cells, {batch_size} a step, {blocks}."
            raise SettingError(msg)
        self.n = n
        self.batch_size = min(batch_size, n)
        self.seed = seed
        self.steps_together = self.steps_per_epoch
        self._block = 1
        if blocks is not None:
            self._block = min(blocks.size, n)
            wanted = max(1, round(blocks.size * blocks.together / self.batch_size))
            self.steps_together = min(wanted, self.steps_per_epoch)
        self._buffer = (-1, -1)
        self._cells = np.empty(0, dtype=np.int64)

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps in an epoch."""
        return self.n // self.batch_size

    def at(self, step: int) -> NDArray[np.int64]:
        """Return the cells of a step.

        Parameters
        ----------
        step
            Number of the step, from 0.

        Returns
        -------
        Distinct cell indices, shape ``(B,)``.
        """
        epoch, within = divmod(step, self.steps_per_epoch)
        buffer, place = divmod(within, self.steps_together)
        if (epoch, buffer) != self._buffer:
            self._cells = self._mix(epoch, buffer)
            self._buffer = epoch, buffer
        return self._cells[place * self.batch_size : (place + 1) * self.batch_size]

    def buffers(self, begin: int, end: int) -> Iterator[NDArray[np.int64]]:
        """Iterate over the cells of many steps, by buffer of cells that are shuffled together.

        Parameters
        ----------
        begin, end
            First step, and the one after the last.

        Yields
        ------
        Distinct cells of some steps, in the order of the steps.
        """
        while begin < end:
            within = begin % self.steps_per_epoch
            left = min(self.steps_together - within % self.steps_together, self.steps_per_epoch - within, end - begin)
            yield np.concatenate([self.at(step) for step in range(begin, begin + left)])
            begin += left

    def _mix(self, epoch: int, buffer: int) -> NDArray[np.int64]:
        """Shuffle the cells of one buffer of an epoch."""
        draw = generator(self.seed, "batches", epoch)
        starts = draw.permutation(-(-self.n // self._block)) * self._block
        shift = draw.integers(self.n)
        size = self.steps_together * self.batch_size
        cells = self._in_order(starts, slice(buffer * size, min((buffer + 1) * size, self.n)))
        mixed: NDArray[np.int64] = (cells + shift) % self.n
        return mixed if self._block == 1 else generator(self.seed, "batches", epoch, buffer).permutation(mixed)

    def _in_order(self, starts: NDArray[np.int64], wanted: slice) -> NDArray[np.int64]:
        """Concatenate blocks and return a slice; only the block with the last cells may be short."""
        if self._block == 1:
            return starts[wanted]
        ends = np.cumsum(np.minimum(self._block, self.n - starts))
        first, last = np.searchsorted(ends, [wanted.start, wanted.stop - 1], side="right")
        order = (starts[first : last + 1, None] + np.arange(self._block)).ravel()
        skipped = wanted.start - (int(ends[first - 1]) if first else 0)
        return order[order < self.n][skipped : skipped + wanted.stop - wanted.start]
