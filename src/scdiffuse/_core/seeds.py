"""Seeds that a user gives."""

from __future__ import annotations

from scdiffuse._core.errors import SettingError
from scdiffuse._core.scalars import whole_number

__all__ = ["require_seed"]

_BOUND = 1 << 63  # what files keep as an integer


def require_seed(seed: int) -> None:
    """Refuse a seed that is no whole number, or that no file can keep.

    Parameters
    ----------
    seed
        What the user gave.

    Raises
    ------
    SettingError
        It is no whole number, or has more than 63 bits.
    """
    whole_number(seed, "seed")
    if not -_BOUND <= seed < _BOUND:
        msg = f"`seed` is {seed}; expected a whole number of at most {_BOUND - 1}. Pass a smaller one, such as 0."
        raise SettingError(msg)
