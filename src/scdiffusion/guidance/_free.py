"""Guidance by the difference between a denoiser with and without conditions."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from scdiffusion._core.errors import SettingError
from scdiffusion.diffusion import Denoiser, Estimate
from scdiffusion.nn import ConditionTensors

__all__ = ["ConditionFree"]


@dataclass(frozen=True)
class ConditionFree:
    r"""Strengthen what conditions say, without a classifier.

    .. math:: \mathrm{mean} = \mathrm{mean}(z_t, \varnothing) + s \left[\mathrm{mean}(z_t, c) -
              \mathrm{mean}(z_t, \varnothing)\right]

    Strength 1 is the conditional denoiser and 0 the one without conditions, each at the cost of a single call.

    Parameters
    ----------
    denoiser
        Denoiser that knows missing conditions.
    strength
        :math:`s`, at least 0; above 1 cells become more typical of their conditions and less varied.
    interval
        Times, from low to high, in which `strength` holds; outside them it is 1.

    Raises
    ------
    SettingError
        `strength` is negative or the interval is empty or outside of 0 to 1.

    References
    ----------
    Ho and Salimans 2022, https://arxiv.org/abs/2207.12598; Kynkaanniemi et al. 2024, https://arxiv.org/abs/2404.07724
    (the interval).
    """

    denoiser: Denoiser
    strength: float = 1.0
    interval: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not 0.0 <= self.strength < float("inf"):
            msg = f"The strength of guidance must be 0 or more, got {self.strength}; 1 is the model as learnt."
            raise SettingError(msg)
        low, high = self.interval
        if not 0.0 <= low < high <= 1.0:
            msg = f"The interval of guidance must run from a lower to a higher time within 0 to 1, got {self.interval}."
            raise SettingError(msg)

    def given(self, conditions: ConditionTensors) -> Estimate:
        """Settle the conditions of ``B`` cells.

        Parameters
        ----------
        conditions
            Conditions of ``B`` cells; one that is missing is not guided towards.

        Returns
        -------
        The guided estimate of those cells' clean latents.
        """
        conditional = self.denoiser.given(conditions)
        if self.strength == 1.0:
            return conditional
        free = self.denoiser.given(conditions.absent())
        low, high = self.interval
        if self.strength == 0.0 and (low, high) == (0.0, 1.0):
            return free

        def estimate(z_t: Tensor, t: Tensor) -> Tensor:
            inside = (t >= low) & (t <= high)
            if not bool(inside.any()):
                return conditional(z_t, t)
            strength = inside.to(z_t.dtype)[..., None] * (self.strength - 1.0) + 1.0
            base = free(z_t, t)
            return base + strength * (conditional(z_t, t) - base)

        return estimate
