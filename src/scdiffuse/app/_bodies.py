"""Values of a JSON body, checked one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from scdiffuse.app._errors import RefusedError

__all__ = ["Body", "flag", "mapping", "number", "numbers", "optional_text", "text", "texts", "whole"]

Body: TypeAlias = Mapping[str, Any]
_LONGEST = 4_096


def text(body: Body, name: str) -> str:
    """Read text.

    Parameters
    ----------
    body
        What was sent.
    name
        Which value.

    Raises
    ------
    RefusedError
        It is missing, or something else.
    """
    value = body.get(name)
    if not isinstance(value, str) or not value or len(value) > _LONGEST:
        raise _wrong(name, value, "text")
    return value


def optional_text(body: Body, name: str) -> str | None:
    """Read text that may be missing."""
    return None if body.get(name) is None else text(body, name)


def texts(body: Body, name: str, *, most: int = 1_000) -> list[str]:
    """Read a list of text, empty if missing."""
    value = body.get(name) or []
    if not isinstance(value, list) or len(value) > most or not all(isinstance(one, str) for one in value):
        raise _wrong(name, value, f"a list of at most {most} texts")
    return value


def whole(body: Body, name: str, *, default: int | None = None, low: int = 0, high: int = 2**31 - 1) -> int:
    """Read a whole number within bounds."""
    value = body.get(name, default)
    if value is None:
        value = default
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not is_whole or not low <= value <= high:
        raise _wrong(name, value, f"a whole number from {low:,} to {high:,}")
    return int(value)


def number(body: Body, name: str, *, default: float, low: float, high: float) -> float:
    """Read a number within bounds."""
    value = body.get(name)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise _wrong(name, value, f"a number from {low:g} to {high:g}")
    return float(value)


def numbers(body: Body, name: str, *, below: int) -> list[int]:
    """Read a list of different whole numbers from 0 to a bound, in their order."""
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(one, int) and 0 <= one < below for one in value):
        raise _wrong(name, "a list" if isinstance(value, list) else value, f"whole numbers from 0 to {below - 1:,}")
    return list(dict.fromkeys(value))


def flag(body: Body, name: str) -> bool:
    """Read true or false, which is what a missing value means."""
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise _wrong(name, value, "true or false")
    return value


def mapping(body: Body, name: str) -> dict[str, Any]:
    """Read an object, empty if missing, whose values are text, numbers, lists or nothing."""
    value = body.get(name) or {}
    if not isinstance(value, dict) or not all(_is_finite(one) for one in value.values()):
        raise _wrong(name, value, "names with a value each")
    return value


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _wrong(name: str, value: object, expected: str) -> RefusedError:
    shown = repr(value)
    return RefusedError(422, f"`{name}` is {shown[:80]}{'...' if len(shown) > 80 else ''}; expected {expected}.")
