"""Conditions: columns of `obs` as numbers for networks, and back as names."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from scdiffuse._core.errors import ConditionError, SettingError, UnknownNameError, did_you_mean
from scdiffuse._core.slots import OBS_SOURCE, OBS_UNSEEN
from scdiffuse.cells._labels import is_blank

__all__ = ["ConditionRange", "ConditionTable", "Conditions", "Label", "require_column_name"]

_MOST_NAME = 200  # characters; HDF5 takes more, file names made of them do not
_LARGEST = 1e30  # of a continuous condition: its square still is a number
_FURTHEST = 1e6  # training standard deviations from the mean that a number asked for may be

Label = str | int | float | bool
"""Label of a categorical condition, as the user writes it."""


@dataclass(frozen=True)
class ConditionRange:
    """Range of a continuous condition in the training cells."""

    min: float
    max: float
    mean: float
    std: float
    """Standard deviation; 1 where all numbers were the same, so that dividing by it is safe."""


@dataclass(frozen=True, eq=False)
class ConditionTable:
    """The conditions of cells as numbers."""

    codes: NDArray[np.int64]
    """Position of each label in its vocabulary, shape ``(N, C_categorical)``; -1 is missing."""
    values: NDArray[np.float32]
    """Standardised numbers, shape ``(N, C_continuous)``; NaN is missing."""
    counts: NDArray[np.int64] = field(default_factory=lambda: np.ones(0, dtype=np.int64))
    """Number of cells of each row, shape ``(N,)``; one each unless given."""

    def __post_init__(self) -> None:
        if self.counts.size != len(self):
            object.__setattr__(self, "counts", np.ones(len(self), dtype=np.int64))

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.codes)

    @property
    def numbers(self) -> NDArray[np.float64]:
        """Codes and values side by side, shape ``(N, C)``; NaN is missing."""
        codes = np.where(self.codes < 0, np.nan, self.codes.astype(np.float64))
        return np.concatenate([codes, self.values.astype(np.float64)], axis=1)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_] | slice) -> ConditionTable:
        """Return some of the rows, in the order given."""
        return ConditionTable(self.codes[rows], self.values[rows], self.counts[rows])

    def distinct(self) -> ConditionTable:
        """Return each combination once, with the number of cells that have it."""
        both = np.concatenate([self.codes.astype(np.float64), self.values.astype(np.float64)], axis=1)
        keys = np.where(np.isnan(both), np.inf, both)
        _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        counts = np.bincount(which.ravel(), weights=self.counts, minlength=first.size).astype(np.int64)
        return ConditionTable(self.codes[first], self.values[first], counts)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Names, labels and ranges of all conditions, saved with the model."""

    categorical: Mapping[str, tuple[Label, ...]]
    """Labels of each categorical condition, in the order of its codes."""
    continuous: Mapping[str, ConditionRange]
    """Range of each continuous condition."""

    @property
    def names(self) -> tuple[str, ...]:
        """All conditions, categorical ones first."""
        return (*self.categorical, *self.continuous)

    @property
    def n_labels(self) -> tuple[int, ...]:
        """Number of labels of each categorical condition."""
        return tuple(len(labels) for labels in self.categorical.values())

    @classmethod
    def from_obs(cls, obs: pd.DataFrame, categorical: Sequence[str] = (), continuous: Sequence[str] = ()) -> Self:
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

        Raises
        ------
        UnknownNameError
            A column does not exist.
        ConditionError
            A label has one cell only, a continuous column holds text or infinite numbers, or a column is empty.
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
        return cls(
            categorical={name: _labels(obs[name], name) for name in categorical},
            continuous={name: _range(obs[name], name) for name in continuous},
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
            A continuous column holds text or infinite numbers.
        """
        codes = np.full((len(obs), len(self.categorical)), -1, dtype=np.int64)
        values = np.full((len(obs), len(self.continuous)), np.nan, dtype=np.float32)
        for name in self.names:
            if not partial:
                _require_column(name, obs)
        for at, (name, labels) in enumerate(self.categorical.items()):
            if name in obs:
                codes[:, at] = _codes(obs[name], labels, name)
        for at, (name, seen) in enumerate(self.continuous.items()):
            if name in obs:
                values[:, at] = _standardised(_numbers(obs[name], name), seen, name)
        return ConditionTable(codes, values)

    def decode(self, table: ConditionTable) -> pd.DataFrame:
        """Turn numbers back into columns of `obs`.

        Parameters
        ----------
        table
            One row a cell.

        Returns
        -------
        One row a cell, numbered from 0: categories in the training order, and numbers in the user's units, rounded to
        a millionth of the training range.
        """
        columns: dict[str, Any] = {}
        for at, (name, labels) in enumerate(self.categorical.items()):
            columns[name] = pd.Categorical.from_codes(table.codes[:, at], categories=pd.Index(labels))
        for at, (name, seen) in enumerate(self.continuous.items()):
            decimals = 6 - math.ceil(math.log10(seen.max - seen.min or 1.0))
            numbers = table.values[:, at].astype(np.float64) * seen.std + seen.mean
            columns[name] = np.round(numbers, decimals) + 0.0  # no negative zeros
        return pd.DataFrame(columns, index=pd.RangeIndex(len(table)))

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

    def to_json(self) -> str:
        """Write names, labels and ranges as JSON text; `from_json` reads it."""
        ranges = {name: asdict(seen) for name, seen in self.continuous.items()}
        labels = {name: list(labels) for name, labels in self.categorical.items()}
        return json.dumps({"categorical": labels, "continuous": ranges}, indent=1)

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
        )


def _require_column(name: str, obs: pd.DataFrame) -> None:
    if name not in obs:
        known = [str(column) for column in obs.columns]
        msg = f"{name!r} is not a column of `adata.obs`; expected one of {known}."
        raise UnknownNameError(msg + did_you_mean(name, known))
    if name in {OBS_SOURCE, OBS_UNSEEN}:
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


def _labels(column: pd.Series[Any], name: str) -> tuple[Label, ...]:
    """Collect the labels that cells have."""
    counts = column.value_counts()
    counts = counts[counts > 0]
    if counts.empty:
        msg = f"The column {name!r} is missing for all {len(column)} cells; expected labels. Leave it out or fill it."
        raise ConditionError(msg)
    rare = [_plain(label) for label in counts.index[counts == 1]]
    if rare:
        msg = (
            f"{len(rare)} of the {len(counts)} labels in {name!r} have one cell only, such as {rare[0]!r}; expected at "
            "least two cells a label. Merge rare labels, or set them to missing."
        )
        raise ConditionError(msg + (" Numbers can be `continuous`." if not isinstance(rare[0], str) else ""))
    labels = [_plain(label) for label in counts.index]
    if len({type(label) for label in labels}) > 1 or not isinstance(labels[0], str | int | float | bool):
        kinds = sorted({type(label).__name__ for label in labels})
        msg = (
            f"The labels in {name!r} are of type {' and '.join(kinds)}; expected text, numbers or booleans of one type."
        )
        raise ConditionError(msg + f" Run `adata.obs[{name!r}] = adata.obs[{name!r}].astype(str)`.")
    if isinstance(column.dtype, pd.CategoricalDtype):
        return tuple(_plain(label) for label in column.cat.categories if label in counts.index)
    return tuple(sorted(labels))


def _range(column: pd.Series[Any], name: str) -> ConditionRange:
    numbers = _numbers(column, name)
    numbers = numbers[~np.isnan(numbers)]
    if not numbers.size:
        msg = f"The column {name!r} is missing for all {len(column)} cells; expected numbers. Leave it out or fill it."
        raise ConditionError(msg)
    spread = float(numbers.std())
    return ConditionRange(
        float(numbers.min()), float(numbers.max()), float(numbers.mean()), spread if spread > 0 else 1.0
    )


def _numbers(column: pd.Series[Any] | ArrayLike, name: str) -> NDArray[np.float64]:
    """Read numbers; NaN is missing."""
    series = pd.Series(column)
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    if series.dtype == object:
        read = pd.to_numeric(series, errors="coerce")  # numbers that were read as text
        series = read if read.isna().equals(series.isna()) else series
    text = [value for value in series.dropna().unique() if not isinstance(value, int | float | np.number | np.bool_)]
    if text:
        msg = f"The continuous condition {name!r} holds {text[0]!r}; expected numbers. Convert the column with"
        raise ConditionError(msg + " `pd.to_numeric`, or name it among the categorical conditions.")
    numbers: NDArray[np.float64] = np.asarray(series.astype("Float64").to_numpy(na_value=np.nan), dtype=np.float64)
    if (np.abs(numbers) > _LARGEST).any():
        largest = numbers[np.nanargmax(np.abs(numbers))]
        msg = f"The continuous condition {name!r} holds {largest:g}; expected numbers up to {_LARGEST:g}, or NaN for"
        raise ConditionError(msg + " missing. Replace them.")
    return numbers


def _standardised(numbers: NDArray[np.float64], seen: ConditionRange, name: str) -> NDArray[np.float64]:
    """Put numbers in units of the training cells, where they are not so far away that nothing is known of them."""
    values: NDArray[np.float64] = (numbers - seen.mean) / seen.std
    far = np.abs(values) > _FURTHEST
    if far.any():
        msg = f"{name!r} = {numbers[far][0]:g} is more than a million standard deviations from the training cells;"
        raise ConditionError(msg + f" expected numbers around {seen.min:g} to {seen.max:g}. Ask for one within.")
    return values


def _codes(column: pd.Series[Any], labels: tuple[Label, ...], name: str) -> NDArray[np.int64]:
    """Find the position of each label, as written or as text; -1 is missing."""
    position = {str(label): at for at, label in enumerate(labels)} | {label: at for at, label in enumerate(labels)}
    which, distinct = pd.factorize(column)
    codes = np.full(len(distinct) + 1, -1, dtype=np.int64)  # the last entry is for code -1
    for at, given in enumerate(distinct):
        label = _plain(given)
        if is_blank(label) and label not in position:
            continue
        found = position.get(label, position.get(str(label)))
        if found is None:
            known = ", ".join(repr(one) for one in labels)
            msg = f"{label!r} is not a trained label of {name!r}; expected one of {known}."
            raise UnknownNameError(msg + did_you_mean(label, labels))
        codes[at] = found
    return codes[which]


def _plain(label: Label) -> Label:
    """Turn numpy scalars into Python scalars, for JSON and messages."""
    return label.item() if isinstance(label, np.generic) else label
