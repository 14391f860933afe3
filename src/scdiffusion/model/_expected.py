"""What cells of combinations never seen express, learnt gene by gene beside what the latents say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffusion.cells import ConditionTable, Source
from scdiffusion.diffusion import condition_tensors
from scdiffusion.model._levels import Levels
from scdiffusion.nn import ConditionCentre, ConditionTensors

__all__ = ["ExpectedShares", "PooledCounts", "pool_counts"]

_OFTEN = 0.5  # of the cells: a gene found in nearly all of them does not tell molecules from reads
_FEWEST_GENES = 10


class PooledCounts(NamedTuple):
    """Counts of the training cells, added up within combinations."""

    counts: NDArray[np.float64]
    """Of each pooled combination, shape ``(M, G)``."""
    others: NDArray[np.float64]
    """Of all other cells, shape ``(G,)``."""
    found: NDArray[np.float64]
    """Share of all cells that each gene is found in, shape ``(G,)``."""
    n_cells: int
    """All cells."""

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each gene in all cells, shape ``(G,)``, positive: half a count is added to each gene."""
        totals = self._totals + 0.5
        shares: NDArray[np.float64] = totals / totals.sum()
        return shares

    @property
    def clump(self) -> float:
        """Counts that a usual gene has each time it is found, of the genes that at most half of the cells have.

        It is 1 where too few genes are that rare to tell.
        """
        rare = (self.found > 0) & (self.found <= _OFTEN)
        if np.count_nonzero(rare) < _FEWEST_GENES:
            return 1.0
        means = self._totals[rare] / self.n_cells
        return float(np.median(means / -np.log1p(-self.found[rare])))

    @property
    def _totals(self) -> NDArray[np.float64]:
        totals: NDArray[np.float64] = self.counts.sum(axis=0) + self.others
        return totals


def pool_counts(
    source: Source, cells: NDArray[np.int64], table: ConditionTable, *, levels: Levels | None
) -> PooledCounts:
    """Add up the counts of the training cells, in one pass.

    Parameters
    ----------
    source
        Counts.
    cells
        Rows to use.
    table
        Conditions of those rows.
    levels
        What combinations there are; `None` adds up all cells in one row.

    Returns
    -------
    Counts by combination.
    """
    row_of, n_pooled = np.full(source.n_cells, -1, dtype=np.int64), 0
    row_of[cells] = 0
    if levels is not None:
        n_pooled = len(levels.pooled)
        row = np.full(len(levels.seen) + 1, n_pooled)  # the last of them is where -1 points to
        row[levels.pooled] = np.arange(n_pooled)
        codes, which = np.unique(levels.encode(table), axis=0, return_inverse=True)
        row_of[cells] = row[levels.find(codes)][which.ravel()]
    counts, found = np.zeros((n_pooled + 1, source.n_genes)), np.zeros(source.n_genes)
    for at, block in source.blocks():
        own = row_of[at]
        used = np.flatnonzero(own >= 0)
        member = sp.csr_matrix((np.ones(len(used)), (own[used], used)), shape=(len(counts), len(own)))
        pooled = sp.csr_matrix(member @ block)
        found += np.asarray(block[used].sign().sum(axis=0)).ravel()
        for group in np.flatnonzero(np.diff(pooled.indptr)):
            entries = slice(pooled.indptr[group], pooled.indptr[group + 1])
            counts[group, pooled.indices[entries]] += pooled.data[entries]
    return PooledCounts(counts[:-1], counts[-1], found / len(cells), len(cells))


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
