"""Out of memory, told with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scdiffusion._core.errors import OutOfMemoryError

__all__ = ["explain_memory"]

_SIGNS = ("can't allocate memory", "out of memory", "not enough memory")


@contextmanager
def explain_memory(advice: str) -> Iterator[None]:
    """Say which setting lowers the memory that the block needs.

    Parameters
    ----------
    advice
        What to do.

    Raises
    ------
    OutOfMemoryError
        The block ran out of memory; other errors pass unchanged.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch reports it as RuntimeError
        if isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _SIGNS):
            msg = f"The machine ran out of memory. {advice}"
            raise OutOfMemoryError(msg) from error
        raise
