"""When guides act, and how strongly: checks that all of them share."""

from __future__ import annotations

import math
from typing import Final

from torch import Tensor

from scdiffuse._core.errors import SettingError

__all__ = ["ALWAYS", "inside", "require_interval", "require_strength"]

ALWAYS: Final = (0.0, 1.0)
"""The interval of all times."""


def inside(t: Tensor, interval: tuple[float, float]) -> Tensor:
    """Say which times lie in an interval, bounds included.

    Parameters
    ----------
    t
        Times, any shape ``(*)``.
    interval
        From low to high.

    Returns
    -------
    ``bool``, shape ``(*)``.
    """
    low, high = interval
    return (t >= low) & (t <= high)


def require_interval(interval: tuple[float, float]) -> None:
    """Refuse an interval that is none.

    Parameters
    ----------
    interval
        What was given.

    Raises
    ------
    SettingError
        It does not run from a lower to a higher time within 0 to 1.
    """
    numbers = interval if isinstance(interval, tuple | list) else (interval,)
    if (
        len(numbers) != 2
        or not all(isinstance(one, int | float) for one in numbers)
        or not (0.0 <= numbers[0] < numbers[1] <= 1.0)
    ):
        msg = f"The interval of guidance must run from a lower to a higher time within 0 to 1, got {interval}."
        raise SettingError(msg + " Give `(0, 1)` for all times; 1 is pure noise.")


def require_strength(strength: object, name: str) -> None:
    """Refuse a strength that is none.

    Parameters
    ----------
    strength
        What was given.
    name
        What it is the strength of.

    Raises
    ------
    SettingError
        It is not a number, negative, or infinite.
    """
    is_number = isinstance(strength, int | float) and not isinstance(strength, bool)
    if not is_number or not 0.0 <= strength < math.inf:  # type: ignore[operator]
        msg = f"The strength of {name} must be 0 or more, got {strength!r}; expected a finite number."
        raise SettingError(msg + " Strength 1 is the model as learnt.")
