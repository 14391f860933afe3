"""Reports of ``evaluate`` and ``audit`` on the screen and in a file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from scdiffuse.cli._messages import show, show_json, show_result

if TYPE_CHECKING:
    import pandas as pd

    from scdiffuse.evaluation import Report
    from scdiffuse.evaluation._report_types import MetricRecord

__all__ = ["show_report"]


def show_report(report: Report, output: Path | None, *, as_json: bool, overwrite: bool, tests: bool = False) -> None:
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
    tests
        Show interval, p and numbers of cells instead of the normalised score.
    """
    if as_json:
        show_json(report.to_json())
    else:
        show_result(repr(report))
        _show_tests(report.metrics) if tests else _show_table(report.table())
    if output is not None:
        report.save(output, overwrite=overwrite)
        show(f"Report: {output}")


def _show_table(scores: pd.DataFrame) -> None:
    """Print value, real-vs-real reference, normalised score and the first value told of each metric."""
    from rich.console import Console
    from rich.table import Table

    columns = ("value", "reference", "normalised", "detectable")
    table = Table("metric", *columns[:3], "first value told", "cells a side")
    for name, row in scores.iterrows():
        table.add_row(str(name), *(_short(row[column]) for column in columns), f"{row['n_cells']:,}")
    Console().print(table)


def _show_tests(metrics: Mapping[str, MetricRecord]) -> None:
    """Print value, interval and p of each metric, and what it was counted on."""
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "value", "95 % interval", "without a leak", "p", "counted on")
    for name, one in metrics.items():
        sizes = ", ".join(f"{n:,} {what}" for what, n in one["sizes"].items())
        interval = f"{_short(one['low'])} to {_short(one['high'])}"
        p = "" if one["p"] is None else f"{one['p']:.2g}"
        table.add_row(name, _short(one["value"]), interval, _short(one["reference"]), p, one["doubt"] or sizes)
    Console().print(table)


def _short(number: float | None) -> str:
    return "" if number is None or math.isnan(number) else f"{number:.3f}"
