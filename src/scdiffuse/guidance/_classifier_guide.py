"""Classifier guidance: gradients of noise-aware classifiers of latents."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scdiffuse.diffusion import DenoisedMean, Denoiser, angle, scales
from scdiffuse.guidance._classifiers import Classifier
from scdiffuse.guidance._interval import ALWAYS, inside, require_interval
from scdiffuse.nn import ConditionTensors

__all__ = ["ClassifierGuide", "with_targets"]


def with_targets(conditions: ConditionTensors, target: Tensor, scale: Tensor) -> ConditionTensors:
    """Append the targets of classifier guidance to the conditions of cells, where `ClassifierGuide` reads them.

    Parameters
    ----------
    conditions
        Conditions of ``B`` cells.
    target
        One column a guide, shape ``(B, n_guides)``: codes of labels or standardised numbers; NaN guides nowhere.
    scale
        Guidance scales, not negative, same shape.

    Returns
    -------
    Conditions with two more numbers for each guide.
    """
    columns = (conditions.values, target.to(conditions.values), scale.to(conditions.values))
    return conditions._replace(values=torch.cat(columns, dim=1))


@dataclass(frozen=True)
class ClassifierGuide:
    r"""Guide cells to latents where classifiers find their targets probable.

    .. math:: \mathrm{mean} \leftarrow \mathrm{mean} + \frac{\sigma_t^2}{\alpha_t} \sum_k s_k
              \nabla_{z_t} \log p_k(y_k \mid z_t, t),

    which is Tweedie's formula for the score of :math:`p(z_t) \prod_k p_k(y_k \mid z_t, t)^{s_k}`. The classifiers are
    functions of :math:`u = \cos\theta\, z_t / \sqrt{\alpha_t^2 + \sigma_t^2}`, by which

    .. math:: \frac{\sigma_t^2}{\alpha_t} \nabla_{z_t} = \sin^2\theta\, \nabla_u,

    finite in pure noise, where :math:`\alpha_t = 0`. Log-probabilities are summed over cells before differentiating and
    each depends on its own row only, so that no cell depends on its batch mates.

    Parameters
    ----------
    denoiser
        Denoiser to guide; may be a guide itself.
    classifiers
        One for each guide; a classifier may appear more than once.
    away
        Whether each guide leads away from its target: then :math:`1 - p_k` replaces :math:`p_k`.
    interval
        Guidance interval: times, from low to high, in which classifiers guide.

    Raises
    ------
    SettingError
        The interval is empty or outside of 0 to 1.

    References
    ----------
    Dhariwal and Nichol 2021, https://arxiv.org/abs/2105.05233, section 4.2, eq. 14 (the score of the tilted density);
    Efron 2011, https://doi.org/10.1198/jasa.2011.tm11181 (Tweedie's formula).
    """

    denoiser: Denoiser
    classifiers: tuple[Classifier, ...]
    away: tuple[bool, ...] = ()
    interval: tuple[float, float] = ALWAYS

    def __post_init__(self) -> None:
        require_interval(self.interval)

    def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
        """Fix conditions and targets of ``B`` cells.

        Parameters
        ----------
        conditions
            Conditions as `with_targets` returns them.

        Returns
        -------
        A function that returns the guided denoised means of these cells.
        """
        n_guides = len(self.classifiers)
        own, target, scale = conditions.values.tensor_split((-2 * n_guides, -n_guides), dim=1)
        plain = self.denoiser.condition_on(conditions._replace(values=own))
        scale = torch.where(target.isnan(), 0.0, scale)
        target = target.nan_to_num(0.0)

        def denoised_mean(z_t: Tensor, t: Tensor) -> Tensor:
            mean, within = plain(z_t, t), inside(t, self.interval)
            if not n_guides or not bool(within.any()):
                return mean
            theta = angle(t)
            u = theta.cos()[..., None] * z_t / scales(t).norm[..., None]
            gradient = self._gradient(u, theta, target=target, scale=scale)
            return mean + (within * theta.sin().square())[..., None] * gradient

        return denoised_mean

    def _gradient(self, u: Tensor, theta: Tensor, *, target: Tensor, scale: Tensor) -> Tensor:
        """Differentiate the weighted log-probabilities by ``u``, shape ``(B, D)``."""
        away = self.away or (False,) * len(self.classifiers)
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            total = sum(
                (scale[:, at] * classifier.log_prob(u, theta, target[:, at], away=away[at])).sum()
                for at, classifier in enumerate(self.classifiers)
            )
            (gradient,) = torch.autograd.grad(total, u)  # type: ignore[arg-type]
        return gradient
