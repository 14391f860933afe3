"""Reports of ``evaluate`` and ``audit`` on the screen and in a file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from scdiffuse.cli._messages import show, show_json, show_result

if TYPE_CHECKING:
    import pandas as pd

    from scdiffuse.evaluation import Report

__all__ = ["show_report"]


def show_report(report: Report, output: Path | None, *, as_json: bool, overwrite: bool) -> None:
    """Show a report on the screen, and write it if a file is given.

    Parameters
    ----------
    report
        Scores and verdicts.
    output
        The ``.html`` file to write, if any.
    as_json
        Print JSON for a program instead of a table for a person.
    overwrite
        Replace the file.
    """
    if as_json:
        show_json(report.to_json())
    else:
        _show_table(report.table())
        show_result(repr(report))
    if output is not None:
        report.save(output, overwrite=overwrite)
        show(f"Report: {output}")


def _show_table(scores: pd.DataFrame) -> None:
    """Print value, real-vs-real reference and normalised score of each metric."""
    from rich.console import Console
    from rich.table import Table

    columns = ("value", "reference", "normalised")
    table = Table("metric", *columns)
    for name, row in scores.iterrows():
        table.add_row(str(name), *(_short(row[column]) for column in columns))
    Console().print(table)


def _short(number: float | None) -> str:
    return "" if number is None or math.isnan(number) else f"{number:.3f}"
