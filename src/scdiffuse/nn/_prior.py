"""Where latents are expected, given conditions, while they are learnt."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scdiffuse.nn._conditions import ConditionTensors

__all__ = ["ConditionPrior"]


class ConditionPrior(nn.Module):
    r"""Mean of the prior of latents, a sum of what each condition adds; it begins at 0 and is trained.

    .. math:: z \mid c \sim \mathcal{N} \left( \sum_k e_k(c_k),\; I \right)

    With it, latents of a rare type need not pay for lying away from all others, and effects of conditions add up in
    latents, which is what a combination that no cell has is made from.

    Parameters
    ----------
    n_labels
        Number of labels of each categorical condition.
    n_continuous
        Number of continuous conditions.
    width
        Width ``D`` of the latent.

    References
    ----------
    Sohn et al. 2015, https://papers.nips.cc/paper/5775, section 4 (a prior of latents given what is known).
    """

    def __init__(self, n_labels: Sequence[int], n_continuous: int, width: int) -> None:
        super().__init__()
        self.n_labels = tuple(n_labels)
        self.weights = nn.Parameter(torch.zeros(sum(n_labels) + n_continuous, width))

    def forward(self, conditions: ConditionTensors) -> Tensor:
        """Add up what the conditions of cells say.

        Parameters
        ----------
        conditions
            Codes and numbers of ``B`` cells; a missing one adds nothing.

        Returns
        -------
        Means, shape ``(B, D)``.
        """
        return conditions.to(self.weights.device).columns(self.n_labels) @ self.weights
