"""Weight updates: several processes sum their gradients and take the same step."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from scdiffuse._core.processes import Processes
from scdiffuse.train._state import TrainState

__all__ = ["ReducedStep", "WeightUpdater"]


class ReducedStep(NamedTuple):
    """Loss and requests of a step, reduced over all processes."""

    loss: float
    """Mean loss of all cells of the step."""
    is_stopped: bool
    """Whether any process was asked to stop."""
    is_due: bool
    """Whether any process requests to save the state."""


class WeightUpdater:
    """Update all weights of a stage; every process takes the step of the summed gradients.

    One all-reduce a step sums gradients, losses and requests. Sums are the same in all processes, so that weights,
    averages and optimiser states stay equal bit for bit, and are those of one process up to the rounding of sums.

    Parameters
    ----------
    state
        State of the stage, the same in all processes.
    processes
        The processes that share the stage.
    """

    def __init__(self, state: TrainState, processes: Processes) -> None:
        self.state = state
        self._processes = processes
        sizes = [weight.numel() for weight in state.parameters]
        n_numbers = sum(sizes) + len(ReducedStep._fields) if processes.size > 1 else 0
        self._summed = torch.zeros(n_numbers, device=state.parameters[0].device)
        self._gradients: list[Tensor] = []
        if processes.size > 1:
            views = torch.split(self._summed[: sum(sizes)], sizes)
            self._gradients = [view.view_as(weight) for view, weight in zip(views, state.parameters, strict=True)]

    def reduce(self, loss: float, *, stop: bool, save: bool) -> ReducedStep:
        """Reduce gradients, losses and requests over all processes.

        Parameters
        ----------
        loss
            Summand of this process, whose gradients the weights have.
        stop, save
            Whether this process was asked to stop, or requests to save the state.

        Returns
        -------
        The same in all processes.
        """
        requests = ReducedStep(loss, stop, save)
        if self._processes.size == 1:
            return requests
        gradients = [weight.grad for weight in self.state.parameters]
        pairs = [(view, own) for view, own in zip(self._gradients, gradients, strict=True) if own is not None]
        torch._foreach_copy_([view for view, _ in pairs], [own for _, own in pairs])
        self._summed[-len(requests) :] = torch.tensor([float(number) for number in requests])
        self._processes.all_reduce(self._summed)
        for weight, view in zip(self.state.parameters, self._gradients, strict=True):
            weight.grad = None if weight.grad is None else view
        loss, n_stopped, n_due = self._summed[-len(requests) :].tolist()
        return ReducedStep(loss, n_stopped > 0, n_due > 0)

    def update(self) -> None:
        """Take one step with the reduced gradients."""
        self.state.optimiser.step()
        self.state.average.update()
