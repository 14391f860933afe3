"""Output of the commands: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer

from scdiffuse._core.processes import is_main_process
from scdiffuse._core.text import printable

__all__ = ["show", "show_failure", "show_json", "show_result", "show_warning"]


def show(text: str) -> None:
    """Print a line for a person on standard error; of several processes, only the first one prints."""
    if is_main_process():
        typer.echo(printable(text), err=True)


def show_failure(text: str) -> None:
    """Print on standard error why the command ends; each of several processes prints its own."""
    typer.secho("Error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(printable(text), err=True)


def show_result(text: str) -> None:
    """Print a result for a person on standard output."""
    typer.echo(printable(text))


def show_json(result: Mapping[str, Any]) -> None:
    """Print a result for a program on standard output."""
    typer.echo(json.dumps(result, indent=2, default=str))


def show_warning(text: str) -> None:
    """Print a warning as one line, without the place in the code that it comes from."""
    if is_main_process():
        typer.secho("Warning: ", fg="yellow", bold=True, nl=False, err=True)
        show(text)
