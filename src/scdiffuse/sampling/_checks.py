"""Checks of requests: what contradicts itself, and what lies beyond the measured."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError, ExtrapolationWarning, ScdiffuseWarning, SettingError
from scdiffuse._core.scalars import whole_number
from scdiffuse.cells import ConditionPlan, Conditions, ConditionTable, plan_conditions
from scdiffuse.diffusion import MOST_STEPS, Solver, angle
from scdiffuse.guidance import NegativeTarget
from scdiffuse.model import FittedModel

__all__ = ["FarCells", "call_times", "read_target", "require_not_away", "warn_beyond", "warn_column", "without_away"]

_FARTHEST = 20.0  # of N training cells, none lies further than sqrt(N - 1) in any latent, and few beyond 10


def without_away(training: ConditionTable, away: Iterable[NegativeTarget], conditions: Conditions) -> ConditionTable:
    """Leave out the training cells that have a label to keep away from, so that none is drawn for an open condition.

    Parameters
    ----------
    training
        Conditions of the training cells.
    away
        Conditions to keep away from.
    conditions
        Those of the model.

    Raises
    ------
    SettingError
        All training cells have it.
    """
    keep = np.ones(len(training), dtype=bool)
    for at, value, scale in away:
        if at < training.codes.shape[1] and scale > 0.0:
            keep &= training.codes[:, at] != int(value)
            if not keep.any():
                name = conditions.names[at]
                msg = f"All training cells have what `away` names for {name!r}; expected a label that others lack."
                raise SettingError(msg + " Leave it out of `away`.")
    return training.take(keep)


def require_not_away(table: ConditionTable, away: Iterable[NegativeTarget], conditions: Conditions) -> None:
    """Refuse to give cells what they are guided away from.

    Parameters
    ----------
    table
        What cells are asked to be.
    away
        Conditions to keep away from.
    conditions
        Those of the model.

    Raises
    ------
    SettingError
        A cell is asked to have a label, or a number, and to keep away from it.
    """
    for at, value, _ in away:
        has = np.concatenate([table.codes, table.values], axis=1)[:, at] == value
        if has.any():
            name = conditions.names[at]
            labels = conditions.categorical.get(name, ())
            shown = labels[int(value)] if labels else "a number"
            n_cells = int(table.counts[has].sum())
            msg = f"`away` names {shown!r} of {name!r}, and {n_cells:,} of the cells are asked to have it; expected"
            raise SettingError(msg + " none. Ask for another one, or for None, or leave it out of `away`.")


def warn_beyond(conditions: Conditions, asked: ConditionTable, *, argument: str = "where") -> None:
    """Warn of numbers outside of the range of the training cells.

    Parameters
    ----------
    conditions
        Those of the model.
    asked
        One row a request.
    argument
        The argument that asks, for the message.

    Warns
    -----
    ExtrapolationWarning
        With the name, the number and the range.
    """
    warn_column(conditions, asked, argument, outcome="Cells are made as at the nearest of these")


def warn_column(conditions: Conditions, asked: ConditionTable, word: str, *, outcome: str) -> None:
    """Warn as `warn_beyond` does, naming the argument that asked and what comes of it."""
    for at, (name, seen) in enumerate(conditions.continuous.items()):
        numbers = asked.values[:, at].astype(np.float64) * seen.std + seen.mean
        slack = 1e-5 * max(seen.std, abs(seen.max), abs(seen.min))
        beyond = (numbers < seen.min - slack) | (numbers > seen.max + slack)
        if beyond.any():
            furthest = numbers[beyond][np.argmax(np.abs(numbers[beyond] - seen.mean))]
            msg = (
                f"`{word}` asks for {name!r} = {furthest:.6g} ({asked.counts[beyond].sum():,} cells or rows); expected "
                f"a number from {seen.min:g} to {seen.max:g}, where it was measured. {outcome}; ask for a number "
                "within to see what it does."
            )
            warnings.warn(msg, ExtrapolationWarning, stacklevel=5)


@dataclass
class FarCells:
    """Count the cells that guidance drives further than any training cell lies, and warn of them."""

    n_cells: int = 0
    n_far: int = 0
    furthest: float = 0.0

    def count(self, latents: NDArray[np.float32]) -> None:
        """Look at some more cells.

        Parameters
        ----------
        latents
            Standardised latents, shape ``(B, D)``.
        """
        distances = np.abs(latents).max(axis=1, initial=0.0)
        self.n_cells += len(distances)
        self.n_far += int((distances > _FARTHEST).sum())
        self.furthest = max(self.furthest, float(distances.max(initial=0.0)))

    def warn(self) -> None:
        """Warn of far cells, if there are any.

        Warns
        -----
        ScdiffuseWarning
            With their number, and how far they lie.
        """
        if self.n_far:
            msg = f"Guidance drives {self.n_far:,} of {self.n_cells:,} cells up to {self.furthest:.3g} standard"
            msg += f" deviations from the mean of the training cells; expected at most {_FARTHEST:g}. That far away, a"
            msg += " few genes get nearly all counts of a cell. Lower the scale of `guidance`."
            warnings.warn(msg, ScdiffuseWarning, stacklevel=4)


def call_times(solver: Solver, solver_steps: int, *, start: float = 1.0) -> list[float]:
    """List the times at which a solver calls the denoiser between noise and data.

    Parameters
    ----------
    solver
        Rule of a step.
    solver_steps
        Steps; none if below 1.
    start
        Time of the first call.

    Raises
    ------
    SettingError
        `solver_steps` is no whole number.
    """
    solver_steps = whole_number(solver_steps, "solver_steps")
    n_steps = min(max(solver_steps, 0), MOST_STEPS)  # numbers out of range are refused where the path begins
    angles = solver.call_angles(angle(torch.linspace(start, 0.0, n_steps + 1, dtype=torch.float64)))
    times: list[float] = (angles.sin() / (angles.sin() + angles.cos())).float().tolist()
    return times


def read_target(model: FittedModel, where: object, *, name: str) -> ConditionPlan:
    """Read one combination of conditions.

    Parameters
    ----------
    model
        The fitted model.
    where
        One label or number for each condition to change; `None` changes none.
    name
        The argument, for messages.

    Returns
    -------
    A plan of one cell: what is asked for, and what is left open.

    Raises
    ------
    ConditionError
        The model has no conditions, or a number is asked for in text.
    SettingError
        `where` is not a mapping.
    UnknownNameError
        A condition or label was not trained.
    """
    if where is None:
        return plan_conditions(model.conditions, model.trained_on, n_cells=1)
    if not isinstance(where, Mapping):
        msg = f"`{name}` must name conditions and a label or number each, such as {{'cell_type': 'B'}}; got"
        raise SettingError(msg + f" {type(where).__name__}. Pass a mapping.")
    if not model.conditions.names:
        msg = f"`{name}` needs a model with conditions, and this one has none. Fit one with"
        raise ConditionError(msg + " `CellGenerator(adata, conditions=[...])`.")
    return plan_conditions(model.conditions, model.trained_on, n_cells=1, where=where, argument=name)
