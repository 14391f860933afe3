"""Guidance by the differences between estimates of one denoiser under several conditions."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse.diffusion import DenoisedMean, Denoiser
from scdiffuse.guidance._interval import ALWAYS, inside, require_interval, require_strength
from scdiffuse.nn import ConditionTensors

__all__ = ["Avoided", "Composition", "ConditionFree"]

Composition = Literal["joint", "additive"]
"""Whether conditions are read together, or one at a time and added up."""


class Avoided(NamedTuple):
    """A label or number that cells shall stay away from."""

    condition: int
    """Position among the conditions, categorical ones first."""
    value: float
    """Code of the label, or standardised number."""
    strength: float = 1.0
    """How strongly, at least 0."""


class _View(NamedTuple):
    """The conditions of cells as one of the estimates sees them."""

    hidden: frozenset[int]
    """Conditions taken away."""
    put: tuple[int, float] | None = None
    """A condition set to one value for all cells."""

    def of(self, conditions: ConditionTensors) -> ConditionTensors:
        drop = torch.zeros(conditions.n_conditions, dtype=torch.bool, device=conditions.codes.device)
        drop[list(self.hidden)] = True
        seen = conditions.without(drop.expand(conditions.n_cells, -1)) if self.hidden else conditions
        if self.put is None:
            return seen
        at, value = self.put
        n_codes = seen.codes.shape[1]
        codes, values = seen.codes.clone(), seen.values.clone()
        if at < n_codes:
            codes[:, at] = int(value)
        else:
            values[:, at - n_codes] = value
        return seen._replace(codes=codes, values=values)


@dataclass(frozen=True)
class ConditionFree:
    r"""Strengthen what conditions say, each by its own measure, and keep away from others, without a classifier.

    One strength :math:`s` for all conditions :math:`c` together:

    .. math:: \mathrm{mean} = \mathrm{mean}(z_t, \varnothing) + s \left[\mathrm{mean}(z_t, c) -
              \mathrm{mean}(z_t, \varnothing)\right]

    One strength :math:`s_k` for each condition :math:`c_k`, with :math:`c_{-k}` the others:

    .. math:: \mathrm{mean} = \mathrm{mean}(z_t, c) + \sum_k (s_k - 1) \left[\mathrm{mean}(z_t, c) -
              \mathrm{mean}(z_t, c_{-k})\right],

    the score of :math:`p(z_t \mid c) \prod_k p(c_k \mid z_t, c_{-k})^{s_k - 1}`: all at 1 are the conditional as
    learnt, and a single 0 takes that condition away, both exactly. Or added up, each condition known alone, which is
    right where conditions act independently and asks nothing of a combination that was never seen:

    .. math:: \mathrm{mean} = \mathrm{mean}(z_t, \varnothing) + \sum_k s_k \left[\mathrm{mean}(z_t, c_k) -
              \mathrm{mean}(z_t, \varnothing)\right]

    To avoid a value :math:`a` of condition :math:`k` with strength :math:`r`, the density is divided by
    :math:`p(a \mid z_t, c_{-k})^r`, which takes
    :math:`r\,[\mathrm{mean}(z_t, c_{-k}, a) - \mathrm{mean}(z_t, c_{-k})]` off the mean. Estimates that do not matter
    are not computed.

    Parameters
    ----------
    denoiser
        Denoiser that knows missing conditions.
    strength
        :math:`s`, or one :math:`s_k` for each condition, categorical ones first; at least 0. Above 1 cells become more
        typical of their conditions and less varied.
    interval
        Times, from low to high, in which strengths hold; outside them they are 1 and nothing is avoided.
    composition
        ``"joint"``, or ``"additive"`` for the sum of conditions known alone.
    avoid
        What to stay away from.

    Raises
    ------
    SettingError
        A strength is negative, the interval is empty or outside of 0 to 1, or there is no such composition.

    References
    ----------
    Ho and Salimans 2022, https://arxiv.org/abs/2207.12598; Liu et al. 2022, https://arxiv.org/abs/2206.01714, section 4
    (sums and negations of conditions); Kynkaanniemi et al. 2024, https://arxiv.org/abs/2404.07724 (the interval).
    """

    denoiser: Denoiser
    strength: float | tuple[float, ...] = 1.0
    interval: tuple[float, float] = ALWAYS
    composition: Composition = "joint"
    avoid: tuple[Avoided, ...] = ()

    def __post_init__(self) -> None:
        strengths = self.strength if isinstance(self.strength, tuple) else (self.strength,)
        for one in (*strengths, *(avoided.strength for avoided in self.avoid)):
            require_strength(one, "guidance")
        require_interval(self.interval)
        if self.composition not in {"joint", "additive"}:
            msg = f"The composition of conditions must be 'joint' or 'additive', got {self.composition!r}."
            raise SettingError(msg + " 'joint' is the model as learnt.")

    def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
        """Settle the conditions of ``B`` cells.

        Parameters
        ----------
        conditions
            Conditions of ``B`` cells; one that is missing is not guided towards.

        Returns
        -------
        The guided estimate of those cells' clean latents.

        Raises
        ------
        SettingError
            There is not one strength a condition.
        """
        n = conditions.n_conditions
        if isinstance(self.strength, tuple) and len(self.strength) != n:
            msg = f"There are {len(self.strength)} strengths of guidance for {n} conditions; give one number, or one"
            raise SettingError(msg + " a condition.")
        guided, plain = self._terms(n, self.strength, self.avoid), self._terms(n, 1.0, ())
        if self.interval == ALWAYS:
            plain = guided
        denoised_means = {view: self.denoiser.condition_on(view.of(conditions)) for view in {**plain, **guided}}

        def total(terms: dict[_View, float], z_t: Tensor, t: Tensor) -> Tensor:
            means = [(weight, denoised_means[view](z_t, t)) for view, weight in terms.items()]
            (weight, mean), *rest = means
            summed = mean if weight == 1.0 else weight * mean
            for weight, mean in rest:
                summed = summed + weight * mean
            return summed

        def denoised_mean(z_t: Tensor, t: Tensor) -> Tensor:
            within = inside(t, self.interval)
            if guided == plain or not bool(within.any()):
                return total(plain, z_t, t)
            strong = total(guided, z_t, t)
            return strong if bool(within.all()) else torch.where(within[..., None], strong, total(plain, z_t, t))

        return denoised_mean

    def _terms(self, n: int, strength: float | tuple[float, ...], avoid: tuple[Avoided, ...]) -> dict[_View, float]:
        """Write the guided estimate as a sum of estimates, with weights that sum to 1."""
        everything = frozenset(range(n))
        whole, nothing = _View(frozenset()), _View(everything if n else frozenset())
        terms: dict[_View, float] = defaultdict(float)
        if self.composition == "additive":
            each = strength if isinstance(strength, tuple) else (strength,) * n
            terms[nothing] += 1.0 - math.fsum(each)
            for at, one in enumerate(each):
                terms[_View(everything - {at})] += one
        elif isinstance(strength, tuple):
            terms[whole] += 1.0 + math.fsum(one - 1.0 for one in strength)
            for at, one in enumerate(strength):
                terms[_View(frozenset({at}))] += 1.0 - one
        else:
            terms[whole] += strength
            terms[nothing] += 1.0 - strength
        for at, value, one in avoid:
            terms[_View(frozenset(), (at, value))] -= one
            terms[_View(frozenset({at}))] += one
        return {view: weight for view, weight in terms.items() if weight != 0.0}
