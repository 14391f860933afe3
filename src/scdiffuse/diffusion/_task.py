"""Training of the latent diffusion: loss, validation and parameters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse._core.processes import WHOLE, Part
from scdiffuse._core.random import Draws, generator
from scdiffuse.cells import ConditionTable
from scdiffuse.diffusion._denoiser import LatentDenoiser
from scdiffuse.nn import ConditionTensors, draw_tensors

__all__ = ["LatentTask", "condition_tensors", "denoising_loss", "validation_rows"]

_AT_ONCE = 512  # cells of a block of the validation, which has its own random stream


def condition_tensors(table: ConditionTable) -> ConditionTensors:
    """Turn the conditions of cells into tensors.

    Parameters
    ----------
    table
        Conditions of ``B`` cells.

    Returns
    -------
    Codes and values of the ``B`` cells.
    """
    codes = torch.from_numpy(np.ascontiguousarray(table.codes, dtype=np.int64))
    return ConditionTensors(codes, torch.from_numpy(np.ascontiguousarray(table.values, dtype=np.float32)))


def denoising_loss(
    denoiser: LatentDenoiser, z: Tensor, conditions: ConditionTensors, *, theta: Tensor, noise: Tensor
) -> Tensor:
    r"""Compute the loss of the denoiser, the distance of ``F`` from the rotation of latents towards their noise.

    With the conditional mean subtracted from the latents,

    .. math:: \left\| F(\cos\theta\, z + \sin\theta\, \varepsilon, \theta, c)
              - (\sin\theta\, z - \cos\theta\, \varepsilon) \right\|^2 / D,

    whose target has unit variance at every time if the latents have unit variance.

    Parameters
    ----------
    denoiser
        Network to train.
    z
        Clean latents, shape ``(B, D)``.
    conditions
        Their conditions.
    theta
        Angles of time, shape ``(B,)``.
    noise
        Standard normals, shape ``(B, D)``.

    Returns
    -------
    Mean over cells, shape ``()``; 1 for a zero network and latents of unit variance.
    """
    device = denoiser.read.weight.device
    conditions = conditions.to(device)
    z, theta, noise = z.to(device), theta.to(device), noise.to(device)
    z = z - denoiser.conditional_mean(conditions)
    cosine, sine = theta.cos()[:, None], theta.sin()[:, None]
    network = denoiser(torch.addcmul(sine * noise, cosine, z), theta, conditions)
    return torch.nn.functional.mse_loss(network, torch.addcmul(sine * z, cosine, noise, value=-1.0))


def validation_rows(cells: NDArray[np.int64], n_draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose the cells that a validation draws noise for: each equally often, at least ``n_draws``, or some of more.

    Parameters
    ----------
    cells
        Positions of the validation cells.
    n_draws
        Draws of noise.
    rng
        Chooses among more cells than draws.
    """
    if len(cells) > n_draws:
        return rng.choice(cells, n_draws, replace=False)
    return np.tile(cells, math.ceil(n_draws / len(cells)))


