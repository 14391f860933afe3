"""Prior of the latents given conditions, for the training of the autoencoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scdiffuse.nn._conditions import ConditionTensors

__all__ = ["ConditionPrior"]


class ConditionPrior(nn.Module):
    r"""Predict the prior mean of latents as the sum of trained effects of conditions, which start at 0.

    .. math:: z \mid c \sim \mathcal{N} \left( \sum_k e_k(c_k),\; I \right)

    The KL divergence then does not pull latents of a rare cell type towards those of all others. Effects of conditions
    add up in latents, which the prediction of out-of-distribution combinations relies on.

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
    Sohn et al. 2015, https://papers.nips.cc/paper/5775, section 4 (a conditional prior of latents).
    """

    def __init__(self, n_labels: Sequence[int], n_continuous: int, width: int) -> None:
        super().__init__()
        self.n_labels = tuple(n_labels)
        self.weights = nn.Parameter(torch.zeros(sum(n_labels) + n_continuous, width))

    def forward(self, conditions: ConditionTensors) -> Tensor:
        """Sum the effects of the conditions of cells.

        Parameters
        ----------
        conditions
            Codes and numbers of ``B`` cells; a missing one adds nothing.

        Returns
        -------
        Means, shape ``(B, D)``.
        """
        return conditions.to(self.weights.device).columns(self.n_labels) @ self.weights
