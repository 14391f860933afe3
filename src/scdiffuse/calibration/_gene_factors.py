"""How cells of combinations never or hardly seen differ from what is decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray

from scdiffuse.autoencoder import GeneFactors
from scdiffuse.calibration._expected import ExpectedExpression
from scdiffuse.calibration._pseudobulk import Pseudobulk
from scdiffuse.cells import ConditionTable

__all__ = ["GeneFactorTable"]

_WEIGHT = 0.6  # of the log share that is expected of a gene counted often, beside what the latents say
_SPREAD = 0.3  # variance of the log share of a gene that an expectation has where counts are beyond doubt
_PRIOR = 3.0  # counts of a gene that few cells need to have to move its share half of the way to theirs
_UNEVEN = 0.5  # variance of a gene's share among cells of a combination, over its square


@dataclass(kw_only=True)
class GeneFactorTable:
    r"""Factors that bring the mean of cells of combinations never seen towards their expected shares.

    Both are estimates of the same log share of a gene, and they err in different ways. What is expected has the weight
    :math:`0.6\, s^2 / (s^2 + v_g)`, where :math:`v_g` is the variance that the counts of the labels leave: a rare label
    and a rare gene move little. Between two levels of a number, logs are interpolated, and the weight falls to 0 at
    levels that were trained. Factors are found once for each place, when its first cell is made, and depend on the
    model alone.
    """

    expected: ExpectedExpression
    generated: Callable[[ConditionTable], NDArray[np.float64]]
    """Mean share of each gene, shape ``(G,)``, that the model as learnt gives a combination, a table of one row."""
    power: float
    _found: dict[tuple[int, ...], NDArray[np.float32] | None] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, table: ConditionTable) -> GeneFactors | None:
        """Look up the factors of some cells.

        Parameters
        ----------
        table
            Their conditions; cells with a label missing keep their shares.

        Returns
        -------
        Factors, or `None` if no cell needs any.
        """
        places, which = np.unique(self.expected.grid.place(table), axis=0, return_inverse=True)
        with self._lock:
            factors = [self._factors(tuple(place.tolist())) for place in places]
        asked = [one for one in factors if one is not None]
        if not asked:
            return None
        row = np.cumsum([one is not None for one in factors]) - 1
        row[[one is None for one in factors]] = -1
        return GeneFactors(np.stack(asked), row[which.ravel()])

    def _factors(self, place: tuple[int, ...]) -> NDArray[np.float32] | None:
        if place not in self._found:
            found = self._find(place) if min(place) >= 0 else None
            self._found[place] = None if found is None else found**self.power
        return self._found[place]

    def _find(self, place: tuple[int, ...]) -> NDArray[np.float32] | None:
        """Find the factors of a place; none where it was trained on enough cells."""
        grid = self.expected.grid
        corners = grid.corners(place)
        rows = grid.find(corners.codes)
        new = float(corners.fractions @ (rows < 0))
        trust = new + (1 - new) * corners.distance
        if trust == 0:
            at = np.flatnonzero(grid.few == rows[0])
            return self.expected.rare_factors[at[0]].cpu().numpy() if len(at) else None
        logs, sampling_variances = (held.double().cpu().numpy() for held in self.expected(corners.codes))
        expected, made = corners.fractions @ logs, np.log(self.generated(grid.conditions(place)))
        sampling_variance = corners.fractions @ sampling_variances / np.exp((expected + made) / 2)
        weight = trust * _WEIGHT * _SPREAD / (_SPREAD + sampling_variance)
        factors: NDArray[np.float32] = np.exp(weight * (expected - made)).astype(np.float32)
        return factors

    def settle(self, pooled: Pseudobulk) -> None:
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
        grid = self.expected.grid
        for at, (row, need) in enumerate(zip(grid.few, grid.need, strict=True)):
            counts = pooled.counts[np.searchsorted(grid.pooled, row)]
            mean = counts.sum() * self.generated(grid.conditions(grid.place_of(row)))
            worth = 1 / (1 + _UNEVEN * mean / grid.n_cells[row])
            factors = ((_PRIOR + worth * counts) / (_PRIOR + worth * mean)) ** need
            self.expected.rare_factors[at] = torch.from_numpy(factors.astype(np.float32))
