"""Everything that a resumed run needs to be the run it was."""

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

__all__ = ["Task", "TrainState"]


class Task(Protocol):
    """What a stage minimises; the loop knows nothing else of cells or networks."""

    @property
    def module(self) -> nn.Module:
        """The network to train."""

    @property
    def n_cells(self) -> int:
        """Training cells."""

    def loss(self, cells: NDArray[np.int64], draws: Draws, *, progress: float = 1.0) -> Tensor:
        """Return the mean loss of some training cells, shape ``()``; all that is drawn for them comes from `draws`.

        `progress` is the share of the steps that is done.
        """

    def validate(self, part: Part = WHOLE) -> float:
        """Return the loss of the validation cells, with the same draws at each call.

        What the parts of one whole return adds up to it.
        """

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return groups with ``params``, a factor ``rate`` on the learning rate and ``begin``, when they start."""


@dataclass
class TrainState:
    """Weights, their average, the optimiser and the best so far."""

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
    def start(cls, task: Task, *, decay: float) -> TrainState:
        """Begin a stage.

        Parameters
        ----------
        task
            What to minimise.
        decay
            Longest memory of the weight average.
        """
        groups = task.parameter_groups()
        parameters = [weight for group in groups for weight in group["params"]]
        optimiser = torch.optim.Adam(groups, lr=0.0, betas=(0.9, 0.99), fused=True)
        average = WeightAverage(parameters, decay)
        return cls(task, optimiser, average, [value.clone() for value in average.values])

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All weights, in the order of the groups."""
        return self.average.parameters

    def judge(self, training_loss: float, *, processes: Processes = ALONE) -> None:
        """Take the validation loss of the averaged weights, and keep them when they are the best so far.

        Parameters
        ----------
        training_loss
            For the history.
        processes
            Who shares the validation cells.
        """
        with self.average.swap():
            loss = processes.total(self.task.validate(processes.part))
        self.history.append((self.step, training_loss, loss))
        self.stale += 1
        if loss < self.best_loss:
            self.best_loss, self.stale = loss, 0
            self.best = [value.clone() for value in self.average.values]

    @torch.no_grad()
    def settle(self) -> None:
        """Put the best averaged weights into the network."""
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

    def facts(self) -> dict[str, Any]:
        """Return everything that is not a tensor, ready for JSON."""
        best = self.best_loss if math.isfinite(self.best_loss) else None
        return {
            "step": self.step,
            "stale": self.stale,
            "best_loss": best,
            "n_averaged": self.average.n_updates,
            "history": self.history,
        }

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Go back to a saved state.

        Parameters
        ----------
        tensors, facts
            What `tensors` and `facts` returned.
        """
        for at, weight in enumerate(self.parameters):
            weight.copy_(tensors[f"weight.{at}"])
            self.average.values[at].copy_(tensors[f"average.{at}"])
            self.best[at].copy_(tensors[f"best.{at}"])
            prefix = f"adam.{at}."
            for name in [key for key in tensors if key.startswith(prefix)]:
                self.optimiser.state[weight][name.removeprefix(prefix)] = tensors[name].clone().to(weight.device)
        self.average.n_updates = facts["n_averaged"]
        self.step, self.stale = facts["step"], facts["stale"]
        self.best_loss = math.inf if facts["best_loss"] is None else facts["best_loss"]
        self.history = [(int(step), float(train), float(held)) for step, train, held in facts["history"]]
