"""What cells with labels never seen together express, learnt gene by gene beside what the latents say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffusion._core.random import cell_normals
from scdiffusion.autoencoder import Latent, Tilt
from scdiffusion.cells import ConditionTable, Source
from scdiffusion.diffusion import SAMPLED_AT_ONCE, Denoiser, condition_tensors, sample
from scdiffusion.nn import ConditionCentre

__all__ = ["ExpectedShares", "PooledCounts", "Tilts", "can_be_unseen", "pool_counts"]

_MOST = 1_024  # combinations that are pooled, the most frequent ones: their counts are dense
_WEIGHT = 0.6  # of the log share that is expected of a gene counted often, beside what the latents say
_SPREAD = 0.3  # variance of the log share of a gene that an expectation has where counts are beyond doubt


class PooledCounts(NamedTuple):
    """Counts of the training cells, added up within combinations of labels."""

    labels: ConditionTable
    """The ``M`` most frequent combinations of labels, none missing, with their numbers of cells."""
    counts: NDArray[np.float64]
    """Shape ``(M + 1, G)``; the last row is all other cells."""

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each gene in all cells, shape ``(G,)``, positive: half a count is added to each gene."""
        totals = self.counts.sum(axis=0) + 0.5
        shares: NDArray[np.float64] = totals / totals.sum()
        return shares


def can_be_unseen(n_labels: Sequence[int], training: ConditionTable) -> bool:
    """Tell whether labels can be asked for together that no training cell has.

    Parameters
    ----------
    n_labels
        Number of labels of each categorical condition.
    training
        Conditions of the training cells. Models that know numbers as well have no expected shares: cells of the same
        labels differ by their numbers, too.
    """
    if len(n_labels) < 2 or training.values.shape[1]:
        return False
    seen = training.codes[(training.codes >= 0).all(axis=1)]
    return len(np.unique(seen, axis=0)) < math.prod(n_labels)


