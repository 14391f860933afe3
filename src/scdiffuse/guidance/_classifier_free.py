"""Classifier-free guidance: differences between denoised means under several conditions."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse.diffusion import DenoisedMean, Denoiser
from scdiffuse.guidance._interval import ALWAYS, inside, require_interval, require_scale
from scdiffuse.nn import ConditionTensors

__all__ = ["ClassifierFreeGuide", "Composition", "NegativeTarget"]

Composition = Literal["joint", "additive"]
"""Whether conditions act together, or one at a time and added up."""


class NegativeTarget(NamedTuple):
    """A label or number that negative guidance leads away from."""

    condition: int
    """Position among the conditions, categorical ones first."""
    value: float
    """Code of the label, or standardised number."""
    scale: float = 1.0
    """Scale of the negative guidance, at least 0."""


class _ConditionSubset(NamedTuple):
    """The conditions that one denoised mean depends on."""

    hidden: frozenset[int]
    """Conditions that are missing."""
    put: tuple[int, float] | None = None
    """A condition set to one value for all cells."""

    def select(self, conditions: ConditionTensors) -> ConditionTensors:
        drop = torch.zeros(conditions.n_conditions, dtype=torch.bool, device=conditions.codes.device)
        drop[list(self.hidden)] = True
        subset = conditions.without(drop.expand(conditions.n_cells, -1)) if self.hidden else conditions
        if self.put is None:
            return subset
        at, value = self.put
        n_codes = subset.codes.shape[1]
        codes, values = subset.codes.clone(), subset.values.clone()
        if at < n_codes:
            codes[:, at] = int(value)
        else:
            values[:, at - n_codes] = value
        return subset._replace(codes=codes, values=values)


@dataclass(frozen=True)
class ClassifierFreeGuide:
    r"""Guide cells to their conditions, each with its own scale, and away from others, without a classifier.

    One scale :math:`s` for all conditions :math:`c` together:

    .. math:: \mathrm{mean} = \mathrm{mean}(z_t, \varnothing) + s \left[\mathrm{mean}(z_t, c) -
              \mathrm{mean}(z_t, \varnothing)\right]

    One scale :math:`s_k` for each condition :math:`c_k`, with :math:`c_{-k}` the others:

    .. math:: \mathrm{mean} = \mathrm{mean}(z_t, c) + \sum_k (s_k - 1) \left[\mathrm{mean}(z_t, c) -
              \mathrm{mean}(z_t, c_{-k})\right],

    the score of :math:`p(z_t \mid c) \prod_k p(c_k \mid z_t, c_{-k})^{s_k - 1}`: all at 1 give the conditional as
    learnt, and a single 0 removes that condition, both exactly. The additive composition adds up what each condition
    does alone, which is right where conditions act independently and needs no out-of-distribution combination:

    .. math:: \mathrm{mean} = \mathrm{mean}(z_t, \varnothing) + \sum_k s_k \left[\mathrm{mean}(z_t, c_k) -
              \mathrm{mean}(z_t, \varnothing)\right]

    Negative guidance away from a value :math:`a` of condition :math:`k` with scale :math:`r` divides the density by
    :math:`p(a \mid z_t, c_{-k})^r`, which subtracts
    :math:`r\,[\mathrm{mean}(z_t, c_{-k}, a) - \mathrm{mean}(z_t, c_{-k})]` from the mean. Denoised means of weight 0
    are not computed.

    Parameters
    ----------
    denoiser
        Denoiser that was trained with missing conditions.
    scale
        :math:`s`, or one :math:`s_k` for each condition, categorical ones first; at least 0. Above 1 cells become more
        typical of their conditions and less varied.
    interval
        Guidance interval: times, from low to high, in which guidance acts; outside, all scales are 1 and negative
        guidance is off.
    composition
        ``"joint"``, or ``"additive"`` for the sum of what each condition does alone.
    away
        Labels or numbers that negative guidance leads away from.

    Raises
    ------
    SettingError
        A scale is negative, the interval is empty or outside of 0 to 1, or there is no such composition.

    References
    ----------
    Ho and Salimans 2022, https://arxiv.org/abs/2207.12598; Liu et al. 2022, https://arxiv.org/abs/2206.01714, section 4
    (sums and negations of conditions); Kynkaanniemi et al. 2024, https://arxiv.org/abs/2404.07724 (the interval).
    """

    denoiser: Denoiser
    scale: float | tuple[float, ...] = 1.0
    interval: tuple[float, float] = ALWAYS
    composition: Composition = "joint"
    away: tuple[NegativeTarget, ...] = ()

    def __post_init__(self) -> None:
        scales = self.scale if isinstance(self.scale, tuple) else (self.scale,)
        for one in (*scales, *(target.scale for target in self.away)):
            require_scale(one, "guidance")
        require_interval(self.interval)
        if self.composition not in {"joint", "additive"}:
            msg = f"The composition of conditions must be 'joint' or 'additive', got {self.composition!r}."
            raise SettingError(msg + " 'joint' is the model as learnt.")

    def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
        """Fix the conditions of ``B`` cells.

        Parameters
        ----------
        conditions
            Conditions of ``B`` cells; a missing condition guides nowhere.

        Returns
        -------
        A function that returns the guided denoised means of these cells.

        Raises
        ------
        SettingError
            The number of scales differs from the number of conditions.
        """
        n = conditions.n_conditions
        if isinstance(self.scale, tuple) and len(self.scale) != n:
            msg = f"There are {len(self.scale)} guidance scales for {n} conditions; give one number, or one"
            raise SettingError(msg + " a condition.")
        guided, plain = self._terms(n, self.scale, self.away), self._terms(n, 1.0, ())
        if self.interval == ALWAYS:
            plain = guided
        denoised_means = {one: self.denoiser.condition_on(one.select(conditions)) for one in {**plain, **guided}}

        def total(terms: dict[_ConditionSubset, float], z_t: Tensor, t: Tensor) -> Tensor:
            means = [(weight, denoised_means[one](z_t, t)) for one, weight in terms.items()]
            (weight, mean), *rest = means
            summed = mean if weight == 1.0 else weight * mean
            for weight, mean in rest:
                summed = summed + weight * mean
            return summed

        def denoised_mean(z_t: Tensor, t: Tensor) -> Tensor:
            within = inside(t, self.interval)
            if guided == plain or not bool(within.any()):
                return total(plain, z_t, t)
            guided_mean = total(guided, z_t, t)
            return (
                guided_mean if bool(within.all()) else torch.where(within[..., None], guided_mean, total(plain, z_t, t))
            )

        return denoised_mean

    def _terms(
        self, n: int, scale: float | tuple[float, ...], away: tuple[NegativeTarget, ...]
    ) -> dict[_ConditionSubset, float]:
        """Write the guided mean as a sum of denoised means, with weights that sum to 1."""
        everything = frozenset(range(n))
        whole, nothing = _ConditionSubset(frozenset()), _ConditionSubset(everything if n else frozenset())
        terms: dict[_ConditionSubset, float] = defaultdict(float)
        if self.composition == "additive":
            each = [float(one) for one in scale] if isinstance(scale, tuple) else [float(scale)] * n
            terms[nothing] += 1.0 - math.fsum(each)
            for at, one in enumerate(each):
                terms[_ConditionSubset(everything - {at})] += one
        elif isinstance(scale, tuple):
            terms[whole] += 1.0 + math.fsum(one - 1.0 for one in scale)
            for at, one in enumerate(scale):
                terms[_ConditionSubset(frozenset({at}))] += 1.0 - float(one)
        else:
            terms[whole] += float(scale)
            terms[nothing] += 1.0 - float(scale)
        for at, value, one in away:
            terms[_ConditionSubset(frozenset(), (at, value))] -= float(one)
            terms[_ConditionSubset(frozenset({at}))] += float(one)
        return {one: weight for one, weight in terms.items() if weight != 0.0}
