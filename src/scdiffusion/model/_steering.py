"""What a user asks of guidance, checked and turned into a denoiser that is guided."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from scdiffusion._core.errors import (
    ConditionError,
    ExtrapolationWarning,
    SettingError,
    UnknownNameError,
    did_you_mean,
)
from scdiffusion.cells import ConditionPlan, Conditions, ConditionTable, Label
from scdiffusion.diffusion import Denoiser
from scdiffusion.guidance import (
    ALWAYS,
    Avoided,
    ClassifierGuide,
    Composition,
    ConditionFree,
    require_interval,
    require_strength,
    with_targets,
)
from scdiffusion.model._attached import Attached
from scdiffusion.nn import ConditionTensors

__all__ = ["Steering", "Targets", "Wish", "warn_beyond"]

Wish = Label | Sequence[Label] | tuple[Label | Sequence[Label], float] | None
"""A label or number, or one a cell; in a tuple with a strength, which is 1 otherwise."""

_SEQUENCES = (list, np.ndarray, pd.Series, pd.Index, pd.Categorical)


class Targets(NamedTuple):
    """Where classifiers guide the cells."""

    columns: tuple[NDArray[np.float32], ...]
    """Targets of each guide: one for all cells, or one a cell."""
    strengths: tuple[float, ...]
    """Strength of each guide."""

    def beside(self, conditions: ConditionTensors, cells: NDArray[np.int64]) -> ConditionTensors:
        """Put the targets of some cells where the guide looks for them.

        Parameters
        ----------
        conditions
            Conditions of the cells.
        cells
            Their indices, shape ``(B,)``.
        """
        rows = [column[cells] if len(column) > 1 else np.repeat(column, len(cells)) for column in self.columns]
        target = torch.from_numpy(np.stack(rows, axis=1))
        return with_targets(conditions, target, torch.tensor(self.strengths).expand_as(target))


@dataclass(frozen=True, kw_only=True)
class Steering:
    """The arguments of `CellGenerator.generate` that steer cells."""

    guidance: float | Mapping[str, float] = 1.0
    guide: Mapping[str, Any] | None = None
    avoid: Mapping[str, Any] | None = None
    interval: tuple[float, float] = ALWAYS
    composition: Composition = "joint"

    def __post_init__(self) -> None:
        require_interval(self.interval)
        for name in ("guide", "avoid"):
            if not isinstance(getattr(self, name), Mapping | None):
                msg = f"`{name}` is {getattr(self, name)!r}; expected names with a label or number each."
                raise SettingError(msg + f" Write it as `{name}={{'cell_type': 'B cell'}}`.")

    def avoided(self, conditions: Conditions, classifiers: Mapping[str, Attached]) -> tuple[Avoided, ...]:
        """Return what conditions shall not be; a label that only a classifier knows is left to it.

        Parameters
        ----------
        conditions
            Those of the model.
        classifiers
            Its classifiers.

        Raises
        ------
        UnknownNameError
            A name is neither condition nor classifier, or a label is unknown.
        SettingError
            A strength is out of range.
        """
        found = []
        for name, wish in (self.avoid or {}).items():
            value, strength = _parted(name, wish, "avoid")
            if name in classifiers and _single(name, value) not in conditions.categorical.get(name, ()):
                continue
            known = [*conditions.names, *classifiers]
            if name not in known:
                msg = f"`avoid` names {name!r}, which is no condition or classifier; expected one of {known}."
                raise UnknownNameError(msg + did_you_mean(name, known))
            table = conditions.encode(
                pd.DataFrame({name: pd.Series([_single(name, value)], dtype=object)}), partial=True
            )
            numbers = np.concatenate([table.codes[0], table.values[0]])
            at = conditions.names.index(name)
            found.append(Avoided(at, float(numbers[at]), strength))
        return tuple(found)

    def denoiser(self, plain: Denoiser, conditions: Conditions, classifiers: Mapping[str, Attached]) -> Denoiser:
        """Wrap a denoiser in the guides asked for.

        Parameters
        ----------
        plain
            The denoiser of the model.
        conditions, classifiers
            As in `avoided`.

        Raises
        ------
        UnknownNameError
            A name or label is unknown.
        SettingError
            A strength is out of range.
        """
        interval = (float(self.interval[0]), float(self.interval[1]))
        strength = self._strength(conditions)
        avoided = self.avoided(conditions, classifiers)
        avoid = tuple(one for one in avoided if conditions.names[one.condition] not in classifiers)
        guided: Denoiser = ConditionFree(plain, strength, interval, self.composition, avoid)
        if not conditions.names:
            guided = plain
        asked = self._asked(classifiers)
        if not asked:
            return guided
        networks = tuple(classifiers[name].network for name, _, _ in asked)
        return ClassifierGuide(guided, networks, tuple(away for _, _, away in asked), interval)

    def targets(self, classifiers: Mapping[str, Attached], *, n: int) -> Targets | None:
        """Say where classifiers guide each cell.

        Parameters
        ----------
        classifiers
            Those of the model.
        n
            Number of cells.

        Returns
        -------
        Targets; `None` where no classifier is asked for.

        Raises
        ------
        UnknownNameError
            A classifier does not know its label.
        SettingError
            There is not one label, or one a cell, or a strength is out of range.
        """
        columns, strengths = [], []
        for name, wish, away in self._asked(classifiers):
            word = "avoid" if away else "guide"
            value, strength = _parted(name, wish, word)
            listed = list(value) if isinstance(value, _SEQUENCES) and not away else [_single(name, value)]
            if isinstance(value, _SEQUENCES) and len(listed) != n:
                msg = f"`guide` gives {name!r} {len(listed)} values for {n} cells; give one value, or one a cell."
                raise SettingError(msg)
            one = classifiers[name]
            if away and not one.is_categorical:
                msg = f"`avoid` names {name!r}, which tells numbers; expected a classifier of labels or a condition."
                raise SettingError(msg + f" Use `guide={{{name!r}: ...}}` with another number.")
            column = one.encode(listed)
            _warn_column(one.conditions, ConditionTable(np.empty((len(column), 0), np.int64), column[:, None]), word)
            columns.append(column)
            strengths.append(strength)
        return Targets(tuple(columns), tuple(strengths)) if columns else None

    def to_json(self, classifiers: Mapping[str, Attached]) -> dict[str, Any]:
        """Tell what was asked for, for `uns`.

        Parameters
        ----------
        classifiers
            Those of the model.
        """
        weights = dict(self.guidance) if isinstance(self.guidance, Mapping) else self.guidance
        told = {"guidance": weights, "guide": _short(self.guide, "guide"), "avoid": _short(self.avoid, "avoid")}
        used = {name: classifiers[name].fingerprint() for name, _, _ in self._asked(classifiers)}
        return {**told, "interval": list(self.interval), "composition": self.composition, "classifiers": used}

    def _strength(self, conditions: Conditions) -> float | tuple[float, ...]:
        if not isinstance(self.guidance, Mapping):
            require_strength(self.guidance, "guidance")
            return self.guidance
        for name, strength in self.guidance.items():
            conditions.require(name)
            require_strength(strength, f"guidance towards {name!r}")
        return tuple(float(self.guidance.get(name, 1.0)) for name in conditions.names)

    def _asked(self, classifiers: Mapping[str, Attached]) -> list[tuple[str, Any, bool]]:
        """List name, wish and whether to keep away."""
        for name in self.guide or {}:
            if name not in classifiers:
                msg = f"{name!r} is not a classifier of this model; expected one of {list(classifiers)}."
                raise UnknownNameError(msg + (did_you_mean(name, classifiers) or " Add it with `add_classifier`."))
        away = [(name, wish, True) for name, wish in (self.avoid or {}).items() if name in classifiers]
        return [(name, wish, False) for name, wish in (self.guide or {}).items()] + away


def without_avoided(training: ConditionTable, avoided: Iterable[Avoided], conditions: Conditions) -> ConditionTable:
    """Leave out the training cells that have a label to avoid, so that none is drawn for an open condition.

    Parameters
    ----------
    training
        Conditions of the training cells.
    avoided
        What to avoid.
    conditions
        Those of the model.

    Raises
    ------
    SettingError
        All training cells have it.
    """
    keep = np.ones(len(training), dtype=bool)
    for at, value, strength in avoided:
        if at < training.codes.shape[1] and strength > 0.0:
            keep &= training.codes[:, at] != int(value)
            if not keep.any():
                name = conditions.names[at]
                msg = f"All training cells have what `avoid` names for {name!r}; expected a label that others lack."
                raise SettingError(msg + " Leave it out of `avoid`.")
    return training.take(keep)


def require_no_contradiction(plan: ConditionPlan, avoided: Iterable[Avoided], conditions: Conditions) -> None:
    """Refuse to ask for a label and to avoid it.

    Parameters
    ----------
    plan
        What was asked for.
    avoided
        What to avoid.
    conditions
        Those of the model.

    Raises
    ------
    SettingError
        Both name the same label.
    """
    for at, value, _ in avoided:
        both = np.concatenate([plan.requests.codes, plan.requests.values], axis=1)[:, at] == value
        if both.any():
            name = conditions.names[at]
            labels = conditions.categorical.get(name, ())
            shown = labels[int(value)] if labels else "the same number"
            msg = f"`where` asks for {shown!r} of {name!r} and `avoid` names it too; expected one of both."
            raise SettingError(msg + " Take it out of one.")


def warn_beyond(conditions: Conditions, asked: ConditionTable) -> None:
    """Warn of numbers outside of the range of the training cells.

    Parameters
    ----------
    conditions
        Those of the model.
    asked
        One row a request.

    Warns
    -----
    ExtrapolationWarning
        With the name, the number and the range.
    """
    _warn_column(conditions, asked, "where")


def _warn_column(conditions: Conditions, asked: ConditionTable, word: str) -> None:
    for at, (name, seen) in enumerate(conditions.continuous.items()):
        numbers = asked.values[:, at].astype(np.float64) * seen.std + seen.mean
        slack = 1e-5 * max(seen.std, abs(seen.max), abs(seen.min))
        beyond = (numbers < seen.min - slack) | (numbers > seen.max + slack)
        if beyond.any():
            furthest = numbers[beyond][np.argmax(np.abs(numbers[beyond] - seen.mean))]
            msg = (
                f"`{word}` asks for {name!r} = {furthest:.6g} ({asked.counts[beyond].sum():,} cells or rows); expected "
                f"a number from {seen.min:g} to {seen.max:g}, where it was measured. Take what is generated beyond for "
                "a guess, or ask for a number within."
            )
            warnings.warn(msg, ExtrapolationWarning, stacklevel=5)


def _parted(name: str, wish: object, word: str) -> tuple[Any, float]:
    """Divide what was asked for into target and strength."""
    if not isinstance(wish, tuple):
        return wish, 1.0
    if len(wish) != 2:
        msg = f"`{word}` gives {name!r} a tuple of {len(wish)}; expected a label or number, or one with its strength."
        raise SettingError(msg + f" Write `{word}={{{name!r}: (label, 2.0)}}`; several labels are a list.")
    value, strength = wish
    require_strength(strength, f"{word} {name!r}")
    return value, float(strength)


def _single(name: str, value: object) -> object:
    if isinstance(value, (*_SEQUENCES, set, dict)):
        msg = f"`avoid` gives {name!r} several values; expected one label or number."
        raise ConditionError(msg + " Avoid the one that matters most.")
    return value


def _short(wishes: Mapping[str, Any] | None, word: str) -> dict[str, Any] | None:
    """Tell targets and strengths without writing out one for each cell."""
    if not wishes:
        return None
    parts = {name: _parted(name, wish, word) for name, wish in wishes.items()}
    return {
        name: [f"{len(value)} values" if isinstance(value, _SEQUENCES) else value, strength]
        for name, (value, strength) in parts.items()
    }
