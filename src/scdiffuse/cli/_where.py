"""Conditions as typed on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scdiffuse._core.errors import DataFileError, SettingError

if TYPE_CHECKING:
    import pandas as pd

    from scdiffuse.cells import Conditions

__all__ = ["read_library_size", "read_where", "read_where_table"]


def read_where(pairs: Sequence[str], conditions: Conditions) -> dict[str, str | float | None]:
    """Turn ``key=value`` words into conditions.

    Parameters
    ----------
    pairs
        Words such as ``cell_type=Dendritic``; an empty value leaves the condition open.
    conditions
        Those of the model.

    Returns
    -------
    Value by name; text for labels, numbers for continuous conditions, ``None`` for open ones.

    Raises
    ------
    SettingError
        A word has no ``=``, a name comes twice, or a continuous condition got text.
    UnknownNameError
        The model has no such condition.
    """
    where: dict[str, str | float | None] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            msg = f"`--where` {pair!r} has no `=`; expected `--where name=value`, such as `--where cell_type=B`."
            raise SettingError(msg)
        if name in where:
            msg = f"`--where {name}=...` is given twice; expected one value a condition. For several, run once for each"
            raise SettingError(msg + " or pass `--where-table` with one row for each.")
        conditions.require(name)
        where[name] = _value(name, text, conditions)
    return where


def read_where_table(path: Path, conditions: Conditions) -> pd.DataFrame:
    """Read conditions from a table with one row a cell, or rows with a count ``n``.

    Parameters
    ----------
    path
        A ``.csv`` file whose header names conditions; an empty field leaves the condition open.
    conditions
        Those of the model.

    Returns
    -------
    The table, numbers as numbers and labels as text.

    Raises
    ------
    DataFileError
        The file is missing or is not a table.
    SettingError
        A number is expected where text stands.
    UnknownNameError
        The model has no such condition.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, skipinitialspace=True)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        msg = f"{str(path)!r} cannot be read ({error}); expected a .csv file whose first line names conditions."
        raise DataFileError(msg + " Check the path and the file.") from error
    for name in table.columns:
        if name == "n" and name not in conditions.names:
            table[name] = [_whole(text, path) for text in table[name]]
            continue
        conditions.require(name)
        if name in conditions.continuous:
            table[name] = [_value(name, "" if pd.isna(text) else text, conditions) for text in table[name]]
            table[name] = table[name].astype(float)
    return table


def read_library_size(text: str) -> int | tuple[float, float]:
    """Read a depth, or the mean and standard deviation of depths.

    Parameters
    ----------
    text
        ``"2000"`` or ``"2000,500"``.

    Raises
    ------
    SettingError
        It is neither.
    """
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and numbers[0].is_integer():
        return int(numbers[0])
    if len(numbers) == 2:
        return numbers[0], numbers[1]
    msg = f"`--library-size` {text!r} is not a depth; expected counts per cell such as `2000`, or mean and standard"
    raise SettingError(msg + " deviation such as `2000,500`.")


def _value(name: str, text: str, conditions: Conditions) -> str | float | None:
    """Read one value in the type of its condition."""
    if text == "":
        return None
    if name not in conditions.continuous:
        return text
    try:
        return float(text)
    except ValueError:
        msg = f"`{name}={text}` is not a number, but {name!r} is a continuous condition; expected a number such as"
        raise SettingError(msg + f" `{name}={conditions.continuous[name].mean:.3g}`.") from None


def _whole(text: str, path: Path) -> int:
    """Read a number of cells."""
    try:
        return int(text)
    except ValueError:
        msg = f"The column `n` of {str(path)!r} holds {text!r}; expected whole numbers of cells. Correct the table."
        raise SettingError(msg) from None
