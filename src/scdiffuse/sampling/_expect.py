"""Expected expression of a request."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError
from scdiffuse.cells import ConditionPlan
from scdiffuse.model import FittedModel

__all__ = ["expect"]


def expect(model: FittedModel, plan: ConditionPlan) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Expect the expression of genes in one combination of conditions.

    Parameters
    ----------
    model
        The fitted model.
    plan
        A plan of one request.

    Returns
    -------
    Expression on the scale of `ExpectedExpression`, and its standard error, each of shape ``(G,)``.

    Raises
    ------
    ConditionError
        A condition is open or outside of what was measured, or the model expects nothing.
    """
    expected, names = model.networks.expected, model.conditions.names
    if expected is None:
        msg = "The model has no expected expression: it has no labels, or a number of more values than"
        raise ConditionError(msg + " `CalibrationConfig.most_grid_values`. Generate cells and take their mean.")
    position = expected.grid.positions(plan.requests)[0]
    missing = [name for name, at in zip(names, position, strict=True) if at < 0]
    if missing:
        msg = f"Condition {missing[0]!r} is open, or outside of what was measured; expected a label or number for each"
        raise ConditionError(msg + f" of {', '.join(names)}.")
    mean, variance = np.zeros(model.networks.n_genes), np.zeros(model.networks.n_genes)
    for place, weight in expected.grid.places(position):
        corners = expected.grid.corners(place)
        mean += weight * (corners.weights @ expected(corners.codes))
        unsure = expected.variance(corners.codes) + expected.unseen_variance(corners.codes)
        variance += weight * (corners.weights @ unsure)
    mapped = expected.mapped_factors(np.rint(position).astype(np.int64))
    return expected.with_mapped(mean, mapped), np.sqrt(variance)
