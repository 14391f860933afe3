"""Every action as the line of Python and of the command line that does the same."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Action", "Code", "Lines", "call", "notebook", "option_pairs", "shown_path", "words"]

IMPORTS = "import anndata as ad\nimport scdiffuse as scd"


class Code(str):
    """Text that is code, such as the name of a variable; all other text is a value."""


@dataclass(frozen=True)
class Lines:
    """What an action is in Python and on the command line."""

    python: str = ""
    command: str = ""
    """Empty where the command line has no such action."""

    def to_json(self) -> dict[str, str]:
        """Return both."""
        return {"python": self.python, "command": self.command}

    @classmethod
    def from_json(cls, saved: Mapping[str, str]) -> Lines:
        """Read what `to_json` wrote."""
        return cls(saved.get("python", ""), saved.get("command", ""))


@dataclass(frozen=True)
class Action:
    """An action of the session, in the order that they were done."""

    title: str
    lines: Lines


def call(target: str, function: str, *given: Any, **named: Any) -> str:  # noqa: ANN401 - any argument of a call
    """Write a call in Python; arguments that are `None` are left out.

    Parameters
    ----------
    target
        Variable for the result; empty for none.
    function
        What is called.
    given, named
        Arguments; only `Code` is written as it is.

    Examples
    --------
    >>> call("g1", "m1.generate", 500, where={"cell_type": "B"}, guidance=None)
    "g1 = m1.generate(500, where={'cell_type': 'B'})"
    >>> call("", "scd.evaluate", Code("h1"), Code("g1"))
    'scd.evaluate(h1, g1)'
    """
    parts = [_code(one) for one in given]
    parts += [f"{name}={_code(value)}" for name, value in named.items() if value is not None]
    return f"{f'{target} = ' if target else ''}{function}({', '.join(parts)})"


def _code(value: Any) -> str:  # noqa: ANN401 - any argument of a call
    return value if isinstance(value, Code) else repr(value)


def words(*given: object, **options: object) -> str:
    """Write a command; options that are `None` or false are left out, lists are repeated.

    Parameters
    ----------
    given
        Words after ``scdiffuse``.
    options
        By the name of the argument.

    Examples
    --------
    >>> words("generate", "my model.scd", n_cells=500, where=["cell_type=B cell"], output="g1.h5ad")
    "scdiffuse generate 'my model.scd' --n-cells 500 --where 'cell_type=B cell' --output g1.h5ad"
    """
    found = ["scdiffuse", *map(str, given)]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            found.append(option)
        elif isinstance(value, tuple):
            found += [option, *map(str, value)]
        elif value is not None and value is not False:
            found += [word for one in (value if isinstance(value, list) else [value]) for word in (option, str(one))]
    return shlex.join(found)


def option_pairs(values: Mapping[str, Any] | None) -> list[str]:
    """Write conditions as words of the command line.

    Parameters
    ----------
    values
        Value by name; `None` leaves a condition open.

    Examples
    --------
    >>> option_pairs({"cell_type": "B", "day": None})
    ['cell_type=B', 'day=']
    """
    return [f"{name}={'' if value is None else value}" for name, value in (values or {}).items()]


def shown_path(path: Path) -> str:
    """Write a path as a user would type it: from the current folder, if it lies there.

    Parameters
    ----------
    path
        Where it is.
    """
    whole, here = path.resolve(), Path.cwd().resolve()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)


def notebook(actions: Sequence[Action], *, version: str) -> str:
    """Write a session as a notebook.

    Parameters
    ----------
    actions
        What was done.
    version
        Version of scdiffuse.

    Returns
    -------
    The text of an ``.ipynb``.
    """
    cells = [_text(f"# Session of `scdiffuse app`\n\nscdiffuse {version}"), _source(IMPORTS)]
    for action in actions:
        command = f"\n\n```bash\n{action.lines.command}\n```" if action.lines.command else ""
        cells += [_text(f"## {_plain(action.title)}{command}"), _source(action.lines.python)]
    for at, cell in enumerate(cells):
        cell["id"] = f"cell-{at}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    tree = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(tree, indent=1)


def _plain(title: str) -> str:
    """Keep a title, which may hold labels of a user, from being read as markup."""
    safe = "".join(f"\\{one}" if one in "\\`*_{}[]<>#|!" else one for one in title)
    return " ".join(safe.split())


def _text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def _source(source: str) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": source}
