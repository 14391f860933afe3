"""Options that several commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AsJson",
    "Avoid",
    "By",
    "Chunk",
    "Device",
    "Devices",
    "Donor",
    "Guidance",
    "Guide",
    "Interval",
    "Layer",
    "MaxCells",
    "NoProgress",
    "Overwrite",
    "Report",
    "Seed",
]

Layer = Annotated[str | None, typer.Option(help="Layer that holds the raw counts; without it, X.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that are already there.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="Show no progress bars.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
By = Annotated[str | None, typer.Option(help="Column of obs; every measure is also given for each of its labels.")]
Donor = Annotated[str | None, typer.Option(help="Column of obs that names the donor of each cell.")]
Report = Annotated[Path | None, typer.Option("-o", "--output", help="Write the report to this .html file.")]
MaxCells = Annotated[int, typer.Option(help="Compare at most so many cells of each kind.")]
Guidance = Annotated[
    list[str] | None,
    typer.Option(
        help="How strongly conditions steer: 0 not at all, 1 as learnt, more is more typical. A number for all, or "
        "name=number; repeat for more."
    ),
]
Guide = Annotated[
    list[str] | None,
    typer.Option(help="classifier=label or classifier=label:strength to guide to; repeat for more."),
]
Avoid = Annotated[
    list[str] | None,
    typer.Option(help="name=label or name=label:strength to keep away from, of a condition or classifier."),
]
Interval = Annotated[str | None, typer.Option(help="Times in which guidance acts, of 0 (data) to 1 (noise): 0.2,0.8.")]
Chunk = Annotated[int, typer.Option(help="Cells made at once; changes memory and speed, never the cells.")]
Device = Annotated[str, typer.Option(help="Where to compute: cpu, or cuda for a GPU.")]
Devices = Annotated[
    int, typer.Option(help="Processes of this machine that share the work, with one GPU each if --device is cuda.")
]
