"""Loops compiled to machine code at their first call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

__all__ = ["compiled", "compiled_fused", "compiled_sums"]

Function = TypeVar("Function", bound=Callable[..., Any])

_FUSED = {"contract"}
_ANY_ORDER = _FUSED | {"reassoc", "nsz"}


def compiled(function: Function) -> Function:
    """Compile a function of numbers and arrays with numba, which frees other threads while it runs.

    As in numpy, a number divided by 0 is infinite: checks would keep the processor from dividing several at once.
    The machine code is kept beside the source, or in the user's cache folder, so that only the first call on a machine
    waits for the compiler. Where no folder can be written, each process compiles anew.

    Parameters
    ----------
    function
        What to compile; it may call compiled functions of its own file.

    Returns
    -------
    The same function, faster.
    """
    return _compile(function, loosened=set())


def compiled_fused(function: Function) -> Function:
    """Compile as `compiled` does, and let a product and a sum be rounded together, which is faster and closer.

    Parameters
    ----------
    function
        What to compile, as for `compiled`.

    Returns
    -------
    The same function up to rounding, faster.
    """
    return _compile(function, loosened=_FUSED)


def compiled_sums(function: Function) -> Function:
    """Compile as `compiled` does, and let sums be taken in any order, which is how processors add several at once.

    The order is settled when the code is compiled: the same numbers have the same sum at every call.

    Parameters
    ----------
    function
        What to compile, as for `compiled`.

    Returns
    -------
    The same function up to the rounding of sums, faster.
    """
    return _compile(function, loosened=_ANY_ORDER)


def _compile(function: Function, *, loosened: set[str]) -> Function:
    from numba import njit

    try:
        return cast("Function", njit(cache=True, nogil=True, error_model="numpy", fastmath=loosened)(function))
    except RuntimeError:  # no folder to keep machine code in
        return cast("Function", njit(nogil=True, error_model="numpy", fastmath=loosened)(function))
