"""The ``scdiffuse`` command: parse, call the model, show progress."""

from scdiffuse.cli._app import main, run

__all__ = ["main", "run"]
