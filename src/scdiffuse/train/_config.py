"""Settings of the training loop."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scdiffuse._core.errors import SettingError
from scdiffuse.nn import Precision

__all__ = ["TrainConfig"]

_SMALLEST_BATCH = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """How long and how fast to train; the defaults of each stage stand in the model's settings."""

    batch_size: int = 128
    """Cells a step, where there are enough."""
    largest_share: float = 1.0
    """Share of the cells that a step may hold, so that it differs from the last; 32 cells are always allowed."""
    min_steps: int = 700
    """Steps for up to `few_cells` cells; more cells get more, with the square root of their number."""
    few_cells: int = 1_500
    """Cells below which steps are not cut further."""
    max_steps: int = 20_000
    """Steps at most, however many cells."""
    learning_rate: float = 4e-3
    """Peak rate of Adam; it warms up over 50 steps and falls to 0 along a cosine."""
    n_validations: int = 20
    """How often the validation loss is taken."""
    patience: int = 6
    """Validations without improvement after which training stops."""
    decay: float = 0.99
    """Longest memory of the weight average."""
    precision: Precision = "float32"
    """Of the networks' products: ``"bf16"`` for GPUs that are quicker so; losses and weights stay ``float32``."""
    compiled: bool = False
    """Compile the networks before the first step, for GPUs: takes up to a minute, and gains nothing on processors."""

    def __post_init__(self) -> None:
        whole = ("batch_size", "min_steps", "few_cells", "max_steps", "n_validations", "patience")
        for name in whole:
            if getattr(self, name) < 1:
                msg = f"`{name}` must be at least 1, got {getattr(self, name)}."
                raise SettingError(msg)
        if not self.learning_rate > 0 or not 0 <= self.decay < 1:
            msg = f"`learning_rate` must be positive and `decay` in [0, 1), got {self.learning_rate} and {self.decay}."
            raise SettingError(msg)
        if self.precision not in {"float32", "bf16"}:
            msg = f"`precision` must be 'float32' or 'bf16', got {self.precision!r}."
            raise SettingError(msg)
        if not 0 < self.largest_share <= 1:
            msg = f"`largest_share` is a share of the cells above 0 and up to 1, got {self.largest_share}."
            raise SettingError(msg)

    def n_batch(self, n_cells: int) -> int:
        """Choose the number of cells of a step.

        Parameters
        ----------
        n_cells
            Training cells.

        Returns
        -------
        Cells, no more than there are.
        """
        return min(self.batch_size, n_cells, max(_SMALLEST_BATCH, int(self.largest_share * n_cells)))

    def n_steps(self, n_cells: int, max_epochs: int | None = None) -> int:
        """Choose the number of steps.

        Parameters
        ----------
        n_cells
            Training cells.
        max_epochs
            Passes over the cells at most.

        Returns
        -------
        Steps, at least 1.
        """
        steps = min(self.max_steps, round(self.min_steps * math.sqrt(max(1.0, n_cells / self.few_cells))))
        if max_epochs is not None:
            steps = min(steps, max_epochs * max(1, n_cells // self.n_batch(n_cells)))
        return max(1, steps)
