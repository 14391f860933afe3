"""Slices of the cells of a step, each with a random stream, which processes divide among them."""

from __future__ import annotations

from scdiffuse._core.errors import SettingError
from scdiffuse._core.processes import Part, Processes
from scdiffuse._core.random import Draws, generator

__all__ = ["require_enough_cells", "step_draws", "step_rows"]

_FEWEST_SLICES = 8
_LARGEST_SLICE = 64  # cells; opening a random stream costs as much as one or two cells


def step_rows(n_cells: int, part: Part) -> slice:
    """Find the consecutive cells of a step that one process computes, in whole slices.

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
    """Open the random streams of the cells of a step that one process computes; each slice has a stream.

    Parameters
    ----------
    n_cells
        Cells of the step.
    part
        The process.
    seed, stage, step
        Seed, stage and step of the streams.
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
        The processes that share the step.

    Raises
    ------
    SettingError
        There are more processes than slices.
    """
    most = _n_slices(n_cells)
    if processes.size > most:
        msg = f"A step of {n_cells} cells can be shared by {most} processes at most, got {processes.size}."
        raise SettingError(msg + f" Start fewer, or raise `batch_size` to {_LARGEST_SLICE} cells a process.")


def _n_slices(n_cells: int) -> int:
    return min(n_cells, max(_FEWEST_SLICES, n_cells // _LARGEST_SLICE))


def _slices(n_cells: int, part: Part) -> range:
    """List the slices of a step that one process computes."""
    return part.of(_n_slices(n_cells))


def _bounds(n_cells: int, slices: range) -> list[int]:
    """Find the first cell of each slice, and the end of the last slice."""
    n = _n_slices(n_cells)
    return [n_cells * at // n for at in range(slices.start, slices.stop + 1)]
