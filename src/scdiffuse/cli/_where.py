"""Conditions and library sizes as typed on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scdiffuse._core.errors import DataFileError, SettingError

if TYPE_CHECKING:
    import pandas as pd

    from scdiffuse.cells import Conditions

__all__ = ["divide", "read_library_size", "read_screen", "read_to", "read_where", "read_where_table"]

Value = str | float | None


def read_where(option: str, pairs: Sequence[str], conditions: Conditions) -> dict[str, Value]:
    """Read ``name=value`` words as conditions.

    Parameters
    ----------
    option
        The option that the words belong to, for messages.
    pairs
        Words such as ``cell_type=Dendritic``; an empty value leaves the condition open.
    conditions
        Those of the model.

    Returns
    -------
    Value by name: text for labels, numbers for continuous conditions, `None` for open ones.

    Raises
    ------
    SettingError
        A word has no ``=``, a name comes twice, or text stands for a number.
    UnknownNameError
        The model has no such condition.
    """
    where: dict[str, Value] = {}
    for name, value in _read_pairs(option, pairs, conditions):
        if name in where:
            msg = f"`{option}` is given twice for {name!r}; expected one value for each condition. For several, run"
            raise SettingError(msg + " the command once for each, or generate with `--where-table`.")
        where[name] = value
    return where


def _read_pairs(option: str, pairs: Sequence[str], conditions: Conditions) -> Iterator[tuple[str, Value]]:
    for pair in pairs:
        name, equals, text = divide(pair, conditions.names)
        if not equals:
            msg = f"`{option}` {pair!r} has no `=`; expected `{option} name=value`, such as `{option} cell_type=B`."
            raise SettingError(msg)
        conditions.require(name)
        yield name, _value(option, name, text, conditions=conditions)


def divide(word: str, names: Iterable[str]) -> tuple[str, str, str]:
    """Divide ``name=value`` as ``str.partition`` does, after the longest known name, which may hold an ``=`` itself.

    Parameters
    ----------
    word
        As typed.
    names
        Known names.

    Examples
    --------
    >>> divide("a=b=c", ["a=b", "x"])
    ('a=b', '=', 'c')
    """
    name = max((one for one in names if word.startswith(f"{one}=")), key=len, default=word.partition("=")[0])
    return name, *word[len(name) :].partition("=")[1:]


def read_to(
    pairs: Sequence[str] | None, conditions: Conditions, *, instead: Mapping[str, Sequence[str] | None]
) -> dict[str, Value] | None:
    """Read the conditions to change, which can be left out where guidance has a target.

    Parameters
    ----------
    pairs
        Words of ``--to``, as `read_where` takes them.
    conditions
        Those of the model.
    instead
        Options that can be given instead, and their words.

    Returns
    -------
    Value by name; `None` where another option is given instead.

    Raises
    ------
    SettingError
        No option says what the cells become, or a word cannot be read.
    UnknownNameError
        The model has no such condition.
    """
    _require_target(pairs, instead)
    return read_where("--to", pairs, conditions) if pairs else None


def read_screen(
    pairs: Sequence[str] | None, conditions: Conditions, *, instead: Mapping[str, Sequence[str] | None]
) -> dict[str, Value | list[Value]] | None:
    """Read the conditions to change as `read_to` does, but one that comes several times as a list of its values."""
    _require_target(pairs, instead)
    found: dict[str, list[Value]] = {}
    for name, value in _read_pairs("--to", pairs or [], conditions):
        found.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()} or None


def _require_target(pairs: Sequence[str] | None, instead: Mapping[str, Sequence[str] | None]) -> None:
    """Refuse a command that does not say what the cells become."""
    if not pairs and not any(instead.values()):
        msg = f"`--to` is not given; expected what the cells become, with `--to` or {' or '.join(instead)}."
        raise SettingError(msg + " Write such as `--to cell_type=B`.")


def read_where_table(path: Path, conditions: Conditions) -> pd.DataFrame:
    """Read conditions from a table with one row a cell, or with a column ``n_cells`` of numbers of cells.

    Parameters
    ----------
    path
        A ``.csv`` file whose header names conditions; an empty field leaves the condition open.
    conditions
        Those of the model.

    Returns
    -------
    The table: labels as text, continuous conditions and ``n_cells`` as numbers.

    Raises
    ------
    DataFileError
        The file does not exist or is not a table.
    SettingError
        Text stands for a number.
    UnknownNameError
        The model has no such condition.
    """
    import pandas as pd

    try:
        # As a header, names would be renamed or become the index; `NA` is a label, only an empty field is none.
        lines = pd.read_csv(path, dtype=str, skipinitialspace=True, header=None, keep_default_na=False, na_values=[""])
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        msg = f"`--where-table` {str(path)!r} cannot be read ({error}); expected a .csv file whose first line names"
        raise DataFileError(msg + " conditions. Check the path and the file.") from error
    header = lines.iloc[0].fillna("").tolist()
    wrong = [name for name in header if not name or header.count(name) > 1]
    if wrong:
        msg = (
            f"`--where-table` {str(path)!r} has {wrong[0]!r} in its first line, which is empty or there twice; expected"
        )
        raise DataFileError(msg + " one condition a column. Correct the first line.")
    table = lines.iloc[1:].set_axis(header, axis="columns").reset_index(drop=True)
    for name in table.columns:
        if name == "n_cells" and name not in conditions.names:
            table[name] = [_whole(text, path) for text in table[name]]
            continue
        conditions.require(name)
        if name in conditions.continuous:
            texts = ["" if pd.isna(text) else text for text in table[name]]
            table[name] = [_value("--where-table", name, text, conditions=conditions) for text in texts]
            table[name] = table[name].astype(float)
    return table


def read_library_size(text: str) -> int | tuple[float, float]:
    """Read one library size, or the mean and standard deviation of library sizes.

    Parameters
    ----------
    text
        ``"2000"`` or ``"2000,500"``.

    Raises
    ------
    SettingError
        The text is neither.
    """
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and numbers[0].is_integer():
        return int(numbers[0])
    if len(numbers) == 2:
        return numbers[0], numbers[1]
    msg = f"`--library-size` {text!r} is not a library size; expected counts a cell such as `2000`, or mean and"
    raise SettingError(msg + " standard deviation such as `2000,500`.")


def _value(option: str, name: str, text: str, *, conditions: Conditions) -> Value:
    """Read one value as the type of its condition."""
    if text == "":
        return None
    if name not in conditions.continuous:
        return text
    try:
        return float(text)
    except ValueError:
        number = f"{conditions.continuous[name].mean:.3g}"
        example = number if option == "--where-table" else f"{option} {name}={number}"
        msg = (
            f"`{option}` gives {name!r} the value {text!r}, but this condition is continuous; expected a number such as"
        )
        raise SettingError(msg + f" `{example}`.") from None


def _whole(text: str, path: Path) -> int:
    """Read a number of cells."""
    try:
        return int(text)
    except ValueError:
        msg = f"The column 'n_cells' of `--where-table` {str(path)!r} has {text!r}; expected whole numbers of cells."
        raise SettingError(msg + " Correct the table.") from None
