"""Loops compiled to machine code at their first call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function of numbers and arrays with numba, which frees other threads while it runs.

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
    from numba import njit

    try:
        return cast("Function", njit(cache=True, nogil=True)(function))
    except RuntimeError:  # no folder to keep machine code in
        return cast("Function", njit(nogil=True)(function))
