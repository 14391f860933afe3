"""Names of arguments: those of the Python API in messages become the options of the command line."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

__all__ = ["API_NAMES", "Parameter", "as_typed", "option_names"]

API_NAMES = {
    "as_whole": "round_counts",
    "by": "cell_type_key",
    "condition": "conditions",
    "generated": "predicted",
    "guidance_interval": "interval",
    "metric": "metrics",
    "output": "folder",
    "settings": "config",
    "start_where": "where",
    "where_table": "where",
}
"""Argument of the Python API by parameter of a command, where the two differ."""


class Parameter(Protocol):
    """A parameter of a command, as typer makes it."""

    @property
    def name(self) -> str | None:
        """Name in the function of the command."""

    @property
    def opts(self) -> Sequence[str]:
        """Spellings on the command line, without dashes for an argument."""


_QUOTED = re.compile(r"`(?P<name>[a-z_]+)(?:=(?P<value>[^`]*)|\(\))?`")


def option_names(parameters: Iterable[Parameter], words: Sequence[str] = ()) -> dict[str, str]:
    """List the options of a command by the argument of the Python API that each one sets.

    Parameters
    ----------
    parameters
        Those of the command.
    words
        Words of the command line. Of two spellings, or two options, for one argument, the typed one is taken.

    Returns
    -------
    Option by argument, such as ``{"n_cells": "--n-cells"}``; the long spelling where `words` have neither.
    """
    typed = {word.partition("=")[0] for word in words}
    names: dict[str, str] = {}
    for parameter in parameters:
        spellings = sorted((one for one in parameter.opts if one.startswith("-")), key=len, reverse=True)
        if parameter.name and spellings:
            found = [one for one in spellings if one in typed]
            for name in {parameter.name, API_NAMES.get(parameter.name, parameter.name)}:
                if found or name not in names:
                    names[name] = [*found, *spellings][0]
    return names


def as_typed(message: str, names: Mapping[str, str], commands: Iterable[str] = ()) -> str:
    """Write a message of the Python API in the words of the command line.

    Parameters
    ----------
    message
        Text with names of arguments in backticks, alone or with a value.
    names
        Option by argument, as `option_names` returns it.
    commands
        Names of all commands; ``add_classifier`` in backticks becomes ``scdiffuse add-classifier``.

    Returns
    -------
    The same text with options in place of arguments; other names in backticks stay.

    Examples
    --------
    >>> as_typed("Leave `n_cells` out, or pass `where={'donor': 'd3'}`.", {"n_cells": "-n", "where": "--where"})
    'Leave `-n` out, or pass `--where donor=d3`.'
    """
    by_function = {name.replace("-", "_"): name for name in commands}

    def replaced(found: re.Match[str]) -> str:
        name, value = found["name"], found["value"]
        if name in names:
            return f"`{names[name]}`" if value is None else f"`{_with_value(names[name], value)}`"
        if name in by_function and value is None:
            return f"`scdiffuse {by_function[name]}`"
        return found[0]

    return _QUOTED.sub(replaced, message)


def _with_value(option: str, code: str) -> str:
    """Write an option with a value that is given as Python code."""
    try:
        value = ast.literal_eval(code)
    except (SyntaxError, ValueError):
        return option
    if value is True or value is None:
        return option
    values = [f"{name}={_word(one)}" for name, one in value.items()] if isinstance(value, dict) else [_word(value)]
    return " ".join(f"{option} {shlex.quote(one)}" for one in values)


def _word(value: object) -> str:
    """Write a label, a number, or a label with its guidance scale."""
    if isinstance(value, tuple):
        return ":".join(map(_word, value))
    return "..." if value is ... else str(value)
