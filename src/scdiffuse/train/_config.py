"""Settings of the training loop."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scdiffuse._core.errors import SettingError
from scdiffuse._core.schema import require_types
from scdiffuse.nn import Precision

__all__ = ["TrainConfig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """How long and how fast to train; `ModelConfig` has the defaults of each stage."""

    batch_size: int = 128
    """Cells per step, if there are enough."""
    largest_batch_fraction: float = 1.0
    """Largest fraction of the training cells in a step, so that consecutive steps differ."""
    smallest_batch: int = 32
    """Cells per step that `largest_batch_fraction` does not go below."""
    min_steps: int = 700
    """Steps for up to `few_cells` cells; the number grows with the square root of the number of cells."""
    few_cells: int = 1_500
    """Training cells up to which the number of steps is `min_steps`."""
    max_steps: int = 20_000
    """Largest number of steps."""
    learning_rate: float = 4e-3
    """Peak learning rate of Adam; it warms up linearly and falls to 0 along a cosine."""
    warm_up_steps: int = 50
    """Steps over which the learning rate warms up."""
    late_warm_up: float = 0.15
    """Fraction of the steps over which weights that start late warm up."""
    beta1: float = 0.9
    """Decay of Adam's average of gradients."""
    beta2: float = 0.99
    """Decay of Adam's average of squared gradients."""
    n_validations: int = 20
    """Number of validations."""
    patience: int = 6
    """Validations without improvement after which training stops."""
    decay: float = 0.99
    """Largest decay of the exponential average of weights."""
    precision: Precision = "float32"
    """Precision of matrix products; ``"bf16"`` is faster on GPUs. Losses and weights stay ``float32``."""
    compiled: bool = False
    """Compile the networks before the first step, for GPUs: takes up to a minute, and gains nothing on CPUs."""

    def __post_init__(self) -> None:
        require_types(self)
        counts = ("batch_size", "smallest_batch", "min_steps", "few_cells", "max_steps", "warm_up_steps")
        for name in (*counts, "n_validations", "patience"):
            if getattr(self, name) < 1:
                msg = f"`{name}` must be at least 1, got {getattr(self, name)}."
                raise SettingError(msg)
        for name in ("learning_rate", "late_warm_up"):
            if not getattr(self, name) > 0:
                msg = f"`{name}` must be positive, got {getattr(self, name)}."
                raise SettingError(msg)
        for name in ("decay", "beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                msg = f"`{name}` must be at least 0 and below 1, got {getattr(self, name)}."
                raise SettingError(msg)
        if self.precision not in {"float32", "bf16"}:
            msg = f"`precision` must be 'float32' or 'bf16', got {self.precision!r}."
            raise SettingError(msg)
        if not 0 < self.largest_batch_fraction <= 1:
            msg = f"`largest_batch_fraction` must be above 0 and at most 1, got {self.largest_batch_fraction}."
            raise SettingError(msg)

    def n_batch(self, n_cells: int) -> int:
        """Choose the number of cells per step.

        Parameters
        ----------
        n_cells
            Training cells.

        Returns
        -------
        Cells per step, at most `n_cells`.
        """
        largest = max(self.smallest_batch, int(self.largest_batch_fraction * n_cells))
        return min(self.batch_size, n_cells, largest)

    def n_steps(self, n_cells: int, max_epochs: int | None = None) -> int:
        """Choose the number of steps.

        Parameters
        ----------
        n_cells
            Training cells.
        max_epochs
            Largest number of passes over the cells.

        Returns
        -------
        Steps, at least 1.
        """
        steps = min(self.max_steps, round(self.min_steps * math.sqrt(max(1.0, n_cells / self.few_cells))))
        if max_epochs is not None:
            steps = min(steps, max_epochs * max(1, n_cells // self.n_batch(n_cells)))
        return max(1, steps)
