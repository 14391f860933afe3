"""Distillation: a sampler that takes the denoiser's path from noise to data in few steps."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse._core.processes import WHOLE, Part
from scdiffuse._core.random import Draws
from scdiffuse.diffusion._denoiser import LatentDenoiser
from scdiffuse.diffusion._heun import Heun
from scdiffuse.diffusion._path import angle, scales
from scdiffuse.diffusion._sampling import sample
from scdiffuse.nn import ConditionTensors

__all__ = ["DistillationTask", "integrate_paths", "new_distilled"]

_AT_ONCE = 1024


def new_distilled(teacher: LatentDenoiser) -> LatentDenoiser:
    """Start a distilled sampler as a trainable copy of the denoiser.

    Parameters
    ----------
    teacher
        The denoiser whose path the sampler learns; it is not changed.

    Returns
    -------
    A denoiser for `sample` with `Euler` and as many steps as it is trained for.
    """
    return copy.deepcopy(teacher).requires_grad_(requires_grad=True)


@torch.no_grad()
def integrate_paths(
    teacher: LatentDenoiser, noise: Tensor, conditions: ConditionTensors, *, solver_steps: int
) -> Tensor:
    r"""Integrate the teacher's path and keep the latents at the times of the distilled sampler.

    Parameters
    ----------
    teacher
        The denoiser.
    noise
        Standard normals, shape ``(N, D)``.
    conditions
        Conditions of the ``N`` paths.
    solver_steps
        Steps of the distilled sampler, whose times divide 1 to 0 evenly.

    Returns
    -------
    Rotated latents :math:`y = z_t / \sqrt{\alpha_t^2 + \sigma_t^2}` from noise to data, shape
    ``(N, solver_steps + 1, D)``.

    Raises
    ------
    SettingError
        `solver_steps` is below 1.
    """
    if solver_steps < 1:
        msg = f"`solver_steps` of a distilled sampler must be at least 1, got {solver_steps}; 2 suits most models."
        raise SettingError(msg)
    times = torch.linspace(1.0, 0.0, solver_steps + 1, dtype=torch.float64).tolist()
    z_t, stops = noise, [noise]
    for start, end in pairwise(times):
        each = math.ceil(teacher.config.distillation_ode_steps / solver_steps)
        z_t = sample(teacher, z_t, conditions, solver=Heun(), solver_steps=each, start=start, end=end)
        stops.append(z_t / scales(torch.tensor(end, dtype=z_t.dtype)).norm)
    return torch.stack(stops, dim=1)


class DistillationTask:
    r"""Learn the mean velocity of each step interval of the teacher's path, so that one Euler step covers an interval.

    For an interval from angle :math:`\theta` to :math:`\theta'`, with the conditional mean :math:`m(c)`,

    .. math:: \left\| F(y_\theta - \cos\theta\, m(c), \theta, c)
              + \sin\theta\, m(c) + \frac{y_{\theta'} - y_\theta}{\theta' - \theta} \right\|^2 / D.

    Parameters
    ----------
    distilled
        Network to train, as `new_distilled` returns it.
    paths
        What `integrate_paths` returned, shape ``(N, solver_steps + 1, D)``.
    conditions
        Conditions of the ``N`` paths.
    n_validation
        Paths at the end to validate with.

    Raises
    ------
    SettingError
        No paths are left to train or to validate with.

    References
    ----------
    Luhman & Luhman 2021, https://arxiv.org/abs/2101.02388 (regression of the teacher's deterministic path).
    Geng et al. 2025, https://arxiv.org/abs/2505.13447 (a network that learns mean velocities).
    """

    def __init__(
        self, distilled: LatentDenoiser, *, paths: Tensor, conditions: ConditionTensors, n_validation: int
    ) -> None:
        if not 1 <= n_validation < len(paths):
            msg = f"{n_validation} of {len(paths)} paths are left to validate with; expected at least 1, and as many"
            raise SettingError(msg + " to train with. Raise `n_paths`.")
        self.distilled = distilled
        self.paths = paths
        self.conditions = conditions
        self.n_train = len(paths) - n_validation
        times = torch.linspace(1.0, 0.0, paths.shape[1], dtype=torch.float64)
        self.angles = angle(times).float().to(paths.device)

    def loss(self, cells: NDArray[np.int64], draws: Draws, *, progress: float = 1.0) -> Tensor:
        """Compute the loss of all step intervals of some paths.

        Parameters
        ----------
        cells
            Positions of paths, shape ``(B,)``.
        draws, progress
            Not used; part of the interface of tasks.

        Returns
        -------
        Loss to differentiate, shape ``()``.
        """
        rows = torch.from_numpy(cells).to(self.paths.device)
        paths, conditions = self.paths[rows], self.conditions.rows(rows)
        conditional_mean = self.distilled.conditional_mean(conditions)
        total = paths.new_zeros(())
        for at, (now, to) in enumerate(pairwise(self.angles)):
            y = paths[:, at] - now.cos() * conditional_mean
            velocity = (paths[:, at + 1] - paths[:, at]) / (to - now)
            network = self.distilled(y, now.expand(len(y)), conditions)
            total = total + torch.nn.functional.mse_loss(network, -velocity - now.sin() * conditional_mean)
        return total / (paths.shape[1] - 1)

    @torch.no_grad()
    def validate(self, part: Part = WHOLE) -> float:
        """Compute the loss of the validation paths, or the part of it that a process adds.

        Parameters
        ----------
        part
            Which of the paths to compute.
        """
        own = np.arange(self.n_train, len(self.paths))[part.of(len(self.paths) - self.n_train)]
        total = 0.0
        for begin in range(0, len(own), _AT_ONCE):
            cells = own[begin : begin + _AT_ONCE]
            total += float(self.loss(cells, Draws([], [0]))) * len(cells)
        return total / (len(self.paths) - self.n_train)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return all weights as one group that learns at the full rate from the beginning."""
        return [{"params": list(self.distilled.parameters()), "rate": 1.0, "begin": 0.0}]

    @property
    def module(self) -> LatentDenoiser:
        """The network to train."""
        return self.distilled

    @property
    def n_cells(self) -> int:
        """Paths to train with."""
        return self.n_train
