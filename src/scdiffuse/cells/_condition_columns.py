"""Columns of `obs` that are conditions: their vocabulary, their range, and what they hold as numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from scdiffuse._core.errors import ConditionError, UnknownNameError, did_you_mean
from scdiffuse._core.scalars import plain_scalar
from scdiffuse.cells._labels import is_blank, require_scalars

__all__ = [
    "ConditionRange",
    "Label",
    "label_codes",
    "label_vocabulary",
    "like_known",
    "new_labels",
    "number_range",
    "read_numbers",
    "require_writable",
    "standardised",
    "unseen_labels",
]

_MOST_SHOWN = 50  # labels in a message
_LARGEST = 1e30  # of a continuous condition: its square still is a number
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")  # a whole number, as Python writes it
_REAL = (int, float, np.integer, np.floating, np.bool_)
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


def label_vocabulary(column: pd.Series[Any], name: str) -> tuple[Label, ...]:
    """Collect the labels that cells have; empty text is none."""
    require_scalars(column, name)
    counts = column.value_counts()
    counts = counts[counts > 0]
    counts = counts.drop([label for label in counts.index if is_blank(label)])
    if counts.empty:
        msg = f"The column {name!r} is missing for all {len(column)} cells; expected labels. Leave it out or fill it."
        raise ConditionError(msg)
    rare = [plain_scalar(label) for label in counts.index[counts == 1]]
    if rare:
        msg = (
            f"{len(rare)} of the {len(counts)} labels in {name!r} have one cell only, such as {rare[0]!r}; expected at "
            "least two cells a label. Merge rare labels, or set them to missing."
        )
        raise ConditionError(msg + (" Numbers can be `continuous`." if not isinstance(rare[0], str) else ""))
    labels = [plain_scalar(label) for label in counts.index]
    if len({type(label) for label in labels}) > 1 or not isinstance(labels[0], str | int | float | bool):
        kinds = sorted({type(label).__name__ for label in labels})
        msg = (
            f"The labels in {name!r} are of type {' and '.join(kinds)}; expected text, numbers or booleans of one type."
        )
        msg += f" Run `adata.obs[{name!r}] = adata.obs[{name!r}].map(str, na_action='ignore')`."
        raise ConditionError(msg)
    require_writable(labels, name)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return tuple(plain_scalar(label) for label in column.cat.categories if label in counts.index)
    return tuple(sorted(labels))


def require_writable(labels: Sequence[Label], name: str) -> None:
    """Refuse labels that no file can hold: with a NUL character, or with half of one that takes two."""
    for label in labels:
        text = str(label)
        if "\0" in text or text.encode(errors="replace").decode() != text:
            msg = f"The label {label!r} in {name!r} cannot be written: no `.h5ad` file can hold it; expected text"
            raise ConditionError(msg + " without such characters. Rename the label.")


def new_labels(column: pd.Series[Any], name: str, *, known: tuple[Label, ...]) -> tuple[Label, ...]:
    """Collect the labels that cells have beyond those known, written as these are."""
    held = column.astype(object)
    written = {label: like_known(label, known) for label in held.dropna().unique()}
    texts = {str(label) for label in known}
    new = {label for label, own in written.items() if not is_blank(label) and str(own) not in texts}
    is_new = held.isin(new)
    return unseen_labels(label_vocabulary(held[is_new], name), known) if is_new.any() else ()


def unseen_labels(described: Sequence[Label], trained: tuple[Label, ...]) -> tuple[Label, ...]:
    """List the labels with features that no cell has, written as the trained ones are."""
    known = {str(label) for label in trained}
    new = [label for label in (like_known(one, trained) for one in described) if str(label) not in known]
    return tuple(new if all(type(label) is type(trained[0]) for label in new) else map(str, new))


def like_known(label: Label, known: tuple[Label, ...]) -> Label:
    """Write a whole number as known ones are written: 7.0 and "7" as 7 beside 1, as 7.0 beside 1.0, 7.0 as "7"."""
    label, kind = plain_scalar(label), type(known[0])
    if isinstance(label, int | float) and not isinstance(label, bool) and float(label).is_integer():
        is_text_of_whole = kind is str and _WHOLE.fullmatch(str(known[0]))
        return str(int(label)) if is_text_of_whole else kind(label) if kind in (int, float) else label
    is_whole = isinstance(label, str) and _WHOLE.fullmatch(label)
    return kind(label) if kind in (int, float) and is_whole else label


def number_range(column: pd.Series[Any], name: str) -> ConditionRange:
    numbers = read_numbers(column, name)
    numbers = numbers[~np.isnan(numbers)]
    if not numbers.size:
        msg = f"The column {name!r} is missing for all {len(column)} cells; expected numbers. Leave it out or fill it."
        raise ConditionError(msg)
    low, high = float(numbers.min()), float(numbers.max())
    spread = float(numbers.std()) if high > low else 0.0  # rounding gives equal numbers a little
    return ConditionRange(low, high, float(numbers.mean()), spread if spread > 0 else 1.0)


def read_numbers(column: pd.Series[Any] | ArrayLike, name: str) -> NDArray[np.float64]:
    """Read numbers; NaN is missing."""
    series = pd.Series(column)
    require_scalars(series, name)
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    if series.dtype == object:
        read = pd.to_numeric(series, errors="coerce")  # numbers that were read as text
        series = read if read.isna().equals(series.isna()) else series
    text = [value for value in series.dropna().unique() if not isinstance(value, _REAL)]
    if text:
        msg = f"The continuous condition {name!r} holds {text[0]!r}; expected numbers."
        if isinstance(text[0], datetime | timedelta):
            since = "" if isinstance(text[0], timedelta) else f" - adata.obs[{name!r}].min()"
            raise ConditionError(msg + f" Count days: `(adata.obs[{name!r}]{since}) / pd.Timedelta(days=1)`.")
        msg += " Convert the column with `pd.to_numeric`, or name it among the categorical conditions."
        raise ConditionError(msg)
    numbers: NDArray[np.float64] = np.asarray(series.astype("Float64").to_numpy(na_value=np.nan), dtype=np.float64)
    if (np.abs(numbers) > _LARGEST).any():
        largest = numbers[np.nanargmax(np.abs(numbers))]
        msg = f"The continuous condition {name!r} holds {largest:g}; expected numbers up to {_LARGEST:g}, or NaN for"
        raise ConditionError(msg + " missing. Replace them.")
    return numbers


def standardised(numbers: NDArray[np.float64], seen: ConditionRange, name: str) -> NDArray[np.float64]:
    """Put numbers in units of the training cells, where they are not so far away that nothing is known of them."""
    values: NDArray[np.float64] = (numbers - seen.mean) / seen.std
    far = np.abs(values) > _FURTHEST
    if far.any():
        msg = f"{name!r} = {numbers[far][0]:g} is more than a million standard deviations from the training cells;"
        raise ConditionError(msg + f" expected numbers around {seen.min:g} to {seen.max:g}. Ask for one within.")
    return values


def label_codes(column: pd.Series[Any], labels: tuple[Label, ...], name: str) -> NDArray[np.int64]:
    """Find the position of each label, as written or as text; -1 is missing."""
    position = {str(label): at for at, label in enumerate(labels)} | {label: at for at, label in enumerate(labels)}
    which, distinct = pd.factorize(column)
    codes = np.full(len(distinct) + 1, -1, dtype=np.int64)  # the last entry is for code -1
    for at, given in enumerate(distinct):
        label = plain_scalar(given)
        if is_blank(label) and label not in position:
            continue
        found = position.get(label, position.get(str(label), position.get(like_known(label, labels))))
        if found is None:
            known = ", ".join(repr(one) for one in labels[:_MOST_SHOWN])
            more = f" and {len(labels) - _MOST_SHOWN} more" if len(labels) > _MOST_SHOWN else ""
            msg = f"{label!r} is not a trained label of {name!r}; expected one of {known}{more}. Leave it missing"
            msg += " if the model has not seen it, as a new donor, or map its cells first with `map_query`."
            raise UnknownNameError(msg + did_you_mean(label, labels))
        codes[at] = found
    return codes[which]
