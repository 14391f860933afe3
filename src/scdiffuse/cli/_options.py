"""Options that several commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from scdiffuse._core.endings import CELLS, FIGURES, require_ending
from scdiffuse._core.seeds import require_seed

__all__ = [
    "AsJson",
    "Away",
    "BatchSize",
    "By",
    "CellsPath",
    "Composition",
    "Device",
    "Devices",
    "Donor",
    "Figure",
    "Guidance",
    "GuidanceInterval",
    "LabelTable",
    "Layer",
    "MaxCells",
    "MaxEpochs",
    "Model",
    "NoProgress",
    "Overwrite",
    "ReportOutput",
    "Round",
    "Seed",
    "SolverSteps",
    "To",
    "Toward",
    "UseRaw",
]

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a fitted model.", show_default=False)]


def _seed(seed: int) -> int:
    require_seed(seed)
    return seed


def _h5ad(path: Path) -> Path:
    require_ending(path, CELLS)
    return path


def _figure(path: Path | None) -> Path | None:
    if path is not None:
        require_ending(path, FIGURES, name="figure")
    return path


CellsPath = Annotated[
    Path, typer.Option("-o", "--path", callback=_h5ad, help="The .h5ad file to write.", show_default=False)
]
Figure = Annotated[
    Path | None, typer.Option(callback=_figure, help="Draw the trajectory into this file (.png, .svg or .pdf).")
]
To = Annotated[
    list[str] | None,
    typer.Option(help="name=value of a condition to change; repeat for more. All others stay the cell's own."),
]

Layer = Annotated[
    str | None,
    typer.Option(help="Layer that holds the raw counts; without it X, or the one place of the file that holds counts."),
]
UseRaw = Annotated[bool, typer.Option("--use-raw", help="Read the counts of raw, with its genes.")]
Round = Annotated[
    bool, typer.Option("--round", help="Round counts with decimals, as SoupX makes them, to whole numbers.")
]
LabelTable = Annotated[
    Path | None,
    typer.Option(
        "--obs", help="A .csv or .tsv file with more columns of obs: one row a cell, named in the first column."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
Seed = Annotated[int, typer.Option(callback=_seed, help="The same seed gives the same result.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="Show no progress bars.")]
MaxEpochs = Annotated[
    int | None,
    typer.Option(help="Stop after this number of epochs; without it, when the validation loss stops improving."),
]

Guidance = Annotated[
    list[str] | None,
    typer.Option(
        help="Guidance scale of the conditions: 0 ignores them, 1 is the model as learnt, above 1 cells are more "
        "typical. A number for all conditions, or name=number; repeat for more."
    ),
]
Toward = Annotated[
    list[str] | None,
    typer.Option(help="name=label or name=label:scale: guide towards this label of a classifier; repeat for more."),
]
Away = Annotated[
    list[str] | None,
    typer.Option(
        help="name=label or name=label:scale: negative guidance, away from this label of a condition or classifier; "
        "repeat for more."
    ),
]
GuidanceInterval = Annotated[
    tuple[float, float],
    typer.Option(metavar="LOW HIGH", help="Times in which guidance acts, from 0 (data) to 1 (noise)."),
]
Composition = Annotated[
    Literal["joint", "additive"],
    typer.Option(
        help="joint guides by the combination of conditions as learnt; additive adds up what each condition does alone."
    ),
]
SolverSteps = Annotated[
    int | None, typer.Option(help="Steps of the ODE solver; fewer are faster. Without it, those of the model.")
]
BatchSize = Annotated[int, typer.Option(help="Cells computed at once. It changes memory and speed, never the cells.")]
Device = Annotated[str, typer.Option(help="Where to compute: cpu, or cuda for a GPU.")]
Devices = Annotated[
    int, typer.Option(help="Processes of this machine that share the work; with --device cuda, each has one GPU.")
]

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
By = Annotated[str | None, typer.Option(help="Column of obs; each metric is also computed for each of its labels.")]
Donor = Annotated[str | None, typer.Option(help="Column of obs that names the donor of each cell.")]
MaxCells = Annotated[int, typer.Option(help="Compare at most this number of cells of each kind.")]
ReportOutput = Annotated[Path | None, typer.Option("-o", "--output", help="Write the report to this .html file.")]
