"""The command line as a whole: its commands, and what becomes of errors."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from scdiffuse.cli._augment import augment
from scdiffuse.cli._classifier import add_classifier
from scdiffuse.cli._demo import demo
from scdiffuse.cli._distill import distill
from scdiffuse.cli._evaluate import audit, evaluate
from scdiffuse.cli._fit import fit
from scdiffuse.cli._generate import generate
from scdiffuse.cli._inspect import inspect
from scdiffuse.cli._say import STOPPED, say_error, say_warning
from scdiffuse.cli._shard import shard
from scdiffuse.cli._trajectory import trajectory
from scdiffuse.cli._transfer import transfer

__all__ = ["app", "main", "run"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
_MAKING = (shard, fit, add_classifier, distill, generate, transfer, trajectory, augment)
for command in (*_MAKING, evaluate, audit, inspect, demo):
    app.command()(command)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it by position
    if wanted:
        from scdiffuse import __version__

        typer.echo(f"scdiffuse {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Generate single cells as integer counts, and measure how real they are.

    Exit codes: 0 done, 1 a fault of scdiffuse, 2 a mistake in the command or the data, 3 one of several
    processes was lost, 130 stopped by Ctrl-C.
    """
    del debug, version  # `run` looks for the first, the callback above answers the second


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        Words of the command line after ``scdiffuse``; those of this process if not given.

    Returns
    -------
    The exit code: 0 done, 1 our fault, 2 the user's mistake, 3 a process was lost, 130 stopped by Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    with warnings.catch_warnings():
        warnings.showwarning = say_warning
        warnings.simplefilter("always" if debug else "ignore")
        warnings.filterwarnings("default", category=UserWarning, module="scdiffuse")
        try:
            app(args=words, prog_name="scdiffuse", obj=["--debug", *words] if debug else words)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0
            return say_error(KeyboardInterrupt(), words) if code == STOPPED else code
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place where all errors end
            if debug:
                sys.excepthook(type(error), error, error.__traceback__)
            return say_error(error, words)
    return 0


def main() -> None:
    """Run the command of this process and end it."""
    if "OMP_WAIT_POLICY" not in os.environ:
        # Threads that sleep at once wake too late for the next of many small products (fits take twice as long), and
        # threads that spin for a long time slow other processes down; those of macOS have no such middle way.
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
        os.environ.setdefault("KMP_BLOCKTIME", "0")
    raise SystemExit(run())
