"""Options that several commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "By", "Donor", "Layer", "MaxCells", "NoProgress", "Overwrite", "Report", "Seed"]

Layer = Annotated[str | None, typer.Option(help="Layer that holds the raw counts; without it, X.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that are already there.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="Show no progress bars.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
By = Annotated[str | None, typer.Option(help="Column of obs; every measure is also given for each of its labels.")]
Donor = Annotated[str | None, typer.Option(help="Column of obs that names the donor of each cell.")]
Report = Annotated[Path | None, typer.Option("-o", "--output", help="Write the report to this .html file.")]
MaxCells = Annotated[int, typer.Option(help="Compare at most so many cells of each kind.")]
