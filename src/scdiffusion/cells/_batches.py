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

    Raises
    ------
    SettingError
        There are no cells, or `batch_size` is not positive.

    Examples
    --------
    >>> batches = Batches(10, 4, seed=0)
    >>> batches.steps_per_epoch, batches.at(7).shape
    (2, (4,))
    """

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        if n < 1 or batch_size < 1:
            msg = f"Batches need at least 1 cell and `batch_size` of at least 1, got {n} and {batch_size}."
            raise SettingError(msg)
        self.n = n
        self.batch_size = min(batch_size, n)
        self.seed = seed
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
            self._order = generator(self.seed, "batches", epoch).permutation(self.n)
            self._epoch = epoch
        return self._order[within * self.batch_size : (within + 1) * self.batch_size]
