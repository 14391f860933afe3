"""Mean of latents given conditions, by ridge regression with pairwise interactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import torch
from torch import Tensor, nn

from scdiffuse._core.errors import SettingError
from scdiffuse._core.schema import require_types
from scdiffuse.nn._conditions import ConditionTensors
from scdiffuse.nn._unseen_labels import UnseenLabels

__all__ = ["ConditionalMean", "ConditionalMeanConfig"]

_BLOCK = 8_192  # cells at once


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionalMeanConfig:
    """Ridges and rank of the regression of latents on conditions."""

    ridge: float = 2.0
    """Ridge of the effect of a condition, in cells: the mean of ``n`` cells is shrunk by ``n / (n + ridge)``."""
    pair_ridge: float = 200.0
    """Ridge of the interaction of a pair of conditions, in cells."""
    sum_ridge: float = 1e-3
    """Ridge of the effects of single conditions while interactions are fitted to what their sum leaves."""
    rank: int = 8
    """Principal components of the effects of labels that may change what another condition does."""

    def __post_init__(self) -> None:
        require_types(self)
        for name in ("ridge", "pair_ridge", "sum_ridge"):
            if not getattr(self, name) > 0.0:
                msg = f"`{name}` must be positive, got {getattr(self, name)}."
                raise SettingError(msg)
        if self.rank < 1:
            msg = f"`rank` must be at least 1, got {self.rank}; turn interactions off with `pairwise_interactions`."
            raise SettingError(msg)


class ConditionalMean(nn.Module):
    r"""Predict the mean of latents from conditions: their effects, and pairwise interactions of effects.

    .. math:: m(c) = \sum_k a_k(c_k) + \sum_{k < l} M_{kl} \left( \varphi_k(c_k) \otimes \varphi_l(c_l) \right)

    The label embedding :math:`\varphi` holds the largest principal components of the effects :math:`a_k`; a number
    embeds as itself. An out-of-distribution combination is therefore predicted from combinations of similar labels: the
    response of monocytes to a stimulus says more about dendritic cells than the response of T cells. Interactions are
    fitted to what the sum of effects leaves, and a missing condition adds nothing. The regression is solved and not
    trained, so that a rare label is at the mean of its few cells from the first step on. The fewer cells, the more is
    that mean shrunk to 0. Latents have a mean of 0 over all cells.

    Parameters
    ----------
    n_labels
        Number of labels of each categorical condition.
    n_continuous
        Number of continuous conditions.
    width
        Width ``D`` of the latent.
    pairwise_interactions
        Off-switch: without it, the effects of conditions only add up.
    config
        Ridges and rank; the defaults unless given.
    unseen
        Labels that no training cell has, as weighted means of trained ones; whoever builds both parts registers it.

    References
    ----------
    Bonilla et al. 2007, https://papers.nips.cc/paper/3189 (a kernel of combinations as the product of kernels).
    """

    weights: Tensor
    label_embedding: Tensor
    pair_weights: Tensor

    def __init__(
        self,
        n_labels: Sequence[int],
        n_continuous: int,
        width: int,
        *,
        pairwise_interactions: bool = True,
        config: ConditionalMeanConfig | None = None,
        unseen: UnseenLabels | None = None,
    ) -> None:
        super().__init__()
        self._unseen = (unseen,)  # in a tuple, so that it is saved once
        self.config = config or ConditionalMeanConfig()
        self.n_labels = tuple(n_labels)
        self.n_continuous = n_continuous
        ends = np.cumsum([0, *n_labels, *([1] * n_continuous)])
        self._columns = [slice(begin, end) for begin, end in pairwise(ends)]
        self._pairs = list(combinations(range(len(self._columns)), 2)) if pairwise_interactions else []
        rank = self.config.rank
        self.register_buffer("weights", torch.zeros(sum(n_labels) + n_continuous, width))
        self.register_buffer("label_embedding", torch.zeros(sum(n_labels) + n_continuous, rank))
        self.register_buffer("pair_weights", torch.zeros(len(self._pairs) * rank**2, width))

    def forward(self, conditions: ConditionTensors) -> Tensor:
        """Predict the means of cells.

        Parameters
        ----------
        conditions
            Codes and numbers of ``B`` cells.

        Returns
        -------
        Means, shape ``(B, D)``.
        """
        columns = conditions.columns(self.n_labels, *self._unseen)
        return torch.addmm(columns @ self.weights, self._products(columns, self.label_embedding), self.pair_weights)

    def effects(self, at: int) -> Tensor:
        """Return the effects of the trained labels of a categorical condition on latents, shape ``(n, D)``."""
        return self.weights[self._columns[at]]

    @torch.no_grad()
    def learn(self, latents: Tensor, conditions: ConditionTensors, *, n_cells: Tensor | None = None) -> None:
        """Fit the effect of each condition and the interaction of each pair of conditions.

        Parameters
        ----------
        latents
            Latents of the training cells, shape ``(N, D)``.
        conditions
            Conditions of the same cells.
        n_cells
            Number of cells that each row represents, shape ``(N,)``; 1 unless given.
        """
        weights = latents.new_ones(len(latents)) if n_cells is None else n_cells
        gram, moment = self._normal_equations(latents, conditions, n_cells=weights)
        effects = torch.linalg.solve(_with_ridge(gram, self.config.ridge), moment)
        self.weights.copy_(effects)
        if not self._pairs:
            return
        n_effects, label_embedding = len(effects), torch.zeros(self.label_embedding.shape)
        for at, columns in enumerate(self._columns):
            if at < len(self.n_labels):
                n_cells_by_label = gram.diagonal()[columns]
                label_embedding[columns] = _label_embedding(
                    effects[columns], n_cells_by_label, rank=self.config.rank
                ).float()
            else:
                label_embedding[columns, 0] = 1.0
        gram, moment = self._normal_equations(latents, conditions, n_cells=weights, label_embedding=label_embedding)
        of_effects, shared = gram[:n_effects, :n_effects], gram[:n_effects, n_effects:]
        both = torch.cat([shared, moment[:n_effects]], dim=1)
        left = torch.cat([gram[n_effects:, n_effects:], moment[n_effects:]], dim=1)
        left -= shared.T @ torch.linalg.solve(_with_ridge(of_effects, self.config.sum_ridge), both)
        pairs = torch.linalg.solve(_with_ridge(left[:, : len(left)], self.config.pair_ridge), left[:, len(left) :])
        effects = torch.linalg.solve(_with_ridge(of_effects, self.config.ridge), moment[:n_effects] - shared @ pairs)
        self.label_embedding.copy_(label_embedding)
        self.weights.copy_(effects)
        self.pair_weights.copy_(pairs)

    def _normal_equations(
        self, latents: Tensor, conditions: ConditionTensors, *, n_cells: Tensor, label_embedding: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Sum the products of design columns with one another and with the latents; interactions need embeddings."""
        n_columns = len(self.weights) + (0 if label_embedding is None else len(self.pair_weights))
        gram = torch.zeros(n_columns, n_columns, dtype=torch.float64)
        moment = torch.zeros(n_columns, latents.shape[1], dtype=torch.float64)
        for begin in range(0, len(latents), _BLOCK):
            rows = slice(begin, begin + _BLOCK)
            design = conditions.rows(rows).columns(self.n_labels)
            if label_embedding is not None:
                design = torch.cat([design, self._products(design, label_embedding)], dim=1)
            design = design.double()
            weighted = n_cells[rows, None].double() * design
            gram += weighted.T @ design
            moment += weighted.T @ latents[rows].double()
        return gram, moment

    def _products(self, columns: Tensor, label_embedding: Tensor) -> Tensor:
        """Multiply the embeddings of each pair of conditions, shape ``(B, n_pairs * rank ** 2)``."""
        if not self._pairs:
            return columns[:, :0]
        embedded = [columns[:, span] @ label_embedding[span] for span in self._columns]
        products = [(embedded[k][:, :, None] * embedded[m][:, None, :]).flatten(1) for k, m in self._pairs]
        return torch.cat(products, dim=1)


def _with_ridge(gram: Tensor, ridge: float) -> Tensor:
    return gram + ridge * torch.eye(len(gram), dtype=gram.dtype)


def _label_embedding(effects: Tensor, n_cells: Tensor, *, rank: int) -> Tensor:
    """Embed labels by the largest principal components of their effects, of mean 0 and mean square 1 over cells.

    Parameters
    ----------
    effects
        Effect of each label, shape ``(n, D)``.
    n_cells
        Cells of each label, shape ``(n,)``.
    rank
        Width of the embedding.

    Returns
    -------
    Embeddings, shape ``(n, rank)``; all 0 if the effects of labels do not differ.
    """
    fractions = n_cells / n_cells.sum().clamp(min=1.0)
    left, scale, _ = torch.linalg.svd(effects - fractions @ effects, full_matrices=False)
    n_components = min(rank, len(effects) - 1, len(scale))
    embedding = effects.new_zeros(len(effects), rank)
    embedding[:, :n_components] = left[:, :n_components] * scale[:n_components]
    return embedding / (fractions @ embedding.square().sum(dim=1)).sqrt().clamp(min=1e-6)
