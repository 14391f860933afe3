"""Which cells each training step sees, computed from the step alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scdiffusion._core.errors import SettingError
from scdiffusion._core.random import generator

__all__ = ["Batches"]


class Batches:
    """Shuffled batches that need no state: resuming at a step gives the batch it would have had.

    Parameters
    ----------
    n
        Number of cells.
    batch_size
        Cells a step. The last cells of an epoch that do not fill a batch wait for another epoch's shuffle; with fewer
        cells than `batch_size` each step sees them all.
    seed
        Seed of the shuffles.
    run
        Neighbouring cells that stay together in a batch. Reading from disk, 32 are about as quick as one; the runs
        begin elsewhere in each epoch.

    Raises
    ------
    SettingError
        There are no cells, or `batch_size` or `run` is not positive.

    Examples
    --------
    >>> batches = Batches(10, 4, seed=0)
    >>> batches.steps_per_epoch, batches.at(7).shape
    (2, (4,))
    """

    def __init__(self, n: int, batch_size: int, seed: int, *, run: int = 1) -> None:
        if min(n, batch_size, run) < 1:
            msg = (
                f"Batches need at least 1 cell, `batch_size` and `run` of at least 1, got {n}, {batch_size} and {run}."
            )
            raise SettingError(msg)
        self.n = n
        self.batch_size = min(batch_size, n)
        self.seed = seed
        self.run = run
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which the cells are seen once."""
        return self.n // self.batch_size

    def at(self, step: int) -> NDArray[np.int64]:
        """Return the cells of a step.

        Parameters
        ----------
        step
            Steps taken before, from 0.

        Returns
        -------
        Cell indices, shape ``(B,)``, none twice.
        """
        epoch, within = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._order = self._shuffle(epoch)
            self._epoch = epoch
        return self._order[within * self.batch_size : (within + 1) * self.batch_size]

    def _shuffle(self, epoch: int) -> NDArray[np.int64]:
        draw = generator(self.seed, "batches", epoch)
        starts = draw.permutation(-(-self.n // self.run)) * self.run
        order = (starts[:, None] + np.arange(self.run)).ravel()
        shuffled: NDArray[np.int64] = (order[order < self.n] + draw.integers(self.n)) % self.n
        return shuffled
