"""``scdiffuse evaluate`` and ``audit``: real and generated cells in, report out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scdiffuse.cli._options import AsJson, By, Donor, Layer, MaxCells, NoProgress, Overwrite, Report, Seed
from scdiffuse.cli._say import say, say_json

if TYPE_CHECKING:
    import pandas as pd

    from scdiffuse.evaluation import Report as EvaluationReport

__all__ = ["audit", "evaluate", "say_report"]


def evaluate(
    *,
    real: Annotated[Path, typer.Option(help="Real cells that the model never saw.", show_default=False)],
    generated: Annotated[Path, typer.Option(help="Generated cells.", show_default=False)],
    output: Report = None,
    reference: Annotated[
        Path | None, typer.Option(help="More real cells: they give the floor. Without it, half of the real ones.")
    ] = None,
    train: Annotated[Path | None, typer.Option(help="The cells the model was fitted to, for baselines.")] = None,
    by: By = None,
    donor: Donor = None,
    layer: Layer = None,
    suite: Annotated[Literal["quick", "full"], typer.Option(help="How much to measure.")] = "quick",
    metric: Annotated[list[str] | None, typer.Option(help="Measure this only; repeat for more.")] = None,
    model: Annotated[Path | None, typer.Option(help="Write the scores into the card of this model.")] = None,
    max_cells: MaxCells = 5000,
    n_seeds: Annotated[int, typer.Option(help="Repeat with other seeds, for the spread.")] = 1,
    seed: Seed = 0,
    as_json: AsJson = False,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Compare generated cells with real ones, beside floor and baselines."""
    from scdiffuse._core.files import refuse_existing
    from scdiffuse.evaluation import evaluate as compare

    if output is not None:
        refuse_existing(output, overwrite=overwrite)
    report = compare(
        real,
        generated,
        reference=reference,
        train=train,
        by=by,
        donor=donor,
        layer=layer,
        suite=suite,
        metrics=metric,
        seed=seed,
        n_seeds=n_seeds,
        max_cells=max_cells,
        progress=not no_progress,
    )
    if model is not None:
        from scdiffuse.generator import load

        fitted = load(model)
        fitted.record_scores(report.to_json())
        fitted.save(model, overwrite=True)
    say_report(report, output, as_json=as_json, overwrite=overwrite)


def audit(
    *,
    train: Annotated[Path, typer.Option(help="The cells the model was fitted to.", show_default=False)],
    held_out: Annotated[Path, typer.Option(help="Real cells that it never saw.", show_default=False)],
    generated: Annotated[Path, typer.Option(help="Generated cells.", show_default=False)],
    output: Report = None,
    by: By = None,
    donor: Donor = None,
    layer: Layer = None,
    max_cells: MaxCells = 5000,
    seed: Seed = 0,
    as_json: AsJson = False,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Ask whether generated cells give away which cells were trained on."""
    from scdiffuse._core.files import refuse_existing
    from scdiffuse.evaluation import audit as attack

    if output is not None:
        refuse_existing(output, overwrite=overwrite)
    report = attack(
        train,
        held_out,
        generated,
        by=by,
        donor=donor,
        layer=layer,
        seed=seed,
        max_cells=max_cells,
        progress=not no_progress,
    )
    say_report(report, output, as_json=as_json, overwrite=overwrite)


def say_report(report: EvaluationReport, output: Path | None, *, as_json: bool, overwrite: bool) -> None:
    """Show a report on the screen and write it where asked.

    Parameters
    ----------
    report
        The measures.
    output
        The ``.html`` file to write, if any.
    as_json
        Print numbers for a program instead of a table for a person.
    overwrite
        Replace the file.
    """
    if as_json:
        say_json(report.to_json())
    else:
        _show(report.table())
        typer.echo(repr(report))
    if output is not None:
        report.save(output, overwrite=overwrite)
        say(f"Report: {output}")


def _show(numbers: pd.DataFrame) -> None:
    """Draw value, floor and skill of each metric on the screen."""
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "value", "floor", "skill")
    for name, row in numbers.iterrows():
        table.add_row(str(name), *(_short(row[column]) for column in ("value", "floor", "skill")))
    Console().print(table)


def _short(number: float | None) -> str:
    return "" if number is None or math.isnan(number) else f"{number:.3f}"
