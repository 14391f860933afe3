"""Gene factors: how cells of combinations never or hardly seen differ from what the model decodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray

from scdiffuse._core.progress import Progress
from scdiffuse.autoencoder import GeneFactors
from scdiffuse.calibration._expected import ExpectedExpression
from scdiffuse.calibration._pseudobulk import Pseudobulk
from scdiffuse.calibration._shrinkage import shrunk_factors
from scdiffuse.cells import ConditionTable

__all__ = ["GeneFactorTable"]


@dataclass(kw_only=True)
class GeneFactorTable:
    r"""Factors that bring the mean of cells of combinations never seen towards their expected expression.

    What the model makes of a gene, and what is expected of it, are estimates of the same number, and err in different
    ways. On the scale of `ExpectedExpression` their mean is taken, with the weight `expected_weight` for the second.
    Between two grid values of a number, expectations are interpolated, and the weight falls to 0 at values that were
    trained. Factors are found once for each place of the grid, when its first cell is made, and depend on the model
    alone; between places their logs are interpolated linearly.
    """

    expected: ExpectedExpression
    generated: Callable[[ConditionTable], NDArray[np.float64]]
    """Mean fraction of each gene, shape ``(G,)``, that the model as learnt gives a combination, a table of one row."""
    power: float
    """Of the factors: 1 in full, 0 none."""
    _found: dict[tuple[tuple[int, ...], bytes], NDArray[np.float32] | None] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, table: ConditionTable, *, given: ConditionTable | None = None) -> GeneFactors | None:
        """Look up the factors of some cells.

        Parameters
        ----------
        table
            Conditions of the cells; cells with a label missing have the factors of mapped labels alone.
        given
            Conditions that the cells had before they were predicted; none for new cells. Latents of a cell with a
            mapped label carry some of what that label does to genes.

        Returns
        -------
        Factors, or `None` if no cell needs any.
        """
        positions = self.expected.grid.positions(table)
        carried = np.zeros(positions.shape, dtype=bool)
        if given is not None:
            n = table.codes.shape[1]
            carried[:, :n] = (given.codes == table.codes) & (table.codes >= self.expected.grid.n_labels[:n])
        both, which = np.unique(np.concatenate([positions, carried], axis=1), axis=0, return_inverse=True)
        with self._lock:
            factors = [self._interpolated(*np.split(row, 2)) for row in both]
        asked = [one for one in factors if one is not None]
        if not asked:
            return None
        row = np.cumsum([one is not None for one in factors]) - 1
        row[[one is None for one in factors]] = -1
        return GeneFactors(np.stack(asked), row[which.ravel()])

    def fit_rare(self, pseudobulk: Pseudobulk, *, progress: bool = False) -> None:
        r"""Find the factors of combinations of few cells, once the networks are fitted.

        Networks draw such cells towards others. Given the fraction :math:`q_g` that the model makes of a gene, the
        counts :math:`x_g` of the training cells have the mean :math:`e_g = q_g \sum_h x_h`. The factor between both is
        that of `shrunk_factors` with the prior `gene_prior`. Its power falls from 1 to 0 at `rare_cells` cells.

        Parameters
        ----------
        pseudobulk
            Counts of the training cells.
        progress
            Show a bar.
        """
        grid, config = self.expected.grid, self.expected.grid.config
        if not config.rare_combinations:
            return
        with Progress("rare combinations", len(grid.rare), unit="combinations", enabled=progress) as bar:
            for at, (row, rarity) in enumerate(zip(grid.rare, grid.rarity, strict=True)):
                counts = pseudobulk.counts[np.searchsorted(grid.pooled, row)]
                mean = counts.sum() * self.generated(grid.conditions(grid.place_of(row)))
                factors = shrunk_factors(
                    counts,
                    mean,
                    n_cells=int(grid.n_cells[row]),
                    prior=config.gene_prior,
                    gene_variance=config.gene_variance,
                )
                self.expected.rare_factors[at] = torch.from_numpy((factors**rarity).astype(np.float32))
                bar.advance()

    def _interpolated(self, position: NDArray[np.float64], carried: NDArray[np.float64]) -> NDArray[np.float32] | None:
        """Find the factors at a position: where a condition is missing, those of mapped labels alone."""
        marks = carried.astype(bool)
        if min(position) < 0:
            mapped = self.expected.mapped_factors(np.rint(position).astype(np.int64), carried=marks)
            return None if mapped is None else (mapped**self.power).astype(np.float32)
        places = [(self._factors(place, marks), weight) for place, weight in self.expected.grid.places(position)]
        if len(places) == 1:
            return places[0][0]
        found = [weight * np.log(factors) for factors, weight in places if factors is not None]
        return np.exp(np.sum(found, axis=0)).astype(np.float32) if found else None

    def _factors(self, place: tuple[int, ...], carried: NDArray[np.bool_]) -> NDArray[np.float32] | None:
        key = (place, carried.tobytes())
        if key not in self._found:
            found = self._find(place, carried)
            self._found[key] = None if found is None else found**self.power
        return self._found[key]

    def _find(self, place: tuple[int, ...], carried: NDArray[np.bool_] | None = None) -> NDArray[np.float32] | None:
        """Find the factors of a place; none where it was trained on enough cells."""
        grid, config = self.expected.grid, self.expected.grid.config
        corners = grid.corners(place)
        rows = grid.find(corners.codes)
        new = float(corners.weights @ (rows < 0))
        trust = new + (1 - new) * corners.distance
        if trust == 0:
            at = np.flatnonzero(grid.rare == rows[0])
            is_corrected = len(at) and config.rare_combinations
            return self.expected.rare_factors[at[0]].cpu().numpy() if is_corrected else None
        mapped = self.expected.mapped_factors(corners.codes[0], carried=carried)
        if not config.expected_expression:
            return None if mapped is None else mapped.astype(np.float32)
        expected = corners.weights @ self.expected(corners.codes)
        made = self.expected.transform(self.generated(grid.conditions(place)))
        weight = trust * config.expected_weight
        wanted = self.expected.with_mapped(weight * expected + (1 - weight) * made, mapped)
        factors = self.expected.fractions(wanted) / self.expected.fractions(made)
        return np.asarray(factors, dtype=np.float32)
