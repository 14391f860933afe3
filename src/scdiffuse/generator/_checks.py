"""Checks of arguments that several methods have."""

from __future__ import annotations

from scdiffuse._core.errors import SettingError
from scdiffuse._core.scalars import whole_number

__all__ = ["MEMORY_ADVICE", "require_batch_size"]

_MOST_AT_ONCE = 2**31 - 1
MEMORY_ADVICE = "Lower `batch_size`, or pass fewer cells at a time."


def require_batch_size(batch_size: int) -> None:
    """Refuse a number of cells at once that is out of range.

    Parameters
    ----------
    batch_size
        What was given.

    Raises
    ------
    SettingError
        It is no whole number, below 1, or beyond what arrays count.
    """
    batch_size = whole_number(batch_size, "batch_size")
    if batch_size < 1:
        msg = f"`batch_size` must be at least 1, got {batch_size}; 4096 suits most machines."
        raise SettingError(msg)
    if batch_size > _MOST_AT_ONCE:
        msg = f"`batch_size` must be at most {_MOST_AT_ONCE:,}, got {batch_size}; 4096 suits most machines."
        raise SettingError(msg)
