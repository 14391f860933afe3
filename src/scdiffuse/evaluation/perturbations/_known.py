"""What may be used to predict a held-out condition: cells of all other conditions, and features of conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError, did_you_mean
from scdiffuse._core.random import generator
from scdiffuse.evaluation.perturbations._conditions import Condition, ConditionCells, Expression, Keys
from scdiffuse.evaluation.perturbations._counts import log_ratio, mean_fractions
from scdiffuse.metrics._feature_matrices import Array

__all__ = ["MOST_CONTROLS", "ControlCells", "Known"]

_N_LOADINGS = 10
MOST_CONTROLS = 5000
"""Control cells that stand for all of them."""
_MOST_NAMED = 20  # perturbations in a message
_MIN_GENES = 0.5  # part of the perturbations that have to be genes


@dataclass(frozen=True, eq=False)
class ControlCells:
    """Control cells of a type."""

    condition: Condition
    cells: ConditionCells

    @property
    def mean(self) -> Array:
        """Mean expression, shape ``(G,)``."""
        return self.cells.mean(self.condition)

    @property
    def draw(self) -> Callable[[int, np.random.Generator], Array]:
        """Draw the expression of some of them."""
        return lambda n, stream: self.cells.dense(self.cells.draw(self.condition, n, stream))


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """Cells and features that a predictor may use."""

    real: ConditionCells
    """Real cells; only their control cells are used."""
    train: ConditionCells
    """Cells that predictors are fitted to, without held-out conditions."""
    keys: Keys
    genes: Array
    """Names of the genes, shape ``(G,)``."""
    expression: Expression
    features: pd.DataFrame | None = None
    """Features of the perturbations, a row each."""
    seed: int = 0
    _fractions: dict[Condition, Array] = field(default_factory=dict)

    def stream(self, *names: int | str) -> np.random.Generator:
        """Open a random stream."""
        return generator(self.seed, "perturbations", *names)

    def control(self, condition: Condition) -> ControlCells:
        """Find the control cells of the type of a condition: those of the real cells, else those trained on."""
        wanted = self.pair(condition)
        for cells in (self.real, self.train):
            if wanted in cells:
                return ControlCells(wanted, cells)
        where = f" of type {wanted.cell_type!r}" if wanted.cell_type else ""
        msg = (
            f"There is no control cell{where}, expected cells with `{self.keys.perturbation}` {wanted.perturbation!r}."
        )
        held = sorted({str(one.perturbation) for cells in (self.real, self.train) for one in cells.conditions})
        near = did_you_mean(wanted.perturbation, held)
        raise ConditionError(msg + f" Those given have {held[:_MOST_NAMED]}.{near} Add them to `real` or to `train`.")

    def pair(self, condition: Condition) -> Condition:
        """Return the condition of the control cells of the same type."""
        return self.keys.control_of(condition)

    def has_control(self, condition: Condition) -> bool:
        """Whether there are control cells of the type."""
        return any(self.pair(condition) in cells for cells in (self.real, self.train))

    @cached_property
    def perturbed(self) -> list[Condition]:
        """Perturbed conditions that were trained on and have control cells."""
        names = self.train.conditions
        return [one for one in names if one.perturbation != self.keys.control and self.has_control(one)]

    def other_perturbations(self, held_out: Condition) -> list[Condition]:
        """List the other perturbations of the type or, where there are none, of all types."""
        same = [one for one in self.perturbed if one.cell_type == held_out.cell_type]
        return same or self.perturbed

    def like(self, held_out: Condition) -> list[Condition]:
        """List the same perturbation of the other types or, where no type has it, other perturbations."""
        same = [one for one in self.perturbed if one.perturbation == held_out.perturbation]
        return same or self.other_perturbations(held_out)

    def effect(self, condition: Condition) -> Array:
        """Return the change of mean expression from the control cells of the type, shape ``(G,)``."""
        return np.asarray(self.train.mean(condition) - self.control(condition).mean)

    def log_change(self, condition: Condition) -> Array:
        """Return the log ratio of expression fractions to those of the control cells of the type, shape ``(G,)``."""
        control = self.control(condition)
        return log_ratio(self._of_counts(self.train, condition), self._of_counts(control.cells, control.condition))

    def _of_counts(self, cells: ConditionCells, condition: Condition) -> Array:
        if condition not in self._fractions:
            self._fractions[condition] = mean_fractions(cells, condition)
        return self._fractions[condition]

    def changes_between(self, level: Condition, held_out: Condition) -> tuple[Array, Array] | None:
        """Average over other types the change from one perturbation to another; none where no type has both.

        The change of mean expression, and the log ratio of expression fractions.
        """
        cells = self.train
        pairs = [
            (one, Condition(one.cell_type, level.perturbation))
            for one in self.perturbed
            if one.perturbation == held_out.perturbation
        ]
        pairs = [(to, at) for to, at in pairs if at in cells]
        if not pairs:
            return None
        means = [cells.mean(to) - cells.mean(at) for to, at in pairs]
        ratios = [log_ratio(self._of_counts(cells, to), self._of_counts(cells, at)) for to, at in pairs]
        return np.mean(means, axis=0), np.mean(ratios, axis=0)

    def nearest(self, held_out: Condition, others: Sequence[Condition]) -> Condition | None:
        """Find the condition with the nearest features; none without features."""
        if len(others) == 1:
            return others[0]
        others = self.described(others, held_out)
        features = self.features_of([*others, held_out])
        if not others or features is None:
            return None
        return others[int(np.argmin(((features[:-1] - features[-1]) ** 2).sum(axis=1)))]

    def described(self, others: Sequence[Condition], held_out: Condition) -> list[Condition]:
        """Keep the conditions that have features to compare; all of them for one perturbation in several types."""
        if all(one.perturbation == held_out.perturbation for one in others):
            return list(others)
        return [one for one in others if one.perturbation in self.perturbation_features]

    def features_of(self, conditions: Sequence[Condition]) -> Array | None:
        """Describe conditions by what tells them apart, the last one being asked for; a row each.

        One perturbation in several types: the mean expression of each type's control cells. Several perturbations: the
        features given; or their number, if all are numbers; or, if they are genes, their loadings in control cells.
        """
        asked = conditions[-1]
        if all(one.perturbation == asked.perturbation for one in conditions):
            return np.stack([self.control(one).mean for one in conditions])
        rows = [self.perturbation_features.get(one.perturbation) for one in conditions]
        if any(one is None for one in rows):
            return None
        return np.stack([one for one in rows if one is not None])

    def features_of_control(self, held_out: Condition) -> Array | None:
        """Return the features of no perturbation, where it has some: a dose of 0, say."""
        if any(one.perturbation == held_out.perturbation for one in self.perturbed) or self.features is not None:
            return None
        found = self.perturbation_features
        return found.get(self.keys.control) if _is_number(held_out.perturbation) else None

    @cached_property
    def perturbation_features(self) -> dict[str, Array]:
        """Features of each perturbation that has some, scaled to variance 1."""
        names = sorted({one.perturbation for one in [*self.real.conditions, *self.train.conditions]})
        if self.features is not None:
            table = self.features.rename(index=str)
            return _scaled({name: table.loc[name].to_numpy(np.float64) for name in names if name in table.index})
        numbers = {name: np.array([float(name)]) for name in names if _is_number(name)}
        if all(name in numbers for name in names if name != self.keys.control):
            return _scaled(numbers)
        at = {str(gene): place for place, gene in enumerate(self.genes)}
        targets = {name: at[name] for name in names if name in at}
        perturbations = [name for name in names if name != self.keys.control]
        if len(targets) < _MIN_GENES * len(perturbations):
            return {}
        loadings = self._loadings()
        return _scaled({name: loadings[place] for name, place in targets.items()})

    def _loadings(self) -> Array:
        """Find the loadings of the genes in control cells, shape ``(G, n)``."""
        from scipy.sparse.linalg import svds

        source = next(cells for cells in (self.real, self.train) if _control_rows(cells, self.keys).size)
        rows = self.stream("loadings").permutation(_control_rows(source, self.keys))[:MOST_CONTROLS]
        cells = source.dense(np.sort(rows)).astype(np.float64)
        cells -= cells.mean(axis=0)
        n = min(_N_LOADINGS, min(cells.shape) - 1)
        _, sizes, vectors = svds(cells, k=n, v0=np.ones(min(cells.shape)))
        return np.asarray((vectors * sizes[:, None]).T / np.sqrt(len(cells)))


def _control_rows(cells: ConditionCells, keys: Keys) -> NDArray[np.int64]:
    found = [at for one, at in sorted(cells.rows.items()) if one.perturbation == keys.control]
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _is_number(name: str) -> bool:
    try:
        return bool(np.isfinite(float(name)))
    except ValueError:
        return False


def _scaled(rows: dict[str, Array]) -> dict[str, Array]:
    if not rows:
        return {}
    spread = np.std(list(rows.values()), axis=0)
    return {name: one / np.where(spread > 0, spread, 1) for name, one in rows.items()}
