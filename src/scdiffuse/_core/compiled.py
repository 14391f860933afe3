"""Compiled loops: functions that numba compiles at their first call."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar, cast

__all__ = ["COMPILES", "compiled"]

COMPILES = "loops compile once on a machine"
"""What a bar shows while its first unit takes long."""

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(*, fused: bool = False, any_order: bool = False, inner: bool = False) -> Callable[[Function], Function]:
    """Compile a function of numbers and arrays with numba, which frees other threads while it runs.

    As in numpy, a number divided by 0 is infinite: checks would keep the CPU from vectorised division. The compiled
    code is cached beside the source, or in the user's cache folder, so that only the first call on a machine waits for
    the compiler. Where no folder can be written, each process compiles anew. numba compiles anew where the file of the
    function changed; as a function calls others of its folder, its name there holds a digest of all of them.

    Parameters
    ----------
    fused
        Allow fused multiply-add, which is faster and more accurate.
    any_order
        Allow that, and sums in any order, which CPUs vectorise. The order is fixed when the code is compiled: the same
        numbers have the same sum at every call.
    inner
        Compiled functions alone call it. It compiles in half of the time without an entry for Python, which must not
        call it.

    Returns
    -------
    A decorator, which returns the same function up to rounding, faster.
    """
    fastmath = {"contract"} if fused or any_order else set()
    fastmath |= {"reassoc", "nsz"} if any_order else set()

    def decorate(function: Function) -> Function:
        from numba import njit

        settings: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
        settings |= {"no_cfunc_wrapper": True, "no_cpython_wrapper": inner}
        if not inner:
            function.__qualname__ = f"{function.__name__}-{_digest(Path(function.__code__.co_filename).parent)}"
        try:
            return cast("Function", njit(cache=not inner, **settings)(function))
        except RuntimeError:  # no folder to cache compiled code in
            return cast("Function", njit(**settings)(function))

    return decorate


@cache
def _digest(folder: Path) -> str:
    """Digest the sources of a folder, and of this one, which sets what is compiled."""
    sources = [path for place in (folder, Path(__file__).parent) for path in sorted(place.glob("*.py"))]
    return blake2b(b"\0".join(one.read_bytes() for one in sources), digest_size=6).hexdigest()
