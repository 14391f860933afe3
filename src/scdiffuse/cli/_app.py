"""The command line as a whole: its commands, its exit codes, and how errors and warnings appear."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import typer

from scdiffuse._core.errors import ScdiffuseWarning
from scdiffuse.cli._add_classifier import add_classifier
from scdiffuse.cli._arguments import as_typed, option_names
from scdiffuse.cli._audit import audit
from scdiffuse.cli._augment import augment
from scdiffuse.cli._demo import demo
from scdiffuse.cli._distill import distill
from scdiffuse.cli._errors import STOPPED, show_error
from scdiffuse.cli._evaluate import evaluate
from scdiffuse.cli._fit import fit
from scdiffuse.cli._generate import generate
from scdiffuse.cli._inspect import inspect
from scdiffuse.cli._map_query import map_query
from scdiffuse.cli._messages import show_warning
from scdiffuse.cli._predict import predict
from scdiffuse.cli._serve import app as serve
from scdiffuse.cli._shard import shard
from scdiffuse.cli._split import split
from scdiffuse.cli._trajectory import trajectory

__all__ = ["COMMANDS", "Command", "app", "main", "run"]

_LESS_MEMORY = "close other programs"


class Command(NamedTuple):
    """One command."""

    function: Callable[..., None]
    """Its parameters are the options, its docstring is the help text."""
    less_memory: str
    """What to do where memory runs out."""


COMMANDS = (
    Command(split, "pass fewer cells, or fit with shards: `scdiffuse shard`"),
    Command(shard, "lower `--cells-per-shard`"),
    Command(fit, "raise `--min-cells` to train on fewer genes, or pass `--set autoencoder_training.batch_size=64`"),
    Command(generate, "lower `--batch-size`; cells are written as they are made, so their number does not matter"),
    Command(predict, "lower `--batch-size`, or pass fewer cells at a time"),
    Command(map_query, "pass fewer cells at a time"),
    Command(trajectory, "lower `--n-cells` or `--n-states`"),
    Command(augment, "pass fewer cells at a time"),
    Command(add_classifier, "pass fewer cells"),
    Command(distill, "lower `--n-paths`"),
    Command(evaluate, "lower `--max-cells`"),
    Command(audit, "lower `--max-cells`"),
    Command(inspect, _LESS_MEMORY),
    Command(serve, _LESS_MEMORY),
    Command(demo, "close other programs, or pass `--quick`"),
)
"""All commands, in the order of the help text."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
for _command in COMMANDS:
    app.command()(_command.function)


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
    """Generate single-cell counts under control, and measure how realistic the cells are.

    Start with `scdiffuse inspect CELLS.h5ad`, with `scdiffuse demo`, or with `scdiffuse app` in a browser.

    Exit codes: 0 done, 1 a fault of scdiffuse, 2 a mistake in the command or the data,
    3 one of several processes was lost, 130 stopped by Ctrl-C.
    """
    del debug, version  # `run` looks for the first, the callback above answers the second


_group = typer.main.get_command(app)
assert isinstance(_group, typer.core.TyperGroup)
_PARAMETERS = {name: command.params for name, command in _group.commands.items()}


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        Words of the command line after ``scdiffuse``; without them, those of this process.

    Returns
    -------
    The exit code: 0 done, 1 a fault of scdiffuse, 2 a mistake of the user, 3 a process was lost, 130 stopped by Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    less_memory, translate = _of_command(words)

    def show_here(message: Warning | str, category: type[Warning], *place: object, **more: object) -> None:
        del category, place, more
        show_warning(translate(str(message)))

    with warnings.catch_warnings():
        warnings.showwarning = show_here
        warnings.simplefilter("always" if debug else "ignore")
        warnings.filterwarnings("always", category=ScdiffuseWarning)
        try:
            app(args=words, prog_name="scdiffuse", obj=["--debug", *words] if debug else words)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0
            return show_error(KeyboardInterrupt(), words, less_memory=less_memory) if code == STOPPED else code
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place where all errors end
            if debug:
                sys.excepthook(type(error), error, error.__traceback__)
            return show_error(error, words, less_memory=less_memory, translate=translate)
    return 0


def main() -> None:
    """Run the command of this process and end the process with its exit code."""
    if "OMP_WAIT_POLICY" not in os.environ:
        # Threads that sleep at once wake too late for the next of many small products (fits take twice as long), and
        # threads that spin for a long time slow other processes down; those of macOS have no such middle way.
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
        os.environ.setdefault("KMP_BLOCKTIME", "0")
    raise SystemExit(run())


def _of_command(words: Sequence[str]) -> tuple[str, Callable[[str], str]]:
    """Find the command that was typed: what lowers its memory, and how it writes messages of the Python API."""
    at = {name: index for index, name in enumerate(_PARAMETERS)}
    typed = next((word for word in words if not word.startswith("-")), "")
    if typed not in at:
        return _LESS_MEMORY, str
    names = option_names(_PARAMETERS[typed], words)
    return COMMANDS[at[typed]].less_memory, lambda message: as_typed(message, names, at)
