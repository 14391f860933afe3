"""The one sampling loop."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse.diffusion._denoiser import Denoiser
from scdiffuse.diffusion._path import angle, scales, time
from scdiffuse.diffusion._solvers import Known, Multistep, Slope, Solver, Step
from scdiffuse.nn import ConditionTensors

__all__ = ["SAMPLED_AT_ONCE", "sample"]

SAMPLED_AT_ONCE = 512
"""Rows that are computed together, filled up where there are fewer: the features stay in the cache, and a constant
shape makes each row's arithmetic constant."""


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
    r"""Carry latents from noise to data, or from data to noise, along the deterministic path of the denoiser.

    .. math:: \frac{dy}{d\theta} = \frac{\cos\theta\, y - \mathrm{mean}}{\sin\theta}, \quad
              y = z_t / \sqrt{\alpha_t^2 + \sigma_t^2}.

    Nothing is drawn here, and a cell depends on its own row only: rows are computed in blocks of constant size.

    Parameters
    ----------
    denoiser
        Estimates clean latents; guides wrap it.
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
        Times to integrate between, from 0 to 1 each. Where `start` lies below `end`, latents are carried back to the
        noise that they come from: the same path, walked the other way.

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
        slope = _slope(denoiser, conditions.rows(rows).padded(SAMPLED_AT_ONCE))
        y = block / first
        past: tuple[Known, ...] = ()
        for leg in pairwise(angles):
            y, past = rule.step(y, leg, slope, past=past) if leg[0] > 0.0 else _leave_data(y, leg[1], slope)
        out[rows] = y[:n_rows] * last
    return out


def _check(n_cells: int, conditions: ConditionTensors, *, solver_steps: int, start: float, end: float) -> None:
    if solver_steps < 1:
        msg = f"`solver_steps` must be at least 1, got {solver_steps}; 10 suits most models."
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


def _leave_data(y: Tensor, to: float, slope: Slope) -> Step:
    """Take the first step from angle 0, where the slope is 0 / 0 but tends to 0: the slope halfway rules the step."""
    middle = Known(slope(y, 0.5 * to), 0.5 * to)
    return Step(torch.add(y, middle.slope, alpha=to), (middle,))


def _slope(denoiser: Denoiser, conditions: ConditionTensors) -> Slope:
    denoised_mean = denoiser.condition_on(conditions)

    def slope(y: Tensor, theta: float) -> Tensor:
        t = torch.tensor(time(theta), dtype=y.dtype, device=y.device)
        mean = denoised_mean(scales(t).norm * y, t)
        sine = math.sin(theta)
        return torch.add((math.cos(theta) / sine) * y, mean, alpha=-1.0 / sine)

    return slope
