"""The ``scdiffusion`` command: parse, call the model, show progress."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from scdiffusion.cli._app import run

    raise SystemExit(run())
