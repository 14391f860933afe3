"""Where an interrupted fit stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

__all__ = ["Checkpoint", "History", "Stage"]

Stage = Literal["autoencoder", "diffusion"]


History = dict[str, list[tuple[int, float, float]]]
"""Step, training loss and validation loss along each stage."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where an interrupted fit stands."""

    stage: Stage
    facts: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    history: History
