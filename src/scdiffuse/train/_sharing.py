"""How processes share the cells of a step: in slices, each with its own numbers."""

from __future__ import annotations

from scdiffuse._core.errors import SettingError
from scdiffuse._core.processes import Part, Processes
from scdiffuse._core.random import Draws, generator

__all__ = ["require_enough_cells", "step_draws", "step_rows"]

_FEWEST_SLICES = 8
_LARGEST_SLICE = 64  # cells; opening a random stream costs as much as a cell or two


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


def _n_slices(n_cells: int) -> int:
    return min(n_cells, max(_FEWEST_SLICES, n_cells // _LARGEST_SLICE))


def _slices(n_cells: int, part: Part) -> range:
    """List the slices of a step that one process takes."""
    return part.of(_n_slices(n_cells))


def _bounds(n_cells: int, slices: range) -> list[int]:
    """Find where neighbouring slices begin, and where the last one ends."""
    n = _n_slices(n_cells)
    return [n_cells * at // n for at in range(slices.start, slices.stop + 1)]
