"""Guidance intervals and scales: checks that all guides share."""

from __future__ import annotations

import math
from numbers import Real
from typing import Final

from torch import Tensor

from scdiffuse._core.errors import SettingError

__all__ = ["ALWAYS", "inside", "require_interval", "require_scale"]

ALWAYS: Final = (0.0, 1.0)
"""The interval of all times."""


def inside(t: Tensor, interval: tuple[float, float]) -> Tensor:
    """Tell which times lie in an interval, bounds included.

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
    """Check a guidance interval.

    Parameters
    ----------
    interval
        Lower and higher time.

    Raises
    ------
    SettingError
        It does not run from a lower to a higher time within 0 to 1.
    """
    numbers = interval if isinstance(interval, tuple | list) else (interval,)
    if (
        len(numbers) != 2
        or not all(isinstance(one, Real) for one in numbers)
        or not (0.0 <= numbers[0] < numbers[1] <= 1.0)
    ):
        msg = f"The guidance interval must run from a lower to a higher time within 0 to 1, got {interval}."
        raise SettingError(msg + " Give `(0, 1)` for all times; 1 is pure noise.")


def require_scale(scale: object, name: str) -> None:
    """Check a guidance scale.

    Parameters
    ----------
    scale
        The guidance scale.
    name
        What the scale belongs to, for the message.

    Raises
    ------
    SettingError
        `scale` is not a number, negative, or infinite.
    """
    is_number = isinstance(scale, Real) and not isinstance(scale, bool)
    if not is_number or not 0.0 <= scale < math.inf:  # type: ignore[operator]
        msg = f"The scale of {name} must be 0 or more, got {scale!r}; expected a finite number."
        raise SettingError(msg + " Scale 1 is the model as learnt.")
