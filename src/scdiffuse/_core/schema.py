"""Compare settings, or a tree of JSON that may have been altered in any way, with the types that they should have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from scdiffuse._core.errors import SettingError

__all__ = ["find_mismatch", "require_types"]

_LONGEST = 60


def require_types(settings: Any) -> None:  # noqa: ANN401 - an instance of any dataclass
    """Make sure that settings have the types that they are declared with; a saved model with others does not load.

    Parameters
    ----------
    settings
        A dataclass of plain values and of others like it. What is chosen by name has answers of its own.

    Raises
    ------
    SettingError
        One of them has another type.
    """
    hints = get_type_hints(type(settings))
    chosen_by_name = {name for name, hint in hints.items() if get_origin(hint) is Literal}
    values = {name: value for name, value in asdict(settings).items() if name not in chosen_by_name}
    wrong = find_mismatch(values, type(settings))
    if wrong:
        msg = f"The setting {wrong}. Pass one of that type."
        raise SettingError(msg)


def find_mismatch(value: object, hint: Any, path: str = "") -> str | None:  # noqa: ANN401, PLR0911 - any type; a line for each kind of them
    """Find the first place where a tree of JSON is not of a type.

    Parameters
    ----------
    value
        What JSON gave.
    hint
        A type: a dataclass whose fields may be left out, a `TypedDict`, or what these are made of.
    path
        Where the value is, for the answer.

    Returns
    -------
    The place, what is there and what is expected; `None` if all is right.

    Examples
    --------
    >>> find_mismatch({"a": [1, "2"]}, dict[str, list[int]])
    "`a.1` is '2'; expected int"
    """
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return None
    if origin is NotRequired:
        return find_mismatch(value, args[0], path)
    if origin in {Union, UnionType}:
        wrong = [find_mismatch(value, one, path) for one in args]
        return None if None in wrong else (wrong[0] if value is not None and NoneType in args else wrong[-1])
    if origin is Literal:
        return None if value in args else _wrong(value, path, f"one of {list(args)}")
    if is_typeddict(hint) or is_dataclass(hint):
        return _compare_record(value, hint, path)
    if origin in {dict, Mapping}:
        return _compare_each(value, dict, hint=args[1], path=path)
    if origin in {list, Sequence}:
        return _compare_each(value, list, hint=args[0], path=path)
    if origin is tuple:
        return _compare_tuple(value, args, path)
    return _compare_plain(value, hint, path)


def _compare_record(value: object, hint: Any, path: str) -> str | None:  # noqa: ANN401
    """Compare a tree with named entries."""
    if not isinstance(value, dict):
        return _wrong(value, path, "names and values")
    hints = get_type_hints(hint, include_extras=True)
    if is_dataclass(hint):
        unknown = sorted(set(value) - set(hints))
        if unknown:
            return f"{_place(path, unknown[0])} is unknown"
    for name, one in hints.items():
        if name in value:
            found = find_mismatch(value[name], one, f"{path}.{name}" if path else name)
            if found:
                return found
        elif is_typeddict(hint) and get_origin(one) is not NotRequired:
            return f"{_place(path, name)} is missing"
    return None


def _compare_each(value: object, kind: type[dict[str, Any]] | type[list[Any]], *, hint: Any, path: str) -> str | None:  # noqa: ANN401
    """Compare each value of a dictionary or of a list."""
    if not isinstance(value, kind):
        return _wrong(value, path, "names and values" if kind is dict else "a list")
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    found = (find_mismatch(one, hint, f"{path}.{name}" if path else str(name)) for name, one in pairs)
    return next((wrong for wrong in found if wrong), None)


def _compare_tuple(value: object, args: tuple[Any, ...], path: str) -> str | None:
    any_length = args[-1] is Ellipsis
    if not isinstance(value, list | tuple) or not (any_length or len(value) == len(args)):
        return _wrong(value, path, "a list" if any_length else f"a list of {len(args)}")
    hints = args[:1] * len(value) if any_length else args
    found = (find_mismatch(one, hint, f"{path}.{at}") for at, (one, hint) in enumerate(zip(value, hints, strict=True)))
    return next((wrong for wrong in found if wrong), None)


def _compare_plain(value: object, hint: Any, path: str) -> str | None:  # noqa: ANN401
    """Compare text, a number, true or false, or null."""
    if hint is float:
        is_right = isinstance(value, int | float) and not isinstance(value, bool) and not math.isinf(value)
    elif hint is int:
        is_right = isinstance(value, int) and not isinstance(value, bool)
    else:
        is_right = isinstance(value, hint)
    return None if is_right else _wrong(value, path, getattr(hint, "__name__", str(hint)))


def _place(path: str, name: str) -> str:
    return f"`{path}.{name}`" if path else f"`{name}`"


def _wrong(value: object, path: str, expected: str) -> str:
    text = repr(value)
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return f"`{path}` is {shown}; expected {expected}" if path else f"it is {shown}; expected {expected}"
