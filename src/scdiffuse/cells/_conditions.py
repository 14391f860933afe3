"""Conditions: columns of `obs` as numbers for networks, and back as names."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError, SettingError, UnknownNameError, did_you_mean
from scdiffuse._core.slots import OBS_SOURCE, OBS_SUPPORT, OBS_UNSEEN
from scdiffuse.cells._condition_columns import (
    ConditionRange,
    Label,
    label_codes,
    label_vocabulary,
    like_known,
    new_labels,
    number_range,
    read_numbers,
    require_writable,
    standardised,
    unseen_labels,
)
from scdiffuse.cells._condition_table import ConditionTable
from scdiffuse.cells._labels import require_single

__all__ = ["ConditionRange", "Conditions", "Label", "require_column_name"]

_MOST_NAME = 200  # characters; HDF5 takes more, file names made of them do not


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Names, labels and ranges of all conditions, saved with the model."""

    categorical: Mapping[str, tuple[Label, ...]]
    """Labels of each categorical condition, in the order of its codes."""
    continuous: Mapping[str, ConditionRange]
    """Range of each continuous condition."""
    unseen: Mapping[str, tuple[Label, ...]] = field(default_factory=dict)
    """Labels that no training cell has, known by their features or mapped: the last ones of their condition."""
    n_mapped: Mapping[str, int] = field(default_factory=dict)
    """How many unseen labels of a condition, the last ones, are known by cells that were mapped after the fit."""

    @property
    def names(self) -> tuple[str, ...]:
        """All conditions, categorical ones first."""
        return (*self.categorical, *self.continuous)

    @property
    def n_labels(self) -> tuple[int, ...]:
        """Number of labels of each categorical condition that training cells have."""
        return tuple(len(self.trained(name)) for name in self.categorical)

    @property
    def standard_range(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Smallest and largest number of the training cells, standardised, each of shape ``(C_continuous,)``."""
        seen = self.continuous.values()
        low = np.array([(one.min - one.mean) / one.std for one in seen])
        return low, np.array([(one.max - one.mean) / one.std for one in seen])

    @property
    def n_unseen(self) -> tuple[int, ...]:
        """Number of labels of each categorical condition that no training cell has."""
        return tuple(len(self.unseen.get(name, ())) for name in self.categorical)

    def trained(self, name: str) -> tuple[Label, ...]:
        """Return the labels of a categorical condition that training cells have."""
        labels = self.categorical[name]
        return labels[: len(labels) - len(self.unseen.get(name, ()))]

    def measured(self, name: str) -> tuple[Label, ...]:
        """Return the labels of a categorical condition that are known by cells, trained or mapped."""
        labels, n_mapped = self.categorical[name], self.n_mapped.get(name, 0)
        return (*self.trained(name), *labels[len(labels) - n_mapped :])

    def with_mapped(self, name: str, labels: Sequence[Label]) -> Self:
        """Add labels that no training cell has, known by cells that are mapped.

        Parameters
        ----------
        name
            A categorical condition.
        labels
            The new labels.
        """
        return replace(
            self,
            categorical={**self.categorical, name: (*self.categorical[name], *labels)},
            unseen={**self.unseen, name: (*self.unseen.get(name, ()), *labels)},
            n_mapped={**self.n_mapped, name: self.n_mapped.get(name, 0) + len(labels)},
        )

    @classmethod
    def from_obs(
        cls,
        obs: pd.DataFrame,
        categorical: Sequence[str] = (),
        continuous: Sequence[str] = (),
        *,
        described: Mapping[str, Sequence[Label]] | None = None,
    ) -> Self:
        """Collect labels and ranges of training cells.

        Parameters
        ----------
        obs
            Labels of the training cells.
        categorical
            Columns with labels: text, whole numbers, booleans or categories. Categories keep their order; other labels
            are sorted. Categories that no cell has are left out.
        continuous
            Columns with numbers, such as time.
        described
            Labels that have features, by categorical condition; those that no cell has are known by these alone.

        Raises
        ------
        UnknownNameError
            A column does not exist.
        ConditionError
            A label has one cell only, a continuous column holds text or infinite numbers, or a column is empty, exists
            twice or has a name that is no text.
        SettingError
            A column is named twice.
        """
        names = [*categorical, *continuous]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            msg = f"{twice[0]!r} is named more than once among the conditions; name it once, categorical or continuous."
            raise SettingError(msg)
        for name in names:
            _require_column(name, obs)
        trained = {name: label_vocabulary(obs[name], name) for name in categorical}
        unseen = {name: unseen_labels(labels, trained[name]) for name, labels in (described or {}).items()}
        for name, labels in unseen.items():
            require_writable(labels, name)
        return cls(
            categorical={name: (*labels, *unseen.get(name, ())) for name, labels in trained.items()},
            continuous={name: number_range(obs[name], name) for name in continuous},
            unseen={name: labels for name, labels in unseen.items() if labels},
        )

    def encode(self, obs: pd.DataFrame, *, partial: bool = False) -> ConditionTable:
        """Turn columns of `obs` into numbers.

        Parameters
        ----------
        obs
            One row a cell; other columns are ignored. Missing values stay missing, and so does empty text.
        partial
            Treat an absent column as missing values.

        Returns
        -------
        One row a cell.

        Raises
        ------
        UnknownNameError
            A column does not exist, or a label was not seen in training.
        ConditionError
            A continuous column holds text or infinite numbers, or a column exists twice.
        """
        codes = np.full((len(obs), len(self.categorical)), -1, dtype=np.int64)
        values = np.full((len(obs), len(self.continuous)), np.nan, dtype=np.float32)
        if not partial:
            self.require_columns(obs)
        for name in self.names:
            require_single(obs, name)
        for at, (name, labels) in enumerate(self.categorical.items()):
            if name in obs:
                codes[:, at] = label_codes(obs[name], labels, name)
        for at, (name, seen) in enumerate(self.continuous.items()):
            if name in obs:
                values[:, at] = standardised(read_numbers(obs[name], name), seen, name)
        return ConditionTable(codes, values)

    def decode(self, table: ConditionTable) -> pd.DataFrame:
        """Turn numbers back into columns of `obs`.

        Parameters
        ----------
        table
            One row a cell.

        Returns
        -------
        One row a cell, numbered from 0: categories in the training order, all as text where labels are of several
        types, and numbers in the user's units, rounded to a millionth of the training range.
        """
        columns: dict[str, Any] = {}
        for at, (name, labels) in enumerate(self.categorical.items()):
            is_mixed = len({type(label) for label in labels}) > 1  # no file holds categories of several types
            categories = pd.Index([str(label) for label in labels] if is_mixed else labels)
            columns[name] = pd.Categorical.from_codes(table.codes[:, at], categories=categories)
        for at, (name, seen) in enumerate(self.continuous.items()):
            decimals = 6 - math.ceil(math.log10(seen.max - seen.min or 1.0))
            numbers = table.values[:, at].astype(np.float64) * seen.std + seen.mean
            columns[name] = np.round(numbers, decimals) + 0.0  # no negative zeros
        return pd.DataFrame(columns, index=pd.RangeIndex(len(table)))

    def within(self, table: ConditionTable) -> ConditionTable:
        """Move numbers beyond those of the training cells to the nearest one of these.

        Parameters
        ----------
        table
            Conditions of ``N`` cells.

        Returns
        -------
        The same table where no number lies beyond.
        """
        low, high = (end.astype(np.float32) for end in self.standard_range)
        return ConditionTable(table.codes, np.clip(table.values, low, high), table.counts)

    def require(self, name: str) -> None:
        """Check that the model has a condition.

        Parameters
        ----------
        name
            Name of a condition.

        Raises
        ------
        UnknownNameError
            The model has no such condition.
        """
        if name not in self.names:
            msg = f"{name!r} is not a condition of this model; expected one of {list(self.names)}."
            raise UnknownNameError(msg + did_you_mean(name, self.names))

    def require_columns(self, obs: pd.DataFrame) -> None:
        """Check that cells have a column for each condition.

        Parameters
        ----------
        obs
            Columns of the cells.

        Raises
        ------
        UnknownNameError
            A column does not exist.
        """
        for name in self.names:
            _require_column(name, obs)

    def new_labels(self, obs: pd.DataFrame, name: str) -> tuple[Label, ...]:
        """Collect the labels of a categorical condition that cells have and the vocabulary does not.

        Parameters
        ----------
        obs
            Columns of the cells; missing labels are no new ones.
        name
            The condition.

        Raises
        ------
        ConditionError
            A new label has one cell only.
        """
        return new_labels(obs[name], name, known=self.categorical[name])

    def written(self, name: str, label: Label) -> Label:
        """Write a label of a categorical condition as the vocabulary does: 3 or "3" as 3.0 beside 1.0."""
        return like_known(label, self.categorical[name])

    def to_json(self) -> str:
        """Write names, labels and ranges as JSON text; `from_json` reads it."""
        ranges = {name: asdict(seen) for name, seen in self.continuous.items()}
        labels = {name: list(labels) for name, labels in self.categorical.items()}
        unseen = {name: list(labels) for name, labels in self.unseen.items()}
        tree = {"categorical": labels, "continuous": ranges} | ({"unseen": unseen} if unseen else {})
        tree |= {"n_mapped": dict(self.n_mapped)} if self.n_mapped else {}
        return json.dumps(tree, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Parameters
        ----------
        text
            JSON text.
        """
        tree = json.loads(text)
        return cls(
            categorical={name: tuple(labels) for name, labels in tree["categorical"].items()},
            continuous={name: ConditionRange(**seen) for name, seen in tree["continuous"].items()},
            unseen={name: tuple(labels) for name, labels in tree.get("unseen", {}).items()},
            n_mapped=tree.get("n_mapped", {}),
        )


def _require_column(name: object, obs: pd.DataFrame) -> None:
    if name not in obs:
        known = [str(column) for column in obs.columns]
        msg = f"{name!r} is not a column of `adata.obs`; expected one of {known}."
        raise UnknownNameError(msg + did_you_mean(name, known))
    require_single(obs, name)
    if not isinstance(name, str):
        msg = f"The column {name!r} of `adata.obs` has a name of type {type(name).__name__}; expected text."
        raise ConditionError(msg + " Run `adata.obs.columns = adata.obs.columns.astype(str)`.")
    if name in {OBS_SOURCE, OBS_SUPPORT, OBS_UNSEEN}:
        msg = f"The column {name!r} marks generated cells; expected another name. Rename the column."
        raise ConditionError(msg)
    require_column_name(name)


def require_column_name(name: str) -> None:
    """Check that a column of cells that are written can have a name, in memory and in a file.

    Parameters
    ----------
    name
        Name of a column of `obs`.

    Raises
    ------
    ConditionError
        No file can hold it.
    """
    shown = name if len(name) <= _MOST_NAME else f"{name[:20]}..."
    steps = {part.strip() for part in name.split("/")}  # HDF5 reads a name as a path
    if steps & {"", ".", ".."} or name == "_index" or not name.isprintable():
        msg = f"The column {shown!r} cannot be written: no `.h5ad` file can hold it; expected a name of plain text."
        raise ConditionError(msg + " Rename the column.")
    if len(name) > _MOST_NAME:
        msg = f"The column {shown!r} has a name of {len(name)} characters; expected at most {_MOST_NAME}."
        raise ConditionError(msg + " Rename the column.")
