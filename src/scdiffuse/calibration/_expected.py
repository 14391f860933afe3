"""What cells of combinations never seen express, learnt gene by gene beside what the latents say."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse.calibration._grid import Levels
from scdiffuse.calibration._pseudobulk import PooledCounts
from scdiffuse.cells import ConditionTable
from scdiffuse.diffusion import condition_tensors
from scdiffuse.nn import ConditionCentre, ConditionTensors

__all__ = ["ExpectedShares"]


class ExpectedShares(nn.Module):
    r"""Share of each gene by combination, from the pooled counts of all that were trained.

    .. math:: \log p_g(c) = \mu_g + m_g(c)

    with :math:`m` a `ConditionCentre` of log shares, weighed by the square root of the gene's share. One average cell
    of the mean composition is added to each combination. Latents keep what most cells vary in; this keeps, of each
    gene, what a combination has from each of its labels.

    Parameters
    ----------
    levels
        The combinations.
    n_genes
        Number of genes ``G``.
    """

    log_mean: Tensor
    doubt: Tensor
    few_factors: Tensor

    def __init__(self, levels: Levels, n_genes: int) -> None:
        super().__init__()
        self.levels = levels
        self.centre = ConditionCentre(levels.n_labels, 0, n_genes)
        self.register_buffer("log_mean", torch.zeros(n_genes))
        self.register_buffer("doubt", torch.zeros(sum(levels.n_labels)))
        self.register_buffer("few_factors", torch.ones(len(levels.few), n_genes))

    @torch.no_grad()
    def learn(self, pooled: PooledCounts) -> None:
        """Find what each label adds to the log share of each gene, and each pair of labels.

        Parameters
        ----------
        pooled
            Counts of the training cells.
        """
        shares, counts, rows = pooled.shares, pooled.counts, self.levels.pooled
        n_cells, weight = self.levels.n_cells[rows].astype(np.float64), np.sqrt(shares)
        cell = counts.sum() / n_cells.sum()
        logs = np.log((counts + cell * shares) / (counts.sum(axis=1, keepdims=True) + cell) / shares)
        mean = np.average(logs, axis=0, weights=n_cells)
        centred = torch.from_numpy(((logs - mean) * weight).astype(np.float32))
        conditions = _labels(self.levels.seen[rows])
        self.centre.learn(centred, conditions, n_cells=torch.from_numpy(n_cells))
        scale = torch.from_numpy(weight.astype(np.float32))
        self.centre.weights /= scale
        self.centre.pair_weights /= scale
        self.log_mean.copy_(torch.from_numpy(np.log(shares) + mean))
        of_label = conditions.columns(self.centre.n_labels).T.double() @ torch.from_numpy(counts.sum(axis=1))
        self.doubt.copy_(1.0 / of_label.clamp(min=1.0))

    def forward(self, codes: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Expect the log shares of combinations.

        Parameters
        ----------
        codes
            ``U`` combinations, shape ``(U, C)``.

        Returns
        -------
        Log shares, shape ``(U, G)``, and the variance that the log of a share of 1 would have for as many counts as
        the labels have, shape ``(U,)``; that of a smaller share is larger by its inverse.
        """
        conditions = _labels(codes).to(self.log_mean.device)
        logs = torch.log_softmax(self.log_mean + self.centre(conditions), dim=1)
        return logs, conditions.columns(self.centre.n_labels) @ self.doubt


def _labels(codes: NDArray[np.int64]) -> ConditionTensors:
    return condition_tensors(ConditionTable(codes, np.zeros((len(codes), 0), np.float32)))
