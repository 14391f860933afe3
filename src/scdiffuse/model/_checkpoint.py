"""Where an interrupted fit stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from scdiffuse.model._metadata import History, Json

__all__ = ["Checkpoint", "Stage"]

Stage = Literal["autoencoder", "diffusion"]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of the training loop, and the curves so far."""

    stage: Stage
    progress: Json
    """What `TrainState` keeps beside its tensors: the step, the best loss, the curve."""
    tensors: Mapping[str, Tensor]
    history: History
