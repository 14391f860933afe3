"""The Adams-Bashforth rule for steps of any width."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse.diffusion._solver import PastVelocity, Solver, Step, Velocity

__all__ = ["Multistep"]


@dataclass(frozen=True)
class Multistep(Solver):
    r"""Second order, one call a step: integrate a polynomial through the last velocities.

    .. math:: y_{n+1} = y_n + \sum_{i<k} w_i f_{n-i}, \quad
              \sum_{i<k} w_i\, (\theta_{n-i} - \theta_n)^j = \frac{(\theta_{n+1} - \theta_n)^{j+1}}{j+1}, \quad j < k

    This is the Adams-Bashforth rule for steps of any width. The first step is Euler's, which bounds the order; a third
    velocity halves the error all the same.

    Parameters
    ----------
    n_velocities
        Velocities :math:`k` to use, from 1 to 4.

    Raises
    ------
    SettingError
        `n_velocities` is out of range.
    """

    n_velocities: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.n_velocities <= 4:
            msg = f"`n_velocities` must lie between 1 and 4, got {self.n_velocities}; 3 suits most models."
            raise SettingError(msg)

    def step(
        self, y: Tensor, interval: tuple[float, float], velocity: Velocity, *, past: tuple[PastVelocity, ...]
    ) -> Step:
        """Integrate latents along the extrapolated velocities."""
        now, to = interval
        used = (PastVelocity(velocity(y, now), now), *past)[: self.n_velocities]
        weights = _weights(tuple(one.angle - now for one in used), to - now)
        for weight, one in zip(weights, used, strict=True):
            y = torch.add(y, one.velocity, alpha=weight)
        return Step(y, used)


@lru_cache(maxsize=256)  # all blocks of cells take the same steps
def _weights(nodes: tuple[float, ...], width: float) -> list[float]:
    """Weight velocities at the nodes so that their polynomial is integrated from 0 to `width`."""
    powers = np.arange(len(nodes))
    weights: list[float] = np.linalg.solve(
        np.array(nodes) ** powers[:, None], width ** (powers + 1) / (powers + 1)
    ).tolist()
    return weights