def pool_counts(
    source: Source, cells: NDArray[np.int64], table: ConditionTable, *, n_labels: Sequence[int]
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
    n_labels
        Number of labels of each categorical condition.

    Returns
    -------
    Counts by combination of labels; all in one row where no combination can be unseen.
    """
    row = np.zeros(len(cells), dtype=np.int64)
    labels = ConditionTable(table.codes[:0], table.values[:0])
    if can_be_unseen(n_labels, table):
        complete = (table.codes >= 0).all(axis=1)
        codes, which, sizes = np.unique(table.codes, axis=0, return_inverse=True, return_counts=True)
        kept = np.flatnonzero((codes >= 0).all(axis=1))
        kept = np.sort(kept[np.argsort(-sizes[kept], kind="stable")[:_MOST]])
        place = np.full(len(codes), len(kept))
        place[kept] = np.arange(len(kept))
        row = np.where(complete, place[which.ravel()], len(kept))
        labels = ConditionTable(codes[kept], np.zeros((len(kept), 0), np.float32), sizes[kept])
    place_of = np.full(source.n_cells, -1, dtype=np.int64)
    place_of[cells] = row
    counts = np.zeros((len(labels) + 1, source.n_genes))
    for at, block in source.blocks():
        own = place_of[at]
        used = np.flatnonzero(own >= 0)
        member = sp.csr_matrix((np.ones(len(used)), (own[used], used)), shape=(len(counts), len(own)))
        pooled = sp.csr_matrix(member @ block)
        for group in np.flatnonzero(np.diff(pooled.indptr)):
            entries = slice(pooled.indptr[group], pooled.indptr[group + 1])
            counts[group, pooled.indices[entries]] += pooled.data[entries]
    return PooledCounts(labels, counts)


class ExpectedShares(nn.Module):
    r"""Share of each gene by labels, from the pooled counts of every combination that was trained.

    .. math:: \log p_g(c) = \mu_g + m_g(c)

    with :math:`m` a `ConditionCentre` of log shares, weighed by the square root of the gene's share. One average cell
    of the mean composition is added to each combination. Latents keep what most cells vary in; this keeps, of each
    gene, what a combination has from each of its labels.

    Parameters
    ----------
    n_labels
        Number of labels of each categorical condition.
    n_genes
        Number of genes ``G``.
    """

    log_mean: Tensor
    doubt: Tensor

    def __init__(self, n_labels: Sequence[int], n_genes: int) -> None:
        super().__init__()
        self.centre = ConditionCentre(n_labels, 0, n_genes)
        self.register_buffer("log_mean", torch.zeros(n_genes))
        self.register_buffer("doubt", torch.zeros(sum(n_labels)))

    @torch.no_grad()
    def learn(self, pooled: PooledCounts) -> None:
        """Find what each label adds to the log share of each gene, and each pair of labels.

        Parameters
        ----------
        pooled
            Counts of the training cells.
        """
        shares, counts = pooled.shares, pooled.counts[:-1]
        n_cells, weight = pooled.labels.counts.astype(np.float64), np.sqrt(shares)
        cell = counts.sum() / n_cells.sum()
        logs = np.log((counts + cell * shares) / (counts.sum(axis=1, keepdims=True) + cell) / shares)
        mean = np.average(logs, axis=0, weights=n_cells)
        centred = torch.from_numpy(((logs - mean) * weight).astype(np.float32))
        conditions = condition_tensors(pooled.labels)
        self.centre.learn(centred, conditions, n_cells=torch.from_numpy(n_cells))
        scale = torch.from_numpy(weight.astype(np.float32))
        self.centre.weights /= scale
        self.centre.pair_weights /= scale
        self.log_mean.copy_(torch.from_numpy(np.log(shares) + mean))
        of_label = conditions.columns(self.centre.n_labels).T.double() @ torch.from_numpy(counts.sum(axis=1))
        self.doubt.copy_(1.0 / of_label.clamp(min=1.0))

    def forward(self, labels: ConditionTable) -> tuple[Tensor, Tensor]:
        """Expect the log shares of combinations.

        Parameters
        ----------
        labels
            ``U`` combinations.

        Returns
        -------
        Log shares, shape ``(U, G)``, and the variance that the log of a share of 1 would have for as many counts as
        the labels have, shape ``(U,)``; that of a smaller share is larger by its inverse.
        """
        conditions = condition_tensors(labels).to(self.log_mean.device)
        logs = torch.log_softmax(self.log_mean + self.centre(conditions), dim=1)
        return logs, conditions.columns(self.centre.n_labels) @ self.doubt


@dataclass(kw_only=True)
class Tilts:
    r"""Factors that bring the mean of cells with labels never seen together towards their expected shares.

    Both are estimates of the same log share of a gene, and they err in different ways. What is expected has the weight
    :math:`0.6\, s^2 / (s^2 + v_g)`, where :math:`v_g` is the variance that the counts of the labels leave: a rare label
    and a rare gene move little. A combination's factors are found once, when its first cell is made, and depend on the
    model alone.
    """

    expected: ExpectedShares | None
    """`None` where no combination can be unseen."""
    space: Latent
    denoiser: Denoiser
    latent_mean: Tensor
    latent_std: Tensor
    n_steps: int
    training: NDArray[np.int64]
    """Codes of the training cells, shape ``(N, C)``."""
    _found: dict[tuple[int, ...], NDArray[np.float32]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, table: ConditionTable) -> Tilt | None:
        """Look up the factors of some cells.

        Parameters
        ----------
        table
            Their conditions; cells with a label missing keep their shares.

        Returns
        -------
        Factors, or `None` if no cell needs any.
        """
        if self.expected is None:
            return None
        codes, which = np.unique(table.codes, axis=0, return_inverse=True)
        is_new = (codes >= 0).all(axis=1) & ~(codes[:, None] == self.training[None]).all(axis=2).any(axis=1)
        if not is_new.any():
            return None
        new = np.flatnonzero(is_new)
        row = np.full(len(codes), -1, dtype=np.int64)
        row[new] = np.arange(len(new))
        with self._lock:
            factors = [self._factors(tuple(codes[at].tolist())) for at in new]
        return Tilt(np.stack(factors), row[which.ravel()])

    def _factors(self, codes: tuple[int, ...]) -> NDArray[np.float32]:
        if codes not in self._found:
            assert self.expected is not None
            labels = ConditionTable(np.array([codes]), np.zeros((1, 0), np.float32))
            expected, doubt = (held[0].double().cpu().numpy() for held in self.expected(labels))
            made = np.log(self._generated(labels))
            weight = _WEIGHT * _SPREAD / (_SPREAD + doubt / np.exp((expected + made) / 2))
            self._found[codes] = np.exp(weight * (expected - made)).astype(np.float32)
        return self._found[codes]

    def _generated(self, labels: ConditionTable) -> NDArray[np.float64]:
        """Find the mean share of each gene that the model as learnt gives a combination, shape ``(G,)``."""
        cells = np.arange(SAMPLED_AT_ONCE, dtype=np.int64)
        noise = torch.from_numpy(cell_normals(0, "expected shares", cells, self.latent_mean.numel()))
        conditions = condition_tensors(labels.take(np.zeros(len(cells), dtype=np.int64)))
        device = self.latent_mean.device
        latents = sample(self.denoiser, noise.to(device), conditions.to(device), n_steps=self.n_steps)
        codes = (latents * self.latent_std + self.latent_mean)[:, :-1]
        shares: NDArray[np.float64] = self.space.shares(codes).mean(axis=0, dtype=np.float64)
        return shares
