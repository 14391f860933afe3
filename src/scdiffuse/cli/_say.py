"""What the command line says: results on standard output, everything else on standard error."""

from __future__ import annotations

import errno
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from scdiffuse._core.errors import LostProcessError, UserError
from scdiffuse._core.processes import speaks

__all__ = ["LOST", "STOPPED", "say", "say_error", "say_json", "say_warning"]

STOPPED = 130
"""Exit code after Ctrl-C, as shells count it."""
LOST = 3
"""Exit code where one of several processes has ended."""
_OURS, _YOURS = 1, 2
_LESS_MEMORY = {
    "shard": "lower `--cells-per-shard`",
    "fit": "raise `--min-cells` to train on fewer genes, or pass `--set autoencoder_training.batch_size=64`",
    "generate": "lower `--chunk`; cells are written as they are made, so their number does not matter",
    "transfer": "pass fewer cells at a time",
    "trajectory": "lower `-n` or `--n-steps`",
    "augment": "pass fewer cells at a time",
    "evaluate": "lower `--max-cells`",
    "audit": "lower `--max-cells`",
    "inspect": "close other programs",
    "demo": "close other programs, or pass `--quick`",
}


def say(text: str) -> None:
    """Print a line of progress or result for a person, on standard error; one of several processes speaks for all."""
    if speaks():
        typer.echo(text, err=True)


def say_json(held: Mapping[str, Any]) -> None:
    """Print a result for a program, on standard output."""
    typer.echo(json.dumps(held, indent=2, default=str))


def say_warning(message: Warning | str, category: type[Warning], *place: object, **more: object) -> None:
    """Print a warning as one plain line instead of a place in our code."""
    del category, place, more
    if not speaks():
        return
    typer.secho("Warning: ", fg="yellow", bold=True, nl=False, err=True)
    say(str(message))


def say_error(error: BaseException, words: Sequence[str]) -> int:
    """Print what went wrong and what to do.

    Parameters
    ----------
    error
        Whatever ended the command.
    words
        Words of the command line, for a message that can be repeated.

    Returns
    -------
    The exit code.
    """
    command = next((word for word in words if word in _LESS_MEMORY), "")
    if isinstance(error, KeyboardInterrupt):
        say("Stopped.")
        return STOPPED
    text, code = _explain(error, command)
    typer.secho("Error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(text, err=True)
    if code == _OURS:
        again = shlex.join(["scdiffuse", "--debug", *words])
        say(f"This is a fault of scdiffuse, not yours. Please report it with the output of:\n  {again}")
    return code


def _explain(error: BaseException, command: str) -> tuple[str, int]:
    """Tell the user's mistakes from ours."""
    if isinstance(error, LostProcessError):
        return str(error), LOST
    if isinstance(error, UserError):
        return str(error), _YOURS
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error).lower():
        return f"Memory ran out. To need less, {_LESS_MEMORY.get(command, 'use fewer cells')}.", _YOURS
    if isinstance(error, PermissionError):
        return f"No permission for {error.filename!r}. Choose a place that you may read and write.", _YOURS
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "The disk is full. Free some space or choose a path on another disk.", _YOURS
    return f"{type(error).__name__}: {error}", _OURS
