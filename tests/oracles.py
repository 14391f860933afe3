"""Denoisers whose answer is known exactly, and moments from their definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from scdiffuse.diffusion import DenoisedMean, scales
from scdiffuse.nn import ConditionTensors


def no_conditions(n: int) -> ConditionTensors:
    """Conditions of a model that has none."""
    return ConditionTensors(torch.zeros(n, 0, dtype=torch.int64), torch.zeros(n, 0))


def labels(codes: Tensor) -> ConditionTensors:
    """One categorical condition."""
    return ConditionTensors(codes[:, None], torch.zeros(len(codes), 0))


@dataclass(frozen=True)
class GaussianDenoiser:
    """Latents that are normal with a mean and a deviation in each dimension, whatever the conditions."""

    center: Tensor
    """Shape ``(D,)``."""
    std: Tensor
    """Shape ``(D,)``."""

    def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
        """Return the posterior mean of a normal prior under normal noise."""

        def estimate(z_t: Tensor, t: Tensor) -> Tensor:
            alpha, sigma = scales(t[..., None])
            gain = alpha * self.std**2 / (alpha**2 * self.std**2 + sigma**2)
            return self.center + gain * (z_t - alpha * self.center)

        return estimate

    def end(self, noise: Tensor, t: float = 0.0) -> Tensor:
        """Return where the path that starts at `noise` stands at `t`."""
        alpha, sigma = scales(torch.tensor(t, dtype=noise.dtype))
        return alpha * self.center + torch.hypot(alpha * self.std, sigma) * noise


@dataclass(frozen=True)
class MixtureDenoiser:
    """Latents from one normal component a label; a missing label leaves the mixture of all."""

    centers: Tensor
    """Shape ``(K, D)``."""
    std: float
    weights: Tensor
    """Shape ``(K,)``."""

    def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
        """Return the posterior mean: each component's, weighed by its posterior probability."""
        codes = conditions.codes[:, 0]
        own = torch.arange(len(self.weights)) == codes[:, None]
        prior = torch.where(codes[:, None] < 0, self.weights, own.to(self.weights.dtype)).log()

        def estimate(z_t: Tensor, t: Tensor) -> Tensor:
            alpha, sigma = scales(t[..., None, None])
            variance = alpha**2 * self.std**2 + sigma**2
            offset = z_t[:, None] - alpha * self.centers
            log_likelihood = -0.5 * (offset**2 / variance).sum(2)  # the variance is the same for all components
            posterior = (prior + log_likelihood).softmax(1)
            return (posterior[..., None] * (self.centers + alpha * self.std**2 / variance * offset)).sum(1)

        return estimate


class OutlierMoments(NamedTuple):
    """Moments of a count with at least one outlier."""

    chance: Any
    """Probability of at least one outlier."""
    mean: Any
    """Mean of the count minus one, given an outlier."""
    excess: Any
    """Variance of the same minus its mean."""


def outlier_moments(mean: Any, rate: Any, size: Any) -> OutlierMoments:
    """Compute the moments of a Poisson count plus a positive Poisson number of geometric outliers."""
    expected = np.asarray(rate * mean)
    chance = -np.expm1(-expected)
    number = np.divide(expected, chance, out=np.ones_like(chance), where=chance > 0)
    spread = number * (1 + expected) - number**2  # variance of a Poisson number that is not zero
    variance = mean + number * (size + size**2) + spread * (1 + size) ** 2
    total = mean + number * (1 + size) - 1
    return OutlierMoments(chance, total, variance - total)
