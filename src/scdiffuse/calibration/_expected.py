"""Expected expression of combinations of conditions, learnt gene by gene beside the latents."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse.calibration._grid import ConditionGrid
from scdiffuse.calibration._pseudobulk import Pseudobulk
from scdiffuse.cells import ConditionTable
from scdiffuse.diffusion import condition_tensors
from scdiffuse.nn import ConditionalMean, ConditionTensors

__all__ = ["ExpectedExpression"]


class ExpectedExpression(nn.Module):
    r"""Expression fraction of each gene by combination of conditions, from the pseudobulk of all that were trained.

    .. math:: \log p_g(c) = \mu_g + m_g(c)

    with :math:`m` a `ConditionalMean` of log fractions, weighed by the square root of the gene's fraction. One average
    cell of the mean composition is added to each combination. Latents keep what most cells vary in; this keeps, of each
    gene, what a combination has from each of its labels.

    Parameters
    ----------
    grid
        The combinations.
    n_genes
        Number of genes ``G``.
    """

    log_mean: Tensor
    sampling_variance: Tensor
    rare_factors: Tensor

    def __init__(self, grid: ConditionGrid, n_genes: int) -> None:
        super().__init__()
        self.grid = grid
        self.conditional_mean = ConditionalMean(
            grid.n_labels, 0, n_genes, pairwise_interactions=grid.config.pairwise_interactions
        )
        self.register_buffer("log_mean", torch.zeros(n_genes))
        self.register_buffer("sampling_variance", torch.zeros(sum(grid.n_labels)))
        self.register_buffer("rare_factors", torch.ones(len(grid.rare), n_genes))

    @torch.no_grad()
    def learn(self, pseudobulk: Pseudobulk) -> None:
        """Find what each label adds to the log fraction of each gene, and each pair of labels.

        Parameters
        ----------
        pseudobulk
            Counts of the training cells.
        """
        fractions, counts, rows = pseudobulk.fractions, pseudobulk.counts, self.grid.pooled
        n_cells, weight = self.grid.n_cells[rows].astype(np.float64), np.sqrt(fractions)
        cell = counts.sum() / n_cells.sum()
        logs = np.log((counts + cell * fractions) / (counts.sum(axis=1, keepdims=True) + cell) / fractions)
        mean = np.average(logs, axis=0, weights=n_cells)
        centred = torch.from_numpy(((logs - mean) * weight).astype(np.float32))
        conditions = _labels(self.grid.seen[rows])
        self.conditional_mean.learn(centred, conditions, n_cells=torch.from_numpy(n_cells))
        scale = torch.from_numpy(weight.astype(np.float32))
        self.conditional_mean.weights /= scale
        self.conditional_mean.pair_weights /= scale
        self.log_mean.copy_(torch.from_numpy(np.log(fractions) + mean))
        design = conditions.columns(self.conditional_mean.n_labels)
        of_label = design.T.double() @ torch.from_numpy(counts.sum(axis=1))
        self.sampling_variance.copy_(1.0 / of_label.clamp(min=1.0))

    def forward(self, codes: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Expect the log expression fractions of combinations.

        Parameters
        ----------
        codes
            ``U`` combinations, shape ``(U, C)``.

        Returns
        -------
        Log fractions, shape ``(U, G)``, and the sampling variance that the log of a fraction of 1 would have for as
        many counts as the labels have, shape ``(U,)``; that of a smaller fraction is larger by its inverse.
        """
        conditions = _labels(codes).to(self.log_mean.device)
        logs = torch.log_softmax(self.log_mean + self.conditional_mean(conditions), dim=1)
        return logs, conditions.columns(self.conditional_mean.n_labels) @ self.sampling_variance


def _labels(codes: NDArray[np.int64]) -> ConditionTensors:
    return condition_tensors(ConditionTable(codes, np.zeros((len(codes), 0), np.float32)))
