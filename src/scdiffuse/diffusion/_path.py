"""The path between data and noise: the one definition of time in this package.

Time ``t`` runs from 0, clean latents, to 1, pure noise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Scales", "add_noise", "angle", "scales", "time"]


class Scales(NamedTuple):
    """Scales of signal and noise at a time."""

    alpha: Tensor
    """Factor of the clean latent."""
    sigma: Tensor
    """Factor of the noise."""

    @property
    def norm(self) -> Tensor:
        """Standard deviation of ``z_t`` where that of the clean latent is 1."""
        return torch.hypot(self.alpha, self.sigma)


def scales(t: Tensor) -> Scales:
    r"""Return the scales of the linear path.

    .. math:: z_t = \alpha_t z + \sigma_t \varepsilon, \quad \alpha_t = 1 - t, \quad \sigma_t = t.

    Parameters
    ----------
    t
        Times from 0 (data) to 1 (noise), any shape ``(*)``.

    Returns
    -------
    Scales, each of shape ``(*)``.

    References
    ----------
    Lipman et al. 2023, https://arxiv.org/abs/2210.02747 (the optimal-transport path).
    """
    return Scales(1.0 - t, t)


def add_noise(z: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """Move clean latents along the path.

    Parameters
    ----------
    z
        Clean latents, shape ``(B, D)``, of unit variance.
    noise
        Standard normals, shape ``(B, D)``.
    t
        Times, shape ``()`` or ``(B,)``.

    Returns
    -------
    Noisy latents ``z_t``, shape ``(B, D)``.

    Examples
    --------
    >>> add_noise(torch.ones(1, 2), torch.zeros(1, 2), torch.tensor(0.25))
    tensor([[0.7500, 0.7500]])
    """
    alpha, sigma = scales(t[..., None])
    return alpha * z + sigma * noise


def angle(t: Tensor) -> Tensor:
    r"""Return the angle of a time, in which latents of unit variance rotate at constant speed.

    .. math:: \theta = \arctan(\sigma_t / \alpha_t), \quad
              z_t / \sqrt{\alpha_t^2 + \sigma_t^2} = \cos\theta\, z + \sin\theta\, \varepsilon.

    Parameters
    ----------
    t
        Times, any shape ``(*)``.

    Returns
    -------
    Angles from 0 (data) to pi / 2 (noise), shape ``(*)``.
    """
    alpha, sigma = scales(t)
    return torch.atan2(sigma, alpha)


def time(theta: float) -> float:
    """Return the time of an angle; the inverse of `angle`.

    Parameters
    ----------
    theta
        Angle from 0 to pi / 2.

    Returns
    -------
    The time.

    Examples
    --------
    >>> round(time(float(angle(torch.tensor(0.25)))), 6)
    0.25
    """
    sine = math.sin(theta)
    return sine / (sine + math.cos(theta))
