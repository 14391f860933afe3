"""Solvers: one step each along the path from noise to data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from scdiffuse._core.errors import SettingError, UnknownNameError, did_you_mean

__all__ = ["SOLVERS", "Euler", "Heun", "Known", "Multistep", "Slope", "Solver", "Step", "solver_named"]

Slope = Callable[[Tensor, float], Tensor]
"""Derivative of ``y`` by the angle, at ``y`` of shape ``(B, D)`` and an angle above 0."""


class Known(NamedTuple):
    """A slope that was computed on the way."""

    slope: Tensor
    """Derivative, shape ``(B, D)``."""
    angle: float
    """Where it was taken."""


class Step(NamedTuple):
    """Where a step led."""

    y: Tensor
    """Latents of unit variance at the end of the step, shape ``(B, D)``."""
    past: tuple[Known, ...]
    """Slopes at the starts of the last steps, the latest first, for a solver that looks back."""


class Solver(Protocol):
    r"""One step of :math:`dy / d\theta`, in the angle of time; `sample` holds the only loop."""

    @property
    def n_calls(self) -> int:
        """Denoiser calls a step."""
        ...

    def step(self, y: Tensor, leg: tuple[float, float], slope: Slope, *, past: tuple[Known, ...]) -> Step:
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
            What the last step left; empty in the first step.

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

    def step(self, y: Tensor, leg: tuple[float, float], slope: Slope, *, past: tuple[Known, ...]) -> Step:
        """Carry latents along the slope at the start."""
        now, to = leg
        here = slope(y, now)
        return Step(y + (to - now) * here, ())


@dataclass(frozen=True)
class Heun:
    r"""Second order, two calls a step: :math:`y_{n+1} = y_n + \tfrac h2 (f_n + f(y_n + h f_n))`.

    A step that ends at angle 0, where the slope is 0 / 0, uses the slope in its middle instead.
    """

    n_calls: ClassVar[int] = 2

    def step(self, y: Tensor, leg: tuple[float, float], slope: Slope, *, past: tuple[Known, ...]) -> Step:
        """Carry latents along the mean of two slopes."""
        now, to = leg
        width = to - now
        here = slope(y, now)
        if to == 0.0:
            return Step(y + width * slope(y + 0.5 * width * here, now + 0.5 * width), ())
        there = slope(y + width * here, to)
        return Step(y + 0.5 * width * (here + there), ())


@dataclass(frozen=True)
class Multistep:
    r"""Second order, one call a step: a polynomial through the last slopes is integrated.

    .. math:: y_{n+1} = y_n + \sum_{i<k} w_i f_{n-i}, \quad
              \sum_{i<k} w_i\, (\theta_{n-i} - \theta_n)^j = \frac{(\theta_{n+1} - \theta_n)^{j+1}}{j+1}, \quad j < k

    It is the Adams-Bashforth rule for steps of any width. The first step is Euler's, which is what bounds the order; a
    third slope halves the error all the same.

    Parameters
    ----------
    n_slopes
        Slopes :math:`k` to use, from 1 to 4.

    Raises
    ------
    SettingError
        `n_slopes` is out of range.
    """

    n_slopes: int = 3
    n_calls: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 1 <= self.n_slopes <= 4:
            msg = f"`n_slopes` must lie between 1 and 4, got {self.n_slopes}; 3 suits most models."
            raise SettingError(msg)

    def step(self, y: Tensor, leg: tuple[float, float], slope: Slope, *, past: tuple[Known, ...]) -> Step:
        """Carry latents along the integral of the extended slopes."""
        now, to = leg
        known = (Known(slope(y, now), now), *past)[: self.n_slopes]
        weights = _weights(tuple(one.angle - now for one in known), to - now)
        for weight, one in zip(weights, known, strict=True):
            y = torch.add(y, one.slope, alpha=weight)
        return Step(y, known)


@lru_cache(maxsize=256)  # all blocks of cells take the same steps
def _weights(nodes: tuple[float, ...], width: float) -> list[float]:
    """Weigh slopes at the nodes so that their polynomial is integrated from 0 to `width`."""
    powers = np.arange(len(nodes))
    weights: list[float] = np.linalg.solve(
        np.array(nodes) ** powers[:, None], width ** (powers + 1) / (powers + 1)
    ).tolist()
    return weights


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
