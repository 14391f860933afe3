"""Gradient Interpolation: cells between two targets, such as two cell types or two time points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse.diffusion import DenoisedMean, Denoiser
from scdiffuse.nn import ConditionTensors

__all__ = ["GradientInterpolation", "pair_conditions"]


def pair_conditions(start: ConditionTensors, target: ConditionTensors, weight: Tensor) -> ConditionTensors:
    """Pair the conditions of two targets, in the layout that `GradientInterpolation` reads.

    Parameters
    ----------
    start, target
        Conditions of ``B`` cells at weight 0 and at weight 1, with the same columns.
    weight
        Weight of the target, shape ``(B,)``, from 0 to 1.

    Returns
    -------
    Conditions of ``B`` cells with twice the columns, and the weight as the last number.

    Raises
    ------
    SettingError
        Numbers of cells or columns differ, or a weight is outside of 0 to 1.
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
class GradientInterpolation:
    r"""Interpolate between the denoised means of two targets.

    .. math:: \mathrm{mean} = (1 - w)\, \mathrm{mean}_a(z_t, c_a) + w\, \mathrm{mean}_b(z_t, c_b)

    As :math:`\mathrm{mean} = (z_t + \sigma_t^2 \nabla \log p_t) / \alpha_t`, this interpolates between the gradients of
    the two log densities: cells move towards :math:`p_a^{1-w}\, p_b^w` at each noise level. Each cell has its own
    weight, which `pair_conditions` puts beside the two sets of conditions.

    Parameters
    ----------
    start
        Denoiser of the start; guided or not.
    target
        Denoiser of the target; may be the same.

    References
    ----------
    Luo et al. 2024, https://doi.org/10.1093/bioinformatics/btae518 (Gradient Interpolation, with classifiers).
    """

    start: Denoiser
    target: Denoiser

    def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
        """Fix both sets of conditions of ``B`` cells.

        Parameters
        ----------
        conditions
            Conditions as `pair_conditions` returns them, or rows of these.

        Returns
        -------
        A function that returns the interpolated means of these cells; a target of weight 0 is not computed.
        """
        n_codes, n_values = conditions.codes.shape[1] // 2, conditions.values.shape[1] // 2
        of_start = ConditionTensors(conditions.codes[:, :n_codes], conditions.values[:, :n_values])
        of_target = ConditionTensors(conditions.codes[:, n_codes:], conditions.values[:, n_values:-1])
        weight = conditions.values[:, -1:]
        has_weight = ~weight.isnan()
        if bool((weight[has_weight] == 0.0).all()) or (self.start is self.target and _are_same(of_start, of_target)):
            return self.start.condition_on(of_start)
        if bool((weight[has_weight] == 1.0).all()):
            return self.target.condition_on(of_target)
        at_start, at_target = self.start.condition_on(of_start), self.target.condition_on(of_target)

        def denoised_mean(z_t: Tensor, t: Tensor) -> Tensor:
            return torch.lerp(at_start(z_t, t), at_target(z_t, t), weight.to(z_t.dtype))

        return denoised_mean


def _are_same(one: ConditionTensors, other: ConditionTensors) -> bool:
    return torch.equal(one.codes, other.codes) and torch.equal(one.values.nan_to_num(9e9), other.values.nan_to_num(9e9))
