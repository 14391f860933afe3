"""What a solver is: one step along the path between noise and data."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple, Protocol

from torch import Tensor

__all__ = ["PastVelocity", "Solver", "Step", "Velocity"]

Velocity = Callable[[Tensor, float], Tensor]
"""Derivative :math:`dy / d\\theta` at ``y`` of shape ``(B, D)`` and an angle above 0."""


class PastVelocity(NamedTuple):
    """A velocity that an earlier step computed."""

    velocity: Tensor
    """Derivative, shape ``(B, D)``."""
    angle: float
    """Angle at which the velocity was computed."""


class Step(NamedTuple):
    """Result of one step."""

    y: Tensor
    """Latents of unit variance at the end of the step, shape ``(B, D)``."""
    past: tuple[PastVelocity, ...]
    """Velocities at the starts of the last steps, the latest first, for multistep solvers."""


class Solver(Protocol):
    r"""One step of :math:`dy / d\theta`, in the angle of time; `sample` holds the only loop.

    A new solver is a class that derives from this one, in a file of its own, and one line in `SOLVERS`.
    """

    n_calls: ClassVar[int] = 1
    """Denoiser calls a step."""

    def step(
        self, y: Tensor, interval: tuple[float, float], velocity: Velocity, *, past: tuple[PastVelocity, ...]
    ) -> Step:
        """Integrate latents from one angle to another one.

        Parameters
        ----------
        y
            Latents of unit variance, shape ``(B, D)``.
        interval
            Angle now, above 0, and angle at the end of the step, at least 0.
        velocity
            Derivative, which is not defined at angle 0.
        past
            What the last step returned; empty in the first step.

        Returns
        -------
        Latents at the end of the step, and the velocities that the next step may use.
        """
        ...

    def call_angles(self, angles: Tensor) -> Tensor:
        """List the angles at which the steps to data call the denoiser; the start of each unless overridden.

        Parameters
        ----------
        angles
            Angles between steps from noise to data, which is angle 0, shape ``(S + 1,)``.

        Returns
        -------
        Angles, shape ``(S,)`` or longer.
        """
        return angles[:-1]
