"""The sampling loop: integrate the probability-flow ODE between two times."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse.diffusion._denoiser import Denoiser
from scdiffuse.diffusion._multistep import Multistep
from scdiffuse.diffusion._path import angle, scales, time
from scdiffuse.diffusion._solver import PastVelocity, Solver, Step, Velocity
from scdiffuse.nn import ConditionTensors

__all__ = ["MOST_STEPS", "SAMPLED_AT_ONCE", "sample"]

MOST_STEPS = 10_000
"""Most steps of a solver, far beyond those that still change a cell."""

_NEAR_DATA = 1e-5  # angle below which single precision leaves nothing of the velocity away from data

SAMPLED_AT_ONCE = 512
"""Rows of a block. Blocks of fewer cells are padded: the features stay in the cache, and the constant shape keeps the
arithmetic of each row the same whatever the batch size."""


@torch.no_grad()
def sample(
    denoiser: Denoiser,
    z_t: Tensor,
    conditions: ConditionTensors,
    *,
    solver: Solver | None = None,
    solver_steps: int = 16,
    start: float = 1.0,
    end: float = 0.0,
) -> Tensor:
    r"""Integrate latents from noise to data, or from data to noise (ODE inversion), along the probability-flow ODE.

    .. math:: \frac{dy}{d\theta} = \frac{\cos\theta\, y - \mathrm{mean}}{\sin\theta}, \quad
              y = z_t / \sqrt{\alpha_t^2 + \sigma_t^2}.

    The integration is deterministic, and a cell depends on its own row only: blocks have a constant size.

    Parameters
    ----------
    denoiser
        Predicts clean latents; a guide wraps it.
    z_t
        Latents at time `start`, shape ``(B, D)``: standard normals where `start` is 1, or clean latents moved along the
        path with `add_noise`.
    conditions
        Conditions of the ``B`` cells.
    solver
        Rule of a step; `Multistep` unless given.
    solver_steps
        Steps from `start` to `end`.
    start, end
        Times to integrate between, from 0 to 1 each. Where `start` lies below `end`, the same path is integrated from
        data to noise.

    Returns
    -------
    Latents at time `end`, shape ``(B, D)``.

    Raises
    ------
    SettingError
        Times or steps are out of range, or conditions and latents are of different numbers of cells.

    References
    ----------
    Song et al. 2021, https://arxiv.org/abs/2011.13456 (the probability-flow equation).
    """
    n_cells, n_latent = z_t.shape
    _check(n_cells, conditions, solver_steps=solver_steps, start=start, end=end)
    angles = _angles(start, end, solver_steps)
    rule: Solver = Multistep() if solver is None else solver
    first, last = (scales(torch.tensor(t, dtype=z_t.dtype)).norm for t in (start, end))
    out = torch.empty_like(z_t)
    for begin in range(0, n_cells, SAMPLED_AT_ONCE):
        rows = slice(begin, min(begin + SAMPLED_AT_ONCE, n_cells))
        n_rows = rows.stop - begin
        block = z_t.new_zeros(SAMPLED_AT_ONCE, n_latent)
        block[:n_rows] = z_t[rows]
        velocity = _velocity(denoiser, conditions.rows(rows).padded(SAMPLED_AT_ONCE))
        y = block / first
        past: tuple[PastVelocity, ...] = ()
        for now, to in pairwise(angles):
            leaves_data = now < min(to, _NEAR_DATA)
            step = _leave_data(y, (now, to), velocity) if leaves_data else rule.step(y, (now, to), velocity, past=past)
            y, past = step
        out[rows] = y[:n_rows] * last
    return out


def _check(n_cells: int, conditions: ConditionTensors, *, solver_steps: int, start: float, end: float) -> None:
    if solver_steps < 1:
        msg = f"`solver_steps` must be at least 1, got {solver_steps}; 10 suits most models."
        raise SettingError(msg)
    if solver_steps > MOST_STEPS:
        msg = f"`solver_steps` must be at most {MOST_STEPS:,}, got {solver_steps}; 10 suits most models."
        raise SettingError(msg)
    if not (0.0 <= start <= 1.0 and 0.0 <= end <= 1.0) or start == end:
        msg = f"Times run from 1 (noise) to 0 (data), and `start` and `end` must differ; got {start} and {end}."
        raise SettingError(msg + " Give two times within that range.")
    if conditions.n_cells != n_cells:
        msg = f"There are conditions of {conditions.n_cells} cells for {n_cells} latents; give one row each."
        raise SettingError(msg)


def _angles(start: float, end: float, solver_steps: int) -> list[float]:
    """Divide the time evenly, which was best or close to it at 8, 16 and 32 calls (docs/theory.md)."""
    return angle(torch.linspace(start, end, solver_steps + 1, dtype=torch.float64)).tolist()


def _leave_data(y: Tensor, interval: tuple[float, float], velocity: Velocity) -> Step:
    """Take the first step from angle 0, where the velocity is 0 / 0 but tends to 0, along the velocity halfway."""
    now, to = interval
    halfway = 0.5 * (now + to)
    middle = PastVelocity(velocity(y, halfway), halfway)
    return Step(torch.add(y, middle.velocity, alpha=to - now), (middle,))


def _velocity(denoiser: Denoiser, conditions: ConditionTensors) -> Velocity:
    denoised_mean = denoiser.condition_on(conditions)

    def velocity(y: Tensor, theta: float) -> Tensor:
        t = torch.tensor(time(theta), dtype=y.dtype, device=y.device)
        mean = denoised_mean(scales(t).norm * y, t)
        sine = math.sin(theta)
        return torch.add((math.cos(theta) / sine) * y, mean, alpha=-1.0 / sine)

    return velocity
