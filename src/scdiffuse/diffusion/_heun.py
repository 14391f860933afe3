"""Heun's rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scdiffuse.diffusion._solver import PastVelocity, Solver, Step, Velocity

__all__ = ["Heun"]


@dataclass(frozen=True)
class Heun(Solver):
    r"""Second order, two calls a step: :math:`y_{n+1} = y_n + \tfrac h2 (f_n + f(y_n + h f_n))`.

    A step that ends at angle 0, where the velocity is 0 / 0, uses the velocity at its midpoint instead.
    """

    n_calls: ClassVar[int] = 2

    def step(
        self, y: Tensor, interval: tuple[float, float], velocity: Velocity, *, past: tuple[PastVelocity, ...]
    ) -> Step:
        """Integrate latents along the mean of two velocities."""
        now, to = interval
        width = to - now
        here = velocity(y, now)
        if to == 0.0:
            return Step(y + width * velocity(y + 0.5 * width * here, now + 0.5 * width), ())
        there = velocity(y + width * here, to)
        return Step(y + 0.5 * width * (here + there), ())

    def call_angles(self, angles: Tensor) -> Tensor:
        """List the starts of the steps and the midpoint of the last one; other ends are starts of the next step."""
        return torch.cat([angles[:-1], 0.5 * angles[-2:-1]])
