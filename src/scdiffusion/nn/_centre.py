"""Where the latents of cells lie on average, given their conditions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scdiffusion.nn._conditions import ConditionTensors

__all__ = ["ConditionCentre"]

_BLOCK = 65_536
_RIDGE = 2.0  # in cells: the mean of a label of n cells counts for n / (n + 2)


class ConditionCentre(nn.Module):
    r"""Mean of latents that have mean 0 over all cells, as a sum of what each condition adds.

    .. math:: m(c) = \sum_k a_k[c_k] + \sum_j b_j c_j

    A missing condition adds nothing. The sum is found by ridge regression and not trained, so that a rare label is
    where its few cells are from the first step on, drawn towards 0 the more, the fewer they are.

    Parameters
    ----------
    n_labels
        Number of labels of each categorical condition.
    n_continuous
        Number of continuous conditions.
    width
        Width ``D`` of the latent.
    """

    weights: Tensor

    def __init__(self, n_labels: Sequence[int], n_continuous: int, width: int) -> None:
        super().__init__()
        self.n_labels = tuple(n_labels)
        self.n_continuous = n_continuous
        self.register_buffer("weights", torch.zeros(sum(n_labels) + n_continuous, width))

    def forward(self, conditions: ConditionTensors) -> Tensor:
        """Add up what the conditions of cells say.

        Parameters
        ----------
        conditions
            Codes and numbers of ``B`` cells.

        Returns
        -------
        Means, shape ``(B, D)``.
        """
        return self._design(conditions) @ self.weights

    @torch.no_grad()
    def learn(self, latents: Tensor, conditions: ConditionTensors) -> None:
        """Find what each condition adds.

        Parameters
        ----------
        latents
            Latents of the training cells, shape ``(N, D)``.
        conditions
            Their conditions.
        """
        n_weights = self.weights.shape[0]
        gram = _RIDGE * torch.eye(n_weights, dtype=torch.float64)
        moment = torch.zeros(n_weights, latents.shape[1], dtype=torch.float64)
        for begin in range(0, len(latents), _BLOCK):
            rows = slice(begin, begin + _BLOCK)
            design = self._design(conditions.rows(rows)).double()
            gram += design.T @ design
            moment += design.T @ latents[rows].double()
        self.weights.copy_(torch.linalg.solve(gram, moment))

    def _design(self, conditions: ConditionTensors) -> Tensor:
        """Write labels as columns of zeros and ones, and numbers as they are; missing ones are zeros."""
        columns = [conditions.values.nan_to_num(0.0)]
        for at, n in enumerate(self.n_labels):
            code = conditions.codes[:, at]
            columns.append(nn.functional.one_hot(torch.where(code < 0, n, code), n + 1)[:, :n].to(columns[0].dtype))
        return torch.cat([*columns[1:], columns[0]], dim=1)
