"""Single values as Python has them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from scdiffuse._core.errors import SettingError

__all__ = ["plain_scalar", "scalar_text", "whole_number"]


def plain_scalar(value: Any) -> Any:  # noqa: ANN401 - any label or number
    """Turn a numpy scalar into a Python scalar, for JSON and messages; other values stay as they are."""
    return value.item() if isinstance(value, np.generic) else value


def scalar_text(value: Any) -> str:  # noqa: ANN401 - any label or number
    """Write a label or number as text; a whole number that gaps made decimal is whole."""
    value = plain_scalar(value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def whole_number(value: Any, name: str) -> int:  # noqa: ANN401 - what a user gives
    """Turn a whole number of any library into a Python one, which files keep.

    Parameters
    ----------
    value
        What the user gave.
    name
        The argument, for the message.

    Raises
    ------
    SettingError
        It is not a whole number, or has decimals.

    Examples
    --------
    >>> whole_number(np.int64(3), "seed")
    3
    """
    try:
        return operator.index(value)
    except TypeError as error:
        msg = f"`{name}` is {value!r}; expected a whole number. Pass one without decimals, such as 1."
        raise SettingError(msg) from error
