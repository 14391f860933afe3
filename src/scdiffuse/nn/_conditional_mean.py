"""Where the latents of cells lie on average, given their conditions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
import torch
from torch import Tensor, nn

from scdiffuse.nn._conditions import ConditionTensors

__all__ = ["ConditionalMean"]

_BLOCK = 8_192
_RIDGE = 2.0  # in cells: the mean of a label of n cells counts for n / (n + 2)
_PAIR_RIDGE = 200.0  # the same of what a pair of conditions does beyond their sum
_LEAST = 1e-3  # the sum takes all that it can before pairs are asked
_RANK = 8  # directions in which the labels of a condition differ that may change what another condition does


class ConditionalMean(nn.Module):
    r"""Mean of latents that have mean 0 over all cells, from what each condition adds and what pairs of them add.

    .. math:: m(c) = \sum_k a_k(c_k) + \sum_{k < l} M_{kl} \left( \varphi_k(c_k) \otimes \varphi_l(c_l) \right)

    A label is described by what it adds, :math:`\varphi` being the largest principal components of :math:`a_k`, and a
    number by itself. So a combination that no cell has is filled in from those of labels that lie near: what a
    stimulus does to monocytes says more of dendritic cells than what it does to T cells. Pairs are asked only for what
    no sum explains, and a missing condition adds nothing. All is found by ridge regression and not trained, so that a
    rare label is where its few cells are from the first step on, drawn towards 0 the more, the fewer they are.

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
    Bonilla et al. 2007, https://papers.nips.cc/paper/3189 (a kernel of combinations as the product of kernels).
    """

    weights: Tensor
    label_embedding: Tensor
    pair_weights: Tensor

    def __init__(self, n_labels: Sequence[int], n_continuous: int, width: int) -> None:
        super().__init__()
        self.n_labels = tuple(n_labels)
        self.n_continuous = n_continuous
        ends = np.cumsum([0, *n_labels, *([1] * n_continuous)])
        self._spans = [slice(begin, end) for begin, end in pairwise(ends)]
        n_pairs = len(list(combinations(self._spans, 2)))
        self.register_buffer("weights", torch.zeros(sum(n_labels) + n_continuous, width))
        self.register_buffer("label_embedding", torch.zeros(sum(n_labels) + n_continuous, _RANK))
        self.register_buffer("pair_weights", torch.zeros(n_pairs * _RANK**2, width))

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
        columns = conditions.columns(self.n_labels)
        return torch.addmm(columns @ self.weights, self._pairs(columns, self.label_embedding), self.pair_weights)

    @torch.no_grad()
    def learn(self, latents: Tensor, conditions: ConditionTensors, *, n_cells: Tensor | None = None) -> None:
        """Find what each condition adds, and each pair of them.

        Parameters
        ----------
        latents
            Latents of the training cells, shape ``(N, D)``.
        conditions
            Their conditions.
        n_cells
            Cells that each row stands for, shape ``(N,)``; one each unless given.
        """
        weights = latents.new_ones(len(latents)) if n_cells is None else n_cells
        gram, moment = self._sums(latents, conditions, n_cells=weights)
        alone = torch.linalg.solve(_raised(gram, _RIDGE), moment)
        self.weights.copy_(alone)
        if not len(self.pair_weights):
            return
        n_alone, label_embedding = len(alone), torch.zeros(self.label_embedding.shape)
        for at, span in enumerate(self._spans):
            if at < len(self.n_labels):
                label_embedding[span] = _label_embedding(alone[span], gram.diagonal()[span]).float()
            else:
                label_embedding[span, 0] = 1.0
        gram, moment = self._sums(latents, conditions, n_cells=weights, label_embedding=label_embedding)
        of_alone, shared = gram[:n_alone, :n_alone], gram[:n_alone, n_alone:]
        both = torch.cat([shared, moment[:n_alone]], dim=1)
        left = torch.cat([gram[n_alone:, n_alone:], moment[n_alone:]], dim=1)
        left -= shared.T @ torch.linalg.solve(_raised(of_alone, _LEAST), both)
        pairs = torch.linalg.solve(_raised(left[:, : len(left)], _PAIR_RIDGE), left[:, len(left) :])
        alone = torch.linalg.solve(_raised(of_alone, _RIDGE), moment[:n_alone] - shared @ pairs)
        for found, kept in ((label_embedding, self.label_embedding), (alone, self.weights), (pairs, self.pair_weights)):
            kept.copy_(found)

    def _sums(
        self, latents: Tensor, conditions: ConditionTensors, *, n_cells: Tensor, label_embedding: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Sum the products of columns, and of pairs where labels have traits, with one another and with the latents."""
        n_columns = len(self.weights) + (0 if label_embedding is None else len(self.pair_weights))
        gram = torch.zeros(n_columns, n_columns, dtype=torch.float64)
        moment = torch.zeros(n_columns, latents.shape[1], dtype=torch.float64)
        for begin in range(0, len(latents), _BLOCK):
            rows = slice(begin, begin + _BLOCK)
            design = conditions.rows(rows).columns(self.n_labels)
            if label_embedding is not None:
                design = torch.cat([design, self._pairs(design, label_embedding)], dim=1)
            design = design.double()
            weighed = n_cells[rows, None].double() * design
            gram += weighed.T @ design
            moment += weighed.T @ latents[rows].double()
        return gram, moment

    def _pairs(self, columns: Tensor, label_embedding: Tensor) -> Tensor:
        """Multiply the traits of each pair of conditions, shape ``(B, n_pairs * RANK ** 2)``."""
        described = [columns[:, span] @ label_embedding[span] for span in self._spans]
        products = [(one[:, :, None] * other[:, None, :]).flatten(1) for one, other in combinations(described, 2)]
        return torch.cat(products, dim=1) if products else columns[:, :0]


def _raised(gram: Tensor, ridge: float) -> Tensor:
    return gram + ridge * torch.eye(len(gram), dtype=gram.dtype)


def _label_embedding(weights: Tensor, n_cells: Tensor) -> Tensor:
    """Describe labels by the largest components of what they add, of mean 0 and mean square 1 over cells.

    Parameters
    ----------
    weights
        What each label adds, shape ``(n, D)``.
    n_cells
        Cells of each label, shape ``(n,)``.

    Returns
    -------
    Traits, shape ``(n, RANK)``; all 0 if there is nothing to tell labels apart by.
    """
    share = n_cells / n_cells.sum().clamp(min=1.0)
    left, spread, _ = torch.linalg.svd(weights - share @ weights, full_matrices=False)
    rank = min(_RANK, len(weights) - 1, len(spread))
    label_embedding = weights.new_zeros(len(weights), _RANK)
    label_embedding[:, :rank] = left[:, :rank] * spread[:rank]
    return label_embedding / (share @ label_embedding.square().sum(dim=1)).sqrt().clamp(min=1e-6)
