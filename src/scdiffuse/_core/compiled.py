"""Compiled loops: functions that numba compiles at their first call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

__all__ = ["compiled", "compiled_fused", "compiled_sums"]

Function = TypeVar("Function", bound=Callable[..., Any])

_FUSED = {"contract"}
_ANY_ORDER = _FUSED | {"reassoc", "nsz"}


def compiled(function: Function) -> Function:
    """Compile a function of numbers and arrays with numba, which frees other threads while it runs.

    As in numpy, a number divided by 0 is infinite: checks would keep the CPU from vectorised division. The compiled
    code is cached beside the source, or in the user's cache folder, so that only the first call on a machine waits for
    the compiler. Where no folder can be written, each process compiles anew.

    Parameters
    ----------
    function
        Function to compile; it may call compiled functions of its own file.

    Returns
    -------
    The same function, faster.
    """
    return _compile(function, fastmath_flags=set())


def compiled_fused(function: Function) -> Function:
    """Compile as `compiled` does, and allow fused multiply-add, which is faster and more accurate.

    Parameters
    ----------
    function
        Function to compile, as for `compiled`.

    Returns
    -------
    The same function up to rounding, faster.
    """
    return _compile(function, fastmath_flags=_FUSED)


def compiled_sums(function: Function) -> Function:
    """Compile as `compiled` does, and allow sums in any order, which CPUs vectorise.

    The order is fixed when the code is compiled: the same numbers have the same sum at every call.

    Parameters
    ----------
    function
        Function to compile, as for `compiled`.

    Returns
    -------
    The same function up to the rounding of sums, faster.
    """
    return _compile(function, fastmath_flags=_ANY_ORDER)


def _compile(function: Function, *, fastmath_flags: set[str]) -> Function:
    from numba import njit

    try:
        return cast("Function", njit(cache=True, nogil=True, error_model="numpy", fastmath=fastmath_flags)(function))
    except RuntimeError:  # no folder to cache compiled code in
        return cast("Function", njit(nogil=True, error_model="numpy", fastmath=fastmath_flags)(function))
