"""What a user asks of guidance, checked and turned into a denoiser that is guided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import (
    ConditionError,
    SettingError,
    UnknownNameError,
    did_you_mean,
)
from scdiffuse.cells import Conditions, ConditionTable, Label
from scdiffuse.diffusion import Denoiser
from scdiffuse.guidance import (
    ALWAYS,
    Avoided,
    ClassifierGuide,
    Composition,
    ConditionFree,
    require_interval,
    require_strength,
)
from scdiffuse.model import AttachedClassifier
from scdiffuse.sampling._checks import warn_column
from scdiffuse.sampling._targets import Targets

__all__ = ["GuideTarget", "Steering"]

GuideTarget = Label | Sequence[Label] | tuple[Label | Sequence[Label], float] | None
"""A label or number, or one a cell; in a tuple with a strength, which is 1 otherwise."""

_SEQUENCES = (list, np.ndarray, pd.Series, pd.Index, pd.Categorical)


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

    @property
    def _strengths(self) -> list[float]:
        return list(self.guidance.values()) if isinstance(self.guidance, Mapping) else [self.guidance]

    @property
    def least(self) -> float:
        """The weakest strength of a condition, 1 at most: 0 is as if that condition had not been asked for."""
        return min([1.0, *self._strengths])

    def guided_conditions(self, conditions: Conditions) -> NDArray[np.bool_]:
        """Say which conditions steer: those of a strength other than 0, shape ``(C,)``.

        Parameters
        ----------
        conditions
            Those of the model.
        """
        strength: NDArray[np.bool_] = np.asarray(self._strength(conditions)) != 0
        return np.broadcast_to(strength, len(conditions.names))

    @property
    def is_guided(self) -> bool:
        """Whether anything is asked for beyond the model as learnt."""
        plain = all(strength == 1 for strength in self._strengths) and self.composition == "joint"
        return bool(self.guide or self.avoid) or not plain

    def avoided(self, conditions: Conditions, classifiers: Mapping[str, AttachedClassifier]) -> tuple[Avoided, ...]:
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

    def free(
        self,
        plain: Denoiser,
        conditions: Conditions,
        classifiers: Mapping[str, AttachedClassifier],
        *,
        avoids: bool = True,
    ) -> Denoiser:
        """Wrap a denoiser in what needs no classifier.

        Parameters
        ----------
        plain
            The denoiser of the model.
        conditions, classifiers
            As in `avoided`.
        avoids
            Whether to stay away from what conditions shall not be.

        Raises
        ------
        UnknownNameError
            A name or label is unknown.
        SettingError
            A strength is out of range.
        """
        strength = self._strength(conditions)
        avoided = self.avoided(conditions, classifiers) if avoids else ()
        avoid = tuple(one for one in avoided if conditions.names[one.condition] not in classifiers)
        if not conditions.names:
            return plain
        return ConditionFree(plain, strength, self._interval, self.composition, avoid)

    def classified(
        self,
        denoiser: Denoiser,
        classifiers: Mapping[str, AttachedClassifier],
        *,
        interval: tuple[float, float] | None = None,
    ) -> Denoiser:
        """Wrap a denoiser in the classifiers asked for, if any.

        Parameters
        ----------
        denoiser
            Such as `free` returns.
        classifiers
            As in `avoided`.
        interval
            Times in which they guide, if not those asked for.

        Raises
        ------
        UnknownNameError
            A classifier is unknown.
        """
        asked = self._asked(classifiers)
        if not asked:
            return denoiser
        networks = tuple(classifiers[name].network for name, _, _ in asked)
        return ClassifierGuide(denoiser, networks, tuple(away for _, _, away in asked), interval or self._interval)

    def denoiser(
        self, plain: Denoiser, conditions: Conditions, classifiers: Mapping[str, AttachedClassifier]
    ) -> Denoiser:
        """Wrap a denoiser in all guides asked for; see `free` and `classified`."""
        return self.classified(self.free(plain, conditions, classifiers), classifiers)

    def targets(self, classifiers: Mapping[str, AttachedClassifier], *, n: int) -> Targets | None:
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
            warn_column(one.conditions, ConditionTable(np.empty((len(column), 0), np.int64), column[:, None]), word)
            columns.append(column)
            strengths.append(strength)
        return Targets(tuple(columns), tuple(strengths)) if columns else None

    def own_targets(self, classifiers: Mapping[str, AttachedClassifier], obs: pd.DataFrame) -> Targets | None:
        """Say where the classifiers asked for would guide given cells to make them what they are.

        Parameters
        ----------
        classifiers
            Those of the model.
        obs
            Columns of the cells: of the name of a classifier, or of the column that it was learnt from.

        Returns
        -------
        What the cells are, at strength 1; nowhere where `obs` does not say it, and for what is avoided. `None` where no
        classifier is asked for.
        """
        columns, strengths = [], []
        for name, wish, away in self._asked(classifiers):
            found = [key for key in (name, classifiers[name].facts["obs_key"]) if key in obs]
            nowhere = np.full(1, np.nan, dtype=np.float32)
            columns.append(classifiers[name].encode_known(obs[found[0]]) if found and not away else nowhere)
            strengths.append(float(_parted(name, wish, "guide")[1] > 0.0))
        return Targets(tuple(columns), tuple(strengths)) if columns else None

    def require_steps(self, times: Sequence[float]) -> None:
        """Refuse an interval in which nothing would be guided.

        Parameters
        ----------
        times
            Times at which the solver asks for an estimate.

        Raises
        ------
        SettingError
            None of them lies in the interval.
        """
        low, high = self._interval
        if self.is_guided and times and not any(low <= t <= high for t in times):
            msg = f"No step of the solver lies in the `interval` {self.interval}, so that nothing would be guided;"
            msg += f" expected one of the {len(times)} times {max(times):.3g} to {min(times):.3g} within."
            raise SettingError(msg + " Widen the interval, or ask for more `steps`.")

    def to_json(self, classifiers: Mapping[str, AttachedClassifier]) -> dict[str, Any]:
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

    @property
    def _interval(self) -> tuple[float, float]:
        return float(self.interval[0]), float(self.interval[1])

    def _strength(self, conditions: Conditions) -> float | tuple[float, ...]:
        if not isinstance(self.guidance, Mapping):
            require_strength(self.guidance, "guidance")
            return self.guidance
        for name, strength in self.guidance.items():
            conditions.require(name)
            require_strength(strength, f"guidance towards {name!r}")
        return tuple(float(self.guidance.get(name, 1.0)) for name in conditions.names)

    def _asked(self, classifiers: Mapping[str, AttachedClassifier]) -> list[tuple[str, Any, bool]]:
        """List name, wish and whether to keep away."""
        for name in self.guide or {}:
            if name not in classifiers:
                msg = f"{name!r} is not a classifier of this model; expected one of {list(classifiers)}."
                raise UnknownNameError(msg + (did_you_mean(name, classifiers) or " Add it with `add_classifier`."))
        away = [(name, wish, True) for name, wish in (self.avoid or {}).items() if name in classifiers]
        return [(name, wish, False) for name, wish in (self.guide or {}).items()] + away


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
    networks = {name: _parted(name, wish, word) for name, wish in wishes.items()}
    return {
        name: [f"{len(value)} values" if isinstance(value, _SEQUENCES) else value, strength]
        for name, (value, strength) in networks.items()
    }
