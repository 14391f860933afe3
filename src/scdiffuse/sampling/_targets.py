"""Where classifiers guide each cell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from scdiffuse.guidance import with_targets
from scdiffuse.nn import ConditionTensors

__all__ = ["Targets"]


class Targets(NamedTuple):
    """Where classifiers guide the cells."""

    columns: tuple[NDArray[np.float32], ...]
    """Targets of each guide: one for all cells, or one a cell."""
    scales: tuple[float, ...]
    """Guidance scale of each guide."""

    def beside(self, conditions: ConditionTensors, cells: NDArray[np.int64]) -> ConditionTensors:
        """Put the targets of some cells where the guide looks for them.

        Parameters
        ----------
        conditions
            Conditions of the cells.
        cells
            Their indices, shape ``(B,)``.
        """
        target = torch.from_numpy(self._of(cells))
        return with_targets(conditions, target, torch.tensor(self.scales).expand_as(target))

    def guided(self, cells: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the targets of some cells, shape ``(B, K)``; NaN for a guide of scale 0.

        Parameters
        ----------
        cells
            Their indices, shape ``(B,)``.
        """
        return np.where(np.array(self.scales) > 0, self._of(cells), np.float32(np.nan))

    def guides(self, at: int) -> bool:
        """Tell whether a guide has an effect on any cell."""
        return self.scales[at] > 0 and not bool(np.isnan(self.columns[at]).all())

    def _of(self, cells: NDArray[np.int64]) -> NDArray[np.float32]:
        rows = [column[cells] if len(column) > 1 else np.repeat(column, len(cells)) for column in self.columns]
        return np.stack(rows, axis=1)
