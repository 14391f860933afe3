"""Output of the commands: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer

from scdiffuse._core.processes import is_main_process

__all__ = ["show", "show_json", "show_warning"]


def show(text: str) -> None:
    """Print a line for a person on standard error; of several processes, only the first one prints."""
    if is_main_process():
        typer.echo(text, err=True)


def show_json(result: Mapping[str, Any]) -> None:
    """Print a result for a program on standard output."""
    typer.echo(json.dumps(result, indent=2, default=str))


def show_warning(text: str) -> None:
    """Print a warning as one line, without the place in the code that it comes from."""
    if is_main_process():
        typer.secho("Warning: ", fg="yellow", bold=True, nl=False, err=True)
        show(text)
