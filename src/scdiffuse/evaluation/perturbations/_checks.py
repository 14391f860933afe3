"""Checks of what `evaluate_perturbations` is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import numpy as np
import pandas as pd

from scdiffuse._core.errors import ConditionError, SettingError
from scdiffuse._core.seeds import require_seed
from scdiffuse.evaluation.perturbations._conditions import ConditionCells, Expression
from scdiffuse.evaluation.perturbations._scoring import FEWEST_CELLS

__all__ = ["check_features", "check_settings"]


def check_settings(
    scales: dict[str, str], *, n_draws: int, max_cells: int, n_top: int, n_genes: int | None, fdr: float, seed: int
) -> None:
    """Refuse numbers out of range and unknown words.

    Parameters
    ----------
    scales
        What is compared and what predicted cells hold, by the name of the argument.
    n_draws, max_cells, n_top, n_genes, fdr, seed
        As in `evaluate_perturbations`.

    Raises
    ------
    SettingError
        One of them is not what it can be.
    """
    require_seed(seed)
    for name, value in scales.items():
        if value not in get_args(Expression):
            msg = f"`{name}` is {value!r}, expected one of {list(get_args(Expression))}. Choose one of them."
            raise SettingError(msg)
    for name, number, least in (
        ("n_draws", n_draws, 2),
        ("max_cells", max_cells, FEWEST_CELLS // 2),
        ("n_top", n_top, 2),
        ("n_genes", n_genes, 10),
    ):
        if number is not None and number < least:
            msg = f"`{name}` is {number}, expected at least {least}. Raise it."
            raise SettingError(msg)
    if not 0 < fdr < 1:
        msg = f"`fdr` is {fdr}, expected a fraction between 0 and 1, such as 0.05."
        raise SettingError(msg)


def check_features(features: object, cells: Mapping[str, ConditionCells]) -> None:
    """Refuse features that say nothing of any perturbation, or not the same thing twice.

    Parameters
    ----------
    features
        What the user gives.
    cells
        Cells by role, whose perturbations may have features.

    Raises
    ------
    SettingError
        They are no table.
    ConditionError
        No row is a perturbation, one is there twice, or a value is no finite number.
    """
    if features is None:
        return
    if not isinstance(features, pd.DataFrame):
        msg = f"`perturbation_features` is a {type(features).__name__}; expected a DataFrame, a row a perturbation."
        raise SettingError(msg + " Call `pandas.DataFrame.from_dict(..., orient='index')`.")
    names = sorted({one.perturbation for held in cells.values() for one in held.conditions})
    if not features.index.astype(str).isin(names).any():
        msg = f"No row of `perturbation_features`, such as {str(next(iter(features.index), ''))!r}, is a perturbation;"
        raise ConditionError(msg + f" expected names such as {names[:3]}. Name the rows as the labels are.")
    twice = features.index[features.index.astype(str).duplicated()]
    is_known = np.isfinite(features.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)).all(axis=1)
    if len(twice) or not is_known.all():
        row = str(twice[0] if len(twice) else features.index[~is_known][0])
        what = "has two rows" if len(twice) else "has values that are no finite numbers"
        msg = f"{row!r} {what} in `perturbation_features`; expected one row of finite numbers for each perturbation."
        raise ConditionError(msg + " Leave out perturbations without features.")
