"""Seeds and other whole numbers that a user gives."""

from __future__ import annotations

from numbers import Integral

from scdiffuse._core.errors import SettingError

__all__ = ["require_seed", "require_whole"]

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
    require_whole(seed, "seed", advice="Pass one such as 0; the same seed gives the same result.")
    if not -_BOUND <= seed < _BOUND:
        msg = f"`seed` is {seed}; expected a whole number of at most {_BOUND - 1}. Pass a smaller one, such as 0."
        raise SettingError(msg)


def require_whole(number: object, name: str, *, advice: str) -> None:
    """Refuse an argument that is no whole number.

    Parameters
    ----------
    number
        What the user gave.
    name
        Name of the argument.
    advice
        What to pass instead, as a sentence.

    Raises
    ------
    SettingError
        It is text, a fraction, a decimal number such as ``2.0``, `None`, or something else.
    """
    if not isinstance(number, Integral):
        msg = f"`{name}` is {number!r}; expected a whole number. {advice}"
        raise SettingError(msg)
