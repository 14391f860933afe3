"""The state of a stage: all that a resumed run needs to equal an uninterrupted one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse._core.processes import ALONE, WHOLE, Part, Processes
from scdiffuse._core.random import Draws
from scdiffuse.nn import WeightAverage
from scdiffuse.train._config import TrainConfig

__all__ = ["Task", "TrainState"]


class Task(Protocol):
    """What a stage minimises: the interface of the training loop to cells and networks."""

    @property
    def module(self) -> nn.Module:
        """The network to train."""

    @property
    def n_cells(self) -> int:
        """Number of training cells."""

    def loss(self, cells: NDArray[np.int64], draws: Draws, *, progress: float = 1.0) -> Tensor:
        """Compute the mean loss of some training cells, shape ``()``; all random numbers come from `draws`.

        `progress` is the fraction of the steps done.
        """

    def validate(self, part: Part = WHOLE) -> float:
        """Compute the loss of the validation cells, with the same draws at each call.

        The results of all parts add up to the loss of the whole.
        """

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return groups with ``params``, ``rate`` (of the learning rate) and ``begin`` (fraction of the steps)."""


@dataclass
class TrainState:
    """Weights, their average, the optimiser and the best average so far."""

    task: Task
    optimiser: torch.optim.Adam
    average: WeightAverage
    best: list[Tensor]
    best_loss: float = math.inf
    step: int = 0
    stale: int = 0
    history: list[tuple[int, float, float]] = field(default_factory=list)
    """Step, training loss and validation loss at each validation."""

    @classmethod
    def start(cls, task: Task, config: TrainConfig) -> TrainState:
        """Begin a stage.

        Parameters
        ----------
        task
            What to minimise.
        config
            Settings of Adam and of the weight average.
        """
        groups = task.parameter_groups()
        parameters = [weight for group in groups for weight in group["params"]]
        optimiser = torch.optim.Adam(groups, lr=0.0, betas=(config.beta1, config.beta2), fused=True)
        average = WeightAverage(parameters, config.decay)
        return cls(task, optimiser, average, [value.clone() for value in average.values])

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All weights, in the order of the groups."""
        return self.average.parameters

    def validate(self, training_loss: float, *, processes: Processes = ALONE) -> None:
        """Compute the validation loss of the averaged weights, and keep the weights that are the best so far.

        Parameters
        ----------
        training_loss
            Training loss, for the history.
        processes
            The processes that share the validation cells.
        """
        with self.average.swap():
            loss = processes.total(self.task.validate(processes.part))
        self.history.append((self.step, training_loss, loss))
        self.stale += 1
        if loss < self.best_loss:
            self.best_loss, self.stale = loss, 0
            self.best = [value.clone() for value in self.average.values]

    @torch.no_grad()
    def load_best(self) -> None:
        """Load the best averaged weights into the network."""
        best = self.best if math.isfinite(self.best_loss) else self.average.values
        for weight, value in zip(self.parameters, best, strict=True):
            weight.copy_(value)

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name, for a file."""
        found: dict[str, Tensor] = {}
        for at, weight in enumerate(self.parameters):
            found[f"weight.{at}"] = weight.detach()
            found[f"average.{at}"] = self.average.values[at]
            found[f"best.{at}"] = self.best[at]
            for name, value in self.optimiser.state[weight].items():
                found[f"adam.{at}.{name}"] = value
        return found

    def progress(self) -> dict[str, Any]:
        """Return everything that is not a tensor, for JSON."""
        best = self.best_loss if math.isfinite(self.best_loss) else None
        return {
            "step": self.step,
            "stale": self.stale,
            "best_loss": best,
            "n_averaged": self.average.n_updates,
            "history": self.history,
        }

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        """Restore a saved state.

        Parameters
        ----------
        tensors, progress
            Results of the methods `tensors` and `progress`.
        """
        for at, weight in enumerate(self.parameters):
            weight.copy_(tensors[f"weight.{at}"])
            self.average.values[at].copy_(tensors[f"average.{at}"])
            self.best[at].copy_(tensors[f"best.{at}"])
            prefix = f"adam.{at}."
            for name in [key for key in tensors if key.startswith(prefix)]:
                self.optimiser.state[weight][name.removeprefix(prefix)] = tensors[name].clone().to(weight.device)
        self.average.n_updates = progress["n_averaged"]
        self.step, self.stale = progress["step"], progress["stale"]
        self.best_loss = math.inf if progress["best_loss"] is None else progress["best_loss"]
        self.history = [(int(step), float(train), float(validation)) for step, train, validation in progress["history"]]
