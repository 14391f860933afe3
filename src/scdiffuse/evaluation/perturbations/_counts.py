"""Changes of expression put onto the counts of real cells, so that baselines have the noise of cells too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy import sparse

from scdiffuse.evaluation.perturbations._conditions import Condition, ConditionCells, Expression
from scdiffuse.metrics import log_normalise
from scdiffuse.metrics._feature_matrices import Array

__all__ = ["Draw", "log_ratio", "mean_fractions", "onto_counts"]

Draw: TypeAlias = Callable[[int, np.random.Generator], Array]
"""Draws the expression of some cells, shape ``(n, G)``."""
_LEAST_FRACTION = 2e-5  # added to each expression fraction before ratios are taken


def mean_fractions(cells: ConditionCells, condition: Condition) -> Array:
    """Average the expression fractions of cells, shape ``(G,)``."""
    assert cells.counts is not None, "real cells have counts"
    rows = cells.rows[condition]
    weights = np.divide(1.0, cells.totals[rows], out=np.zeros(rows.size), where=cells.totals[rows] > 0)
    return np.asarray(weights @ cells.counts[rows] / rows.size).ravel()


def log_ratio(to: Array, at: Array) -> Array:
    """Compute the log ratio of expression fractions, damped where a gene is hardly found."""
    return np.asarray(np.log((to + _LEAST_FRACTION) / (at + _LEAST_FRACTION)))


def onto_counts(cells: ConditionCells, condition: Condition, change: Array, *, expression: Expression) -> Draw:
    """Change the expression fractions of real cells: counts are thinned where fractions fall, added where they rise.

    Parameters
    ----------
    cells, condition
        The cells to change.
    change
        Log ratio of expression fractions, shape ``(G,)``.
    expression
        The scale to return.
    """
    before = mean_fractions(cells, condition)
    after = np.maximum((before + _LEAST_FRACTION) * np.exp(change) - _LEAST_FRACTION, 0)
    after *= before.sum() / after.sum()
    keep = np.minimum(1, after / np.maximum(before, 1e-12))
    add = np.maximum(after - before, 0)

    def draw(n: int, stream: np.random.Generator) -> Array:
        rows = cells.draw(condition, n, stream)
        assert cells.counts is not None
        counts, totals = cells.counts[rows].toarray().astype(np.int64), cells.totals[rows]
        made = stream.binomial(counts, keep) + stream.poisson(totals[:, None] * add)
        return np.asarray(made, dtype=np.float32) if expression == "counts" else _normalised(made, totals)

    return draw


def _normalised(counts: Array, totals: Array) -> Array:
    """Normalise counts of some genes by the library size over all of them."""
    rest = np.maximum(totals - counts.sum(axis=1), 0)[:, None]
    return np.asarray(log_normalise(sparse.csr_matrix(np.hstack([counts, rest])))[:, :-1].toarray())
