"""Features of labels, by which a model knows labels that no training cell has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError, UnknownNameError, did_you_mean
from scdiffuse._core.scalars import scalar_text
from scdiffuse.cells import Conditions, Label

__all__ = ["align_features", "check_features"]

_FEWEST_TRAINED = 3


def check_features(features: Mapping[str, pd.DataFrame] | None, conditions: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Check the tables of features that a user gives.

    Parameters
    ----------
    features
        One table for each condition: a row for each label, columns of numbers.
    conditions
        Names of the categorical conditions.

    Returns
    -------
    The tables, of ``float64``, whose rows are called by the text of their labels.

    Raises
    ------
    UnknownNameError
        A condition does not exist.
    ConditionError
        A table has no columns, a label twice, a row without one, or values that are no finite numbers.
    """
    found = {}
    for name, table in (features or {}).items():
        _require_table(name, table)
        if name not in conditions:
            msg = f"`condition_features` names {name!r}; expected a condition with labels, one of {list(conditions)}."
            raise UnknownNameError(msg + did_you_mean(name, conditions))
        if table.index.isna().any():
            msg = f"`condition_features[{name!r}]` has a row without a label; expected a label for each row."
            raise ConditionError(msg + " Drop the row, or name it.")
        named = table.set_axis([scalar_text(label) for label in table.index], axis=0)
        _require_once(name, named)
        if not named.shape[1]:
            msg = f"`condition_features[{name!r}]` has no columns; expected one of numbers at least."
            raise ConditionError(msg)
        numbers = named.apply(pd.to_numeric, errors="coerce").astype(np.float64)
        bad = ~np.isfinite(numbers.to_numpy())
        if bad.any():
            row, column = np.argwhere(bad)[0]
            value, where = str(named.iloc[row, column]), f"row {named.index[row]!r}, column {named.columns[column]!r}"
            msg = f"`condition_features[{name!r}]` holds {value!r} in {where}; expected finite numbers."
            raise ConditionError(msg + " Drop the rows of labels without features.")
        found[name] = numbers
    return found


def _require_table(name: str, table: object) -> None:
    if not isinstance(table, pd.DataFrame):
        msg = f"`condition_features[{name!r}]` is a {type(table).__name__}; expected a pandas DataFrame with a row"
        raise ConditionError(msg + " for each label.")


def _require_once(name: str, table: pd.DataFrame) -> None:
    twice = sorted(set(table.index[table.index.duplicated()]))
    if twice:
        msg = f"`condition_features[{name!r}]` has {twice[0]!r} more than once; expected one row for each label."
        raise ConditionError(msg + " Drop the others.")


def align_features(features: Mapping[str, pd.DataFrame], conditions: Conditions) -> dict[str, NDArray[np.float64]]:
    """Bring features into the order of the labels of a vocabulary.

    Parameters
    ----------
    features
        What `check_features` returned.
    conditions
        The vocabulary.

    Returns
    -------
    By condition that has unseen labels: shape ``(n_labels, F)``, unseen labels last; NaN where a label has no features.

    Raises
    ------
    ConditionError
        Fewer than three trained labels have features, or one has two rows, such as 1 and 1.0.
    """
    found = {}
    for name in conditions.unseen:
        written = [str(conditions.written(name, label)) for label in features[name].index]
        table = features[name].set_axis(written, axis=0)
        _require_once(name, table)
        shared = [label for label in conditions.trained(name) if str(label) in table.index]
        if len(shared) < _FEWEST_TRAINED:
            msg = f"`condition_features[{name!r}]` has {_listed(table.index)}, of which {len(shared)} are labels of"
            msg += f" training cells, {_listed(conditions.trained(name))}; expected at least {_FEWEST_TRAINED}. Name"
            raise ConditionError(msg + " the rows as the labels are.")
        found[name] = table.reindex([str(label) for label in conditions.categorical[name]]).to_numpy()
    return found


def _listed(labels: Sequence[Label] | pd.Index) -> str:
    shown = ", ".join(repr(label) for label in list(labels)[:3])
    return shown + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")
