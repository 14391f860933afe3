"""Bits of floating-point numbers as integers and back, in compiled loops.

A view of an array does the same, but drags the text of its errors into what is compiled, which takes seconds.
"""
# ruff: noqa: ANN401, PLR0917 - numba calls them, with its own types

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from numba import types
from numba.extending import intrinsic

__all__ = ["bits_of", "number_of"]

_Typed = tuple[Any, Callable[..., Any]] | None
_INTEGERS = {types.float32: types.int32, types.float64: types.int64}
_NUMBERS = {integer: number for number, integer in _INTEGERS.items()}


def _bits_of(context: Any, number: Any) -> _Typed:
    """Read the bits of a number as an integer of the same size."""
    return _reinterpreted(number, _INTEGERS.get(number))


def _number_of(context: Any, bits: Any) -> _Typed:
    """Read the bits of an integer as a number of the same size."""
    return _reinterpreted(bits, _NUMBERS.get(bits))


def _reinterpreted(given: Any, found: Any) -> _Typed:
    """Type a function of one argument, and write its code; `None` tells numba that there is none for the type."""

    def bitcast(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))

    return None if found is None else (found(given), bitcast)


bits_of, number_of = (cast("Callable[[Any], Any]", intrinsic(one)) for one in (_bits_of, _number_of))
