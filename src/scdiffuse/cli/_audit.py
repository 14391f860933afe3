"""``scdiffuse audit``: whether generated cells reveal the training cells."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scdiffuse.cli._cells import layer_named
from scdiffuse.cli._options import (
    AsJson,
    By,
    Donor,
    Layer,
    MaxCells,
    NoProgress,
    Overwrite,
    ReportOutput,
    Round,
    Seed,
    UseRaw,
)
from scdiffuse.cli._report import show_report

__all__ = ["audit"]


def audit(
    *,
    train: Annotated[Path, typer.Option(help="Cells that the model was fitted to.", show_default=False)],
    held_out: Annotated[Path, typer.Option(help="Real cells that the model was not fitted to.", show_default=False)],
    generated: Annotated[Path, typer.Option(help="Generated cells.", show_default=False)],
    output: ReportOutput = None,
    by: By = None,
    donor: Donor = None,
    layer: Layer = None,
    use_raw: UseRaw = False,
    as_whole: Round = False,
    max_cells: MaxCells = 5000,
    seed: Seed = 0,
    as_json: AsJson = False,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Test whether generated cells reveal the cells or donors that the model was fitted to (membership inference)."""
    from scdiffuse import evaluation
    from scdiffuse._core.endings import PAGES, require_ending
    from scdiffuse._core.outputs import require_output

    if output is not None:
        require_ending(output, PAGES, name="output")
        require_output(output, overwrite=overwrite, inputs=[train, held_out, generated])
    report = evaluation.audit(
        train,
        held_out,
        generated,
        by=by,
        donor=donor,
        layer=layer_named(layer, use_raw=use_raw),
        round_counts=as_whole,
        seed=seed,
        max_cells=max_cells,
        progress=not no_progress,
    )
    show_report(report, output, as_json=as_json, overwrite=overwrite, tests=True)
