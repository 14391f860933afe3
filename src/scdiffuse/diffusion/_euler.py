"""Euler's rule."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from scdiffuse.diffusion._solver import PastVelocity, Solver, Step, Velocity

__all__ = ["Euler"]


@dataclass(frozen=True)
class Euler(Solver):
    r"""First order, one call a step: :math:`y_{n+1} = y_n + h f_n`.

    On this path the rule is exact where the latents are standard normal, as their velocity is zero.
    """

    def step(
        self, y: Tensor, interval: tuple[float, float], velocity: Velocity, *, past: tuple[PastVelocity, ...]
    ) -> Step:
        """Integrate latents along the velocity at the start."""
        now, to = interval
        here = velocity(y, now)
        return Step(y + (to - now) * here, ())
