"""Guidance as a user writes it down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from scdiffuse._core.errors import ConditionError, SettingError
from scdiffuse._core.scalars import plain_scalar
from scdiffuse.cells import Label
from scdiffuse.guidance import ALWAYS, Composition, require_interval, require_scale

__all__ = ["Guidance", "GuideTarget", "Scale", "is_per_cell", "single_value", "split_target"]

Scale = float | Mapping[str, float]
"""One guidance scale for all conditions, or one for each condition by its name; those not named have 1."""
GuideTarget = Label | Sequence[Label] | tuple[Label | Sequence[Label], float] | None
"""A label or number, or one a cell; in a tuple with a scale, which is 1 otherwise."""

_SEQUENCES = (list, np.ndarray, pd.Series, pd.Index, pd.Categorical)


@dataclass(frozen=True)
class Guidance:
    """How strongly conditions and classifiers guide cells, towards what, away from what, and when.

    Every method that takes ``guidance=1.5`` takes such an object as well.

    Parameters
    ----------
    scale
        Guidance scale of the conditions: 0 ignores them, 1 is the model as learnt, and above 1 cells become more
        typical of their conditions and less varied. One number for all conditions, or one each by name.
    toward
        Names of classifiers, each with the label or number that it guides to: one for all cells or a list with one a
        cell, and in a tuple with a scale: ``{"organ": ("Spleen", 2.0), "cell_type": "B cell"}``.
    away
        Negative guidance: names of classifiers or conditions, each with the label to keep away from, in a tuple with a
        scale if that is not 1.
    interval
        Times, from low to high within 0 (data) to 1 (noise), in which guidance acts.
    composition
        ``"joint"`` as learnt, or ``"additive"``, which adds up what each condition does alone and is worse on
        combinations never seen; it is there for comparison.
    guides
        Further guides of the registry ``scdiffuse.guidance.GUIDES`` by name, with the settings of each; they wrap the
        guided denoiser, the first one innermost.

    Raises
    ------
    SettingError
        `interval` does not run from a lower to a higher time, `composition` is no such word, or `toward` or `away` is
        not a mapping.

    References
    ----------
    Ho and Salimans 2022, https://arxiv.org/abs/2207.12598 (the scale); Dhariwal and Nichol 2021,
    https://arxiv.org/abs/2105.05233 (classifiers); Kynkaanniemi et al. 2024, https://arxiv.org/abs/2404.07724 (the
    interval).

    Examples
    --------
    >>> Guidance(1.5, away={"cell_type": "Megakaryocyte"}).scale
    1.5
    """

    scale: Scale = 1.0
    toward: Mapping[str, Any] | None = None
    away: Mapping[str, Any] | None = None
    interval: tuple[float, float] = ALWAYS
    composition: Composition = "joint"
    guides: Mapping[str, Mapping[str, Any]] | None = None

    def __post_init__(self) -> None:
        require_interval(self.interval)
        if self.composition not in {"joint", "additive"}:
            msg = f"`composition` must be 'joint' or 'additive', got {self.composition!r}."
            raise SettingError(msg + " 'joint' is the model as learnt.")
        written = {"toward": "a label or number", "away": "a label or number", "guides": "settings"}
        for name, expected in written.items():
            if not isinstance(getattr(self, name), Mapping | None):
                msg = f"`{name}` is {getattr(self, name)!r}; expected names with {expected} each."
                raise SettingError(msg + f" Write it as `{name}={{'cell_type': 'B cell'}}`." * (name != "guides"))
        if isinstance(self.scale, Mapping):
            for name, one in self.scale.items():
                require_scale(one, f"`guidance` of {name!r}")
        else:
            require_scale(self.scale, "`guidance`")
        object.__setattr__(self, "scale", _python_numbers(self.scale))

    @classmethod
    def of(cls, asked: Scale | Guidance) -> Guidance:
        """Take a scale for the guidance that has this scale and nothing else.

        Parameters
        ----------
        asked
            A scale, scales by condition, or guidance, which is returned as it is.

        Raises
        ------
        SettingError
            It is none of these.
        """
        if isinstance(asked, Guidance):
            return asked
        given: object = asked
        if isinstance(given, bool) or not isinstance(given, Mapping | Real):
            msg = f"`guidance` is {asked!r}; expected a number, numbers by condition, or a `Guidance`."
            raise SettingError(msg + " 1 is the model as learnt.")
        return cls(asked)

    @property
    def scales(self) -> list[float]:
        """The scales that are given."""
        return list(self.scale.values()) if isinstance(self.scale, Mapping) else [self.scale]

    @property
    def is_plain(self) -> bool:
        """Whether this is the model as learnt."""
        return (
            all(scale == 1 for scale in self.scales)
            and self.composition == "joint"
            and not (self.targets or self.guides)
        )

    @property
    def targets(self) -> list[tuple[str, Any, bool]]:
        """Name and target of each entry of `toward` and `away`, and whether it leads away."""
        toward = [(name, target, False) for name, target in (self.toward or {}).items()]
        return toward + [(name, target, True) for name, target in (self.away or {}).items()]

    def to_uns(self) -> dict[str, Any]:
        """Describe the guidance in plain dictionaries, without one target for each cell."""
        described = {
            argument: {name: _describe(name, target, argument) for name, target in (targets or {}).items()}
            for argument, targets in (("toward", self.toward), ("away", self.away))
        }
        scale = dict(self.scale) if isinstance(self.scale, Mapping) else self.scale
        return {"scale": scale, **described, "interval": list(self.interval), "composition": self.composition} | (
            {"guides": {name: dict(one) for name, one in self.guides.items()}} if self.guides else {}
        )


def split_target(name: str, target: object, argument: str) -> tuple[Any, float]:
    """Divide what is asked for into target and scale.

    Parameters
    ----------
    name
        Classifier or condition.
    target
        A target, or a tuple of a target and its scale.
    argument
        ``"toward"`` or ``"away"``, for messages.

    Raises
    ------
    SettingError
        A tuple of another length, or a scale that is negative or infinite.
    """
    if not isinstance(target, tuple):
        return target, 1.0
    if len(target) != 2:
        msg = f"`{argument}` gives {name!r} a tuple of {len(target)}; expected a label or number, or one with its"
        raise SettingError(msg + f" scale. Write `{argument}={{{name!r}: (label, 2.0)}}`; several labels are a list.")
    value, scale = target
    require_scale(scale, f"`{argument}` {name!r}")
    return value, float(scale)


def is_per_cell(value: object) -> bool:
    """Tell whether a target is a list with one value for each cell."""
    return isinstance(value, _SEQUENCES)


def single_value(name: str, value: object, argument: str) -> object:
    """Refuse several values where one is expected.

    Parameters
    ----------
    name
        Classifier or condition.
    value
        Its target.
    argument
        ``"toward"`` or ``"away"``, for messages.

    Raises
    ------
    ConditionError
        There are several.
    """
    if isinstance(value, (*_SEQUENCES, set, dict)):
        msg = f"`{argument}` gives {name!r} several values; expected one label or number."
        advice = (
            " Keep away from the one that matters most." if argument == "away" else " A list has one for each cell."
        )
        raise ConditionError(msg + advice)
    return value


def _python_numbers(scale: Scale) -> Scale:
    """Turn numbers of numpy into those of Python, which say the same in the names of cells and in files."""
    if isinstance(scale, Mapping):
        return {name: plain_scalar(one) for name, one in scale.items()}
    plain: float = plain_scalar(scale)
    return plain


def _describe(name: str, target: object, argument: str) -> dict[str, Any]:
    value, scale = split_target(name, target, argument)
    return {"target": f"{len(value)} values" if is_per_cell(value) else value, "scale": scale}
