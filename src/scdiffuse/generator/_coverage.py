"""Training cells by combination of conditions, as a table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from scdiffuse._core.errors import SettingError
from scdiffuse.generator._base import GeneratorBase

__all__ = ["coverage_table"]

_MOST_NUMBERS = 60


def coverage_table(model: GeneratorBase, rows: str, columns: str | None = None) -> pd.DataFrame:
    """Count the training cells of each combination of two conditions.

    Parameters
    ----------
    model
        A fitted model.
    rows, columns
        Names of conditions; of one alone if `columns` is not given. A continuous condition has its measured values.

    Returns
    -------
    Cells by label or number, a column ``"n_cells"`` for one condition; cells where one is missing are left out.

    Raises
    ------
    UnknownNameError
        The model has no such condition.
    SettingError
        A continuous condition has more than 60 measured values.
    """
    fitted = model._fitted("coverage_table")
    names = [rows] if columns is None else [rows, columns]
    held = fitted.trained_on
    found = {}
    for name in names:
        model.conditions.require(name)
        found[name] = _values(model, name)
    table = pd.DataFrame(found | {"n_cells": held.counts}).dropna()
    if columns is None:
        return table.groupby(rows, observed=False, sort=True)[["n_cells"]].sum()
    return table.pivot_table(
        index=rows, columns=columns, values="n_cells", aggfunc="sum", observed=False, fill_value=0, sort=True
    )


def _values(model: GeneratorBase, name: str) -> Any:  # noqa: ANN401 - a column of labels or of numbers
    """Read a condition of the training cells: labels in the order of the vocabulary, or numbers."""
    held, conditions = model._fitted("coverage_table").trained_on, model.conditions
    if name in conditions.categorical:
        at = list(conditions.categorical).index(name)
        labels = pd.Index([str(label) for label in conditions.categorical[name]])
        return pd.Categorical.from_codes(held.codes[:, at], categories=labels)
    at = list(conditions.continuous).index(name)
    seen = conditions.continuous[name]
    values = np.asarray(held.values[:, at], dtype=np.float64) * seen.std + seen.mean
    decimals = 6 - math.ceil(math.log10(seen.max - seen.min or 1.0))
    rounded = pd.Series(np.round(values, decimals) + 0.0)  # no negative zeros
    if rounded.nunique() > _MOST_NUMBERS:
        msg = f"{name!r} has {rounded.nunique():,} measured values; expected at most {_MOST_NUMBERS}."
        raise SettingError(msg + " Choose a condition with labels.")
    return rounded
