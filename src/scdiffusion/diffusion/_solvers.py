"""Solvers: one step each along the path from noise to data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

from torch import Tensor

from scdiffusion._core.errors import UnknownNameError, did_you_mean

__all__ = ["SOLVERS", "Euler", "Heun", "Multistep", "Past", "Slope", "Solver", "Step", "solver_named"]

Slope = Callable[[Tensor, float], Tensor]
"""Derivative of ``y`` by the angle, at ``y`` of shape ``(B, D)`` and an angle above 0."""


class Past(NamedTuple):
    """What a step leaves to the next one."""

    slope: Tensor
    """Derivative at the start of the step, shape ``(B, D)``."""
    width: float
    """Signed width of the step in radians."""


class Step(NamedTuple):
    """Where a step led."""

    y: Tensor
    """Latents of unit variance at the end of the step, shape ``(B, D)``."""
    past: Past
    """Memory for a solver that looks back."""


class Solver(Protocol):
    r"""One step of :math:`dy / d\theta`, in the angle of time; `sample` holds the only loop."""

    @property
    def n_calls(self) -> int:
        """Denoiser calls a step."""
        ...

    def step(self, y: Tensor, leg: tuple[float, float], slope: Slope, *, past: Past | None) -> Step:
        """Carry latents from one angle to a smaller one.

        Parameters
        ----------
        y
            Latents of unit variance, shape ``(B, D)``.
        leg
            Angle now, above 0, and angle to reach, at least 0.
        slope
            Derivative; it may not be asked for at angle 0.
        past
            What the last step left, or `None` in the first step.

        Returns
        -------
        Latents at the angle to reach, and what to leave to the next step.
        """
        ...


@dataclass(frozen=True)
class Euler:
    r"""First order, one call a step: :math:`y_{n+1} = y_n + h f_n`.

    On this path it is exact where the latents are standard normal, as their slope is zero.
    """

    n_calls: ClassVar[int] = 1

    def step(self, y: Tensor, leg: tuple[float, float], slope: Slope, *, past: Past | None) -> Step:
        """Carry latents along the slope at the start."""
        now, to = leg
        here = slope(y, now)
        return Step(y + (to - now) * here, Past(here, to - now))


@dataclass(frozen=True)
class Heun:
    r"""Second order, two calls a step: :math:`y_{n+1} = y_n + \tfrac h2 (f_n + f(y_n + h f_n))`.

    A step that ends at angle 0, where the slope is 0 / 0, uses the slope in its middle instead.
    """

    n_calls: ClassVar[int] = 2

    def step(self, y: Tensor, leg: tuple[float, float], slope: Slope, *, past: Past | None) -> Step:
        """Carry latents along the mean of two slopes."""
        now, to = leg
        width = to - now
        here = slope(y, now)
        if to == 0.0:
            return Step(y + width * slope(y + 0.5 * width * here, now + 0.5 * width), Past(here, width))
        there = slope(y + width * here, to)
        return Step(y + 0.5 * width * (here + there), Past(here, width))


@dataclass(frozen=True)
class Multistep:
    r"""Second order, one call a step: the slope is extended from the last two.

    .. math:: y_{n+1} = y_n + h_n \left[f_n + \frac{h_n}{2 h_{n-1}} (f_n - f_{n-1})\right]

    It is the Adams-Bashforth rule of two steps with widths that may differ; the first step is Euler's.
    """

    n_calls: ClassVar[int] = 1

    def step(self, y: Tensor, leg: tuple[float, float], slope: Slope, *, past: Past | None) -> Step:
        """Carry latents along the extended slope."""
        now, to = leg
        width = to - now
        here = slope(y, now)
        if past is None:
            return Step(y + width * here, Past(here, width))
        extended = here + (0.5 * width / past.width) * (here - past.slope)
        return Step(y + width * extended, Past(here, width))


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
