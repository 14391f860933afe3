"""What cells of combinations never seen express, learnt gene by gene beside what the latents say."""

from __future__ import annotations

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
from scdiffusion.diffusion import SAMPLED_AT_ONCE, LatentDenoiser, condition_tensors, sample
from scdiffusion.model._levels import Levels
from scdiffusion.nn import ConditionCentre, ConditionTensors

__all__ = ["ExpectedShares", "PooledCounts", "Tilts", "pool_counts"]

_WEIGHT = 0.6  # of the log share that is expected of a gene counted often, beside what the latents say
_SPREAD = 0.3  # variance of the log share of a gene that an expectation has where counts are beyond doubt
_PRIOR = 3.0  # counts of a gene that few cells need to have to move its share half of the way to theirs
_UNEVEN = 0.5  # variance of a gene's share among cells of a combination, over its square


class PooledCounts(NamedTuple):
    """Counts of the training cells, added up within combinations."""

    counts: NDArray[np.float64]
    """Of each pooled combination, shape ``(M, G)``."""
    others: NDArray[np.float64]
    """Of all other cells, shape ``(G,)``."""

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each gene in all cells, shape ``(G,)``, positive: half a count is added to each gene."""
        totals = self.counts.sum(axis=0) + self.others + 0.5
        shares: NDArray[np.float64] = totals / totals.sum()
        return shares


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
    counts = np.zeros((n_pooled + 1, source.n_genes))
    for at, block in source.blocks():
        own = row_of[at]
        used = np.flatnonzero(own >= 0)
        member = sp.csr_matrix((np.ones(len(used)), (own[used], used)), shape=(len(counts), len(own)))
        pooled = sp.csr_matrix(member @ block)
        for group in np.flatnonzero(np.diff(pooled.indptr)):
            entries = slice(pooled.indptr[group], pooled.indptr[group + 1])
            counts[group, pooled.indices[entries]] += pooled.data[entries]
    return PooledCounts(counts[:-1], counts[-1])


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


@dataclass(kw_only=True)
class Tilts:
    r"""Factors that bring the mean of cells of combinations never seen towards their expected shares.

    Both are estimates of the same log share of a gene, and they err in different ways. What is expected has the weight
    :math:`0.6\, s^2 / (s^2 + v_g)`, where :math:`v_g` is the variance that the counts of the labels leave: a rare label
    and a rare gene move little. Between two levels of a number, logs are interpolated, and the weight falls to 0 at
    levels that were trained. Factors are found once for each place, when its first cell is made, and depend on the
    model alone.
    """

    expected: ExpectedShares
    space: Latent
    denoiser: LatentDenoiser
    latent_mean: Tensor
    latent_std: Tensor
    power: float
    _found: dict[tuple[int, ...], NDArray[np.float32] | None] = field(default_factory=dict)
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
        places, which = np.unique(self.expected.levels.place(table), axis=0, return_inverse=True)
        with self._lock:
            factors = [self._factors(tuple(place.tolist())) for place in places]
        asked = [one for one in factors if one is not None]
        if not asked:
            return None
        row = np.cumsum([one is not None for one in factors]) - 1
        row[[one is None for one in factors]] = -1
        return Tilt(np.stack(asked), row[which.ravel()])

    def _factors(self, place: tuple[int, ...]) -> NDArray[np.float32] | None:
        if place not in self._found:
            found = self._find(place) if min(place) >= 0 else None
            self._found[place] = None if found is None else found**self.power
        return self._found[place]

    def _find(self, place: tuple[int, ...]) -> NDArray[np.float32] | None:
        """Find the factors of a place; none where it was trained on enough cells."""
        levels = self.expected.levels
        corners = levels.corners(place)
        new = float(corners.shares @ levels.unseen(corners.codes))
        trust = new + (1 - new) * corners.distance
        if trust == 0:
            row = np.flatnonzero(levels.few == levels.find(corners.codes)[0])
            return self.expected.few_factors[row[0]].cpu().numpy() if len(row) else None
        logs, doubts = (held.double().cpu().numpy() for held in self.expected(corners.codes))
        expected, made = corners.shares @ logs, np.log(self._generated(levels.conditions(place)))
        doubt = corners.shares @ doubts / np.exp((expected + made) / 2)
        weight = trust * _WEIGHT * _SPREAD / (_SPREAD + doubt)
        factors: NDArray[np.float32] = np.exp(weight * (expected - made)).astype(np.float32)
        return factors

    def settle(self, pooled: PooledCounts) -> None:
        r"""Find the factors of combinations of few cells, once the networks are as they stay.

        Networks draw such cells towards others. Given the share :math:`q_g` that the model makes of a gene, the counts
        :math:`x_g` of the :math:`n` training cells have the mean :math:`e_g = q_g \sum_h x_h`. With a gamma prior of
        mean 1 and shape :math:`a = 3`, the mean of the factor is :math:`(a + x_g u_g) / (a + e_g u_g)`, where
        :math:`u_g = 1 / (1 + e_g / 2 n)` as cells differ. Its power falls from 1 to 0 at 100 cells.

        Parameters
        ----------
        pooled
            Counts of the training cells.
        """
        levels = self.expected.levels
        for at, (row, need) in enumerate(zip(levels.few, levels.need, strict=True)):
            counts = pooled.counts[np.searchsorted(levels.pooled, row)]
            mean = counts.sum() * self._generated(levels.conditions(levels.place_of(row)))
            worth = 1 / (1 + _UNEVEN * mean / levels.n_cells[row])
            factors = ((_PRIOR + worth * counts) / (_PRIOR + worth * mean)) ** need
            self.expected.few_factors[at] = torch.from_numpy(factors.astype(np.float32))

    def _generated(self, asked: ConditionTable) -> NDArray[np.float64]:
        """Find the mean share of each gene that the model as learnt gives a combination, shape ``(G,)``."""
        cells = np.arange(SAMPLED_AT_ONCE, dtype=np.int64)
        noise = torch.from_numpy(cell_normals(0, "expected shares", cells, self.latent_mean.numel()))
        conditions = condition_tensors(asked.take(np.zeros(len(cells), dtype=np.int64)))
        device = self.latent_mean.device
        n_steps = self.denoiser.config.n_steps
        latents = sample(self.denoiser, noise.to(device), conditions.to(device), n_steps=n_steps)
        codes = (latents * self.latent_std + self.latent_mean)[:, :-1]
        shares: NDArray[np.float64] = self.space.shares(codes).mean(axis=0, dtype=np.float64)
        return shares
