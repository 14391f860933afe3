"""Gradient Interpolation: two denoisers, each with its own conditions, pull at the same cells."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse.diffusion import DenoisedMean, Denoiser
from scdiffuse.nn import ConditionTensors

__all__ = ["Blend", "beside"]


def beside(start: ConditionTensors, target: ConditionTensors, weight: Tensor) -> ConditionTensors:
    """Write the conditions of two targets beside each other, as `Blend` reads them.

    Parameters
    ----------
    start, target
        Conditions that ``B`` cells leave and approach, with the same columns.
    weight
        Share of the target, shape ``(B,)``, from 0 to 1.

    Returns
    -------
    Conditions of ``B`` cells with twice the columns, and the weight as the last number.

    Raises
    ------
    SettingError
        The two are of different cells or columns, or a weight is outside of 0 to 1.
    """
    shapes = [tuple(part.shape) for part in (*start, *target)]
    if shapes[:2] != shapes[2:] or weight.shape != (start.n_cells,):
        msg = f"Both targets need the same columns for the same cells, and one weight each; got {shapes} and weights"
        raise SettingError(msg + f" {tuple(weight.shape)}. Encode both with the same vocabulary.")
    if not bool(((weight >= 0.0) & (weight <= 1.0)).all()):
        msg = f"Weights must lie between 0 (start) and 1 (target), got {weight.min():g} to {weight.max():g}."
        raise SettingError(msg + " Divide them by their maximum.")
    codes = torch.cat([start.codes, target.codes], dim=1)
    return ConditionTensors(codes, torch.cat([start.values, target.values, weight[:, None].to(start.values)], dim=1))


@dataclass(frozen=True)
class Blend:
    r"""Blend the estimates of two targets.

    .. math:: \mathrm{mean} = (1 - w)\, \mathrm{mean}_a(z_t, c_a) + w\, \mathrm{mean}_b(z_t, c_b)

    As :math:`\mathrm{mean} = (z_t + \sigma_t^2 \nabla \log p_t) / \alpha_t`, this blends the gradients of the two log
    densities: the cells are drawn towards :math:`p_a^{1-w}\, p_b^w` at each level of noise. The conditions that it is
    given are those of `beside`; each cell has its own weight.

    Parameters
    ----------
    start
        Denoiser of what the cells leave; guided or not.
    target
        Denoiser of what they approach; may be the same.

    References
    ----------
    Luo et al. 2024, https://doi.org/10.1093/bioinformatics/btae518 (Gradient Interpolation, with classifiers).
    """

    start: Denoiser
    target: Denoiser

    def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
        """Settle the conditions of ``B`` cells.

        Parameters
        ----------
        conditions
            What `beside` returned, or rows of it.

        Returns
        -------
        The blended estimate of those cells' clean latents; a target of no weight is not computed.
        """
        n_codes, n_values = conditions.codes.shape[1] // 2, conditions.values.shape[1] // 2
        here = ConditionTensors(conditions.codes[:, :n_codes], conditions.values[:, :n_values])
        there = ConditionTensors(conditions.codes[:, n_codes:], conditions.values[:, n_values:-1])
        weight = conditions.values[:, -1:]
        known = ~weight.isnan()
        if bool((weight[known] == 0.0).all()) or (self.start is self.target and _are_same(here, there)):
            return self.start.condition_on(here)
        if bool((weight[known] == 1.0).all()):
            return self.target.condition_on(there)
        leaves, approaches = self.start.condition_on(here), self.target.condition_on(there)

        def denoised_mean(z_t: Tensor, t: Tensor) -> Tensor:
            return torch.lerp(leaves(z_t, t), approaches(z_t, t), weight.to(z_t.dtype))

        return denoised_mean


def _are_same(here: ConditionTensors, there: ConditionTensors) -> bool:
    return torch.equal(here.codes, there.codes) and torch.equal(
        here.values.nan_to_num(9e9), there.values.nan_to_num(9e9)
    )