class LatentTask:
    r"""Learn the distribution of the latents of cells, given their conditions.

    Each visit to a cell draws a new latent from its posterior, a time, noise and the conditions to hide. Times are
    logit-normal: :math:`\log(\sigma_t / \alpha_t)` is normal with the mean and standard deviation of the settings.

    Parameters
    ----------
    denoiser
        Network to train.
    means, stds
        Posterior of each cell's latent, ``float32``, shape ``(N, D)``, standardised to unit variance over cells.
    conditions
        Conditions of the ``N`` cells.
    train, validation
        Positions of the cells to train and to validate with.
    seed
        Seed of the validation's draws.

    Raises
    ------
    SettingError
        Latents and conditions are of different numbers of cells, or no cells are left to validate with.

    References
    ----------
    Esser et al. 2024, https://arxiv.org/abs/2403.03206, section 3.1 (logit-normal times).
    """

    def __init__(
        self,
        denoiser: LatentDenoiser,
        *,
        means: Tensor,
        stds: Tensor,
        conditions: ConditionTable,
        train: NDArray[np.int64],
        validation: NDArray[np.int64],
        seed: int = 0,
    ) -> None:
        if not len(means) == len(stds) == len(conditions):
            msg = (
                f"There are {len(means)} means, {len(stds)} deviations and {len(conditions)} rows of conditions; "
                "give one row a cell each."
            )
            raise SettingError(msg)
        if not validation.size:
            msg = "There are no cells to validate with; leave out at least one from training."
            raise SettingError(msg)
        self.denoiser = denoiser
        self.config = denoiser.config
        self.means = means
        self.stds = stds
        self.conditions = condition_tensors(conditions)
        self.train = train
        self.validation = validation
        self.seed = seed

    def loss(self, cells: NDArray[np.int64], draws: Draws, *, progress: float = 1.0) -> Tensor:
        """Compute the loss of some cells, with new draws.

        Parameters
        ----------
        cells
            Positions among the training cells, shape ``(B,)``.
        draws
            Random numbers of these cells.
        progress
            Not used: the loss stays the same during training.

        Returns
        -------
        Loss to differentiate, shape ``()``.
        """
        n_conditions = self.conditions.n_conditions
        normals, uniforms = draw_tensors(draws, normals=(2, self.means.shape[1]), uniforms=2 + n_conditions)
        rows = torch.from_numpy(self.train[cells])
        z = torch.addcmul(self.means[rows], self.stds[rows], normals[:, 0])
        hidden = (uniforms[:, 1:2] < self.config.drop_all) | (uniforms[:, 2:] < self.config.drop_each)
        shown = self.conditions.rows(rows).without(hidden)
        return denoising_loss(self.denoiser, z, shown, theta=self._angles(uniforms[:, 0]), noise=normals[:, 1])

    @torch.no_grad()
    def validate(self, part: Part = WHOLE) -> float:
        """Compute the loss of the validation cells, with the same draws each time.

        Times are stratified over all draws, and each cell is also seen with its noise reversed, so that small sets
        give steady numbers. Of many cells some are seen. No condition is hidden.

        Parameters
        ----------
        part
            Part of the blocks of cells to use.

        Returns
        -------
        Mean loss; for a part, its summand of the mean.
        """
        rng, n_draws = generator(self.seed, "validation of latents"), self.config.validation_draws
        cells = validation_rows(self.validation, n_draws // 2, rng)
        uniforms = (rng.permutation(cells.size) + 0.5) / cells.size
        total = 0.0
        for at in part.of(-(-cells.size // _AT_ONCE)):
            block = slice(at * _AT_ONCE, (at + 1) * _AT_ONCE)
            rows = torch.from_numpy(cells[block])
            theta = self._angles(torch.from_numpy(uniforms[block]).float())
            draws = Draws.of(generator(self.seed, "validation of latents", at), len(rows))
            normals, _ = draw_tensors(draws, normals=(2, self.means.shape[1]), uniforms=0)
            for sign in (1.0, -1.0):
                z = torch.addcmul(self.means[rows], self.stds[rows], normals[:, 0], value=sign)
                shown = self.conditions.rows(rows)
                loss = denoising_loss(self.denoiser, z, shown, theta=theta, noise=sign * normals[:, 1])
                total += float(loss) * len(rows)
        return total / (2 * cells.size)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return all weights as one group that learns at the full rate from the beginning."""
        return [{"params": list(self.denoiser.parameters()), "rate": 1.0, "begin": 0.0}]

    @property
    def module(self) -> LatentDenoiser:
        """The network to train."""
        return self.denoiser

    @property
    def n_cells(self) -> int:
        """Training cells."""
        return len(self.train)

    def _angles(self, uniforms: Tensor) -> Tensor:
        """Turn uniform numbers into angles of time: the arctangent of noise over signal."""
        normal: Tensor = torch.special.ndtri(uniforms.clamp(1e-6, 1 - 1e-6))
        return (self.config.log_noise_mean + self.config.log_noise_std * normal).exp().atan()
