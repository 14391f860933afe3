"""The ``scdiffusion`` command: parse, call the model, show progress."""

from scdiffusion.cli._app import main, run

__all__ = ["main", "run"]
