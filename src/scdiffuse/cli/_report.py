"""Reports of ``evaluate`` and ``audit`` on the screen and in a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
    columns = ("value", "reference", "normalised", "detectable")
    rows = [
        [str(name), *(_short(row[column]) for column in columns), f"{row['n_cells']:,}"]
        for name, row in scores.iterrows()
    ]
    _print_table([*columns[:3], "first told", "cells"], rows)
    show_result("first told: the first value that would have been told from the reference; cells: a side")


def _show_tests(metrics: Mapping[str, MetricRecord]) -> None:
    """Print value, interval and p of each metric, and what it was counted on."""
    rows = []
    for name, one in metrics.items():
        sizes = ", ".join(f"{n:,} {what}" for what, n in one["sizes"].items())
        interval = f"{_short(one['low'])} to {_short(one['high'])}"
        p = "" if one["p"] is None else f"{one['p']:.2g}"
        rows.append([name, _short(one["value"]), interval, _short(one["reference"]), p, one["doubt"] or sizes])
    _print_table(["value", "95 % interval", "without a leak", "p", "counted on"], rows)


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose names of metrics are whole, so that they can be passed to ``--metric``."""
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(
        Column("metric", no_wrap=True), *(Column(one, overflow="fold") for one in columns),
        box=None, pad_edge=False, padding=(0, 2, 0, 0),
    )  # fmt: skip
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _short(number: float | None) -> str:
    return "" if number is None or math.isnan(number) else f"{number:.3f}"
