"""The solvers by name; a new solver adds one line here."""

from __future__ import annotations

from scdiffuse._core.errors import UnknownNameError, did_you_mean
from scdiffuse.diffusion._euler import Euler
from scdiffuse.diffusion._heun import Heun
from scdiffuse.diffusion._multistep import Multistep
from scdiffuse.diffusion._solver import Solver

__all__ = ["SOLVERS", "SolverName", "solver_named"]

SolverName = str
"""A key of `SOLVERS`."""

SOLVERS: dict[str, Solver] = {"euler": Euler(), "heun": Heun(), "multistep": Multistep()}
"""Solvers by the name that users give."""


def solver_named(name: str) -> Solver:
    """Find a solver by its name.

    Parameters
    ----------
    name
        One of the keys of `SOLVERS`.

    Returns
    -------
    The solver.

    Raises
    ------
    UnknownNameError
        There is no such solver.
    """
    if name not in SOLVERS:
        msg = f"{name!r} is not a solver; expected one of {list(SOLVERS)}."
        raise UnknownNameError(msg + did_you_mean(name, SOLVERS))
    return SOLVERS[name]
