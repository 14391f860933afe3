"""How processes share a step: its cells in slices, its gradient as one sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from scdiffusion._core.errors import SettingError
from scdiffusion._core.processes import Part, Processes
from scdiffusion._core.random import Draws, generator

__all__ = ["require_enough_cells", "step_draws", "step_rows", "sum_gradients"]

_FEWEST_SLICES = 8
_LARGEST_SLICE = 64  # cells; opening a random stream costs as much as a cell or two


class Summed(NamedTuple):
    """What all processes together have found in a step."""

    loss: float
    """Mean loss of all cells."""
    is_stopped: bool
    """Whether one of them was asked to stop."""


def step_rows(n_cells: int, part: Part) -> slice:
    """Find the cells of a step that one process takes: consecutive ones, in whole slices.

    Parameters
    ----------
    n_cells
        Cells of the step.
    part
        The process.

    Returns
    -------
    Positions in the step.
    """
    bounds = _bounds(n_cells, _slices(n_cells, part))
    return slice(bounds[0], bounds[-1])


def step_draws(n_cells: int, part: Part, *, seed: int, stage: str, step: int) -> Draws:
    """Open the random streams of the cells of a step that one process takes; each slice has its own.

    Parameters
    ----------
    n_cells
        Cells of the step.
    part
        The process.
    seed, stage, step
        What the streams belong to.
    """
    mine = _slices(n_cells, part)
    streams = [generator(seed, stage, "noise", step, at) for at in mine]
    bounds = _bounds(n_cells, mine)
    return Draws(streams, [bound - bounds[0] for bound in bounds])


def require_enough_cells(n_cells: int, processes: Processes) -> None:
    """Refuse more processes than a step has slices.

    Parameters
    ----------
    n_cells
        Cells of a step.
    processes
        Who shares it.

    Raises
    ------
    SettingError
        Some would have nothing to do.
    """
    most = _n_slices(n_cells)
    if processes.size > most:
        msg = f"A step of {n_cells} cells can be shared by {most} processes at most, got {processes.size}."
        raise SettingError(msg + f" Start fewer, or raise `batch_size` to {_LARGEST_SLICE} cells a process.")


def sum_gradients(parameters: Sequence[nn.Parameter], loss: float, *, stop: bool, processes: Processes) -> Summed:
    """Add up gradients, losses and wishes to stop over all processes, in one message.

    Parameters
    ----------
    parameters
        Weights with the gradient of this process's summand of the loss; they get the gradient of the sum.
    loss
        The summand.
    stop
        Whether this process was asked to stop.
    processes
        Who shares the step.

    Returns
    -------
    The same everywhere.
    """
    if processes.size == 1:
        return Summed(loss, stop)
    held = [weight for weight in parameters if weight.grad is not None]
    gradients = [weight.grad for weight in held if weight.grad is not None]
    told = gradients[0].new_tensor([loss, float(stop)])
    flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), told])
    processes.sum_(flat)
    for weight, gradient in zip(held, _pieces(flat, gradients), strict=True):
        weight.grad = gradient
    loss, n_stopped = flat[-2:].tolist()
    return Summed(loss, n_stopped > 0)


def _pieces(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    sizes = [tensor.numel() for tensor in like]
    parts = torch.split(flat[: sum(sizes)], sizes)
    return [part.view(tensor.shape) for part, tensor in zip(parts, like, strict=True)]


def _n_slices(n_cells: int) -> int:
    return min(n_cells, max(_FEWEST_SLICES, n_cells // _LARGEST_SLICE))


def _slices(n_cells: int, part: Part) -> range:
    """List the slices of a step that one process takes."""
    return part.of(_n_slices(n_cells))


def _bounds(n_cells: int, slices: range) -> list[int]:
    """Find where neighbouring slices begin, and where the last one ends."""
    n = _n_slices(n_cells)
    return [n_cells * at // n for at in range(slices.start, slices.stop + 1)]
