"""``scdiffuse audit``: whether generated cells reveal the training cells."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scdiffuse.cli._cells import with_labels
from scdiffuse.cli._report import show_report
from scdiffuse.cli._report_options import ReportOptions, takes_report_options

__all__ = ["audit"]


@takes_report_options
def audit(
    *,
    train: Annotated[Path, typer.Option(help="Cells that the model was fitted to.", show_default=False)],
    held_out: Annotated[Path, typer.Option(help="Real cells that the model was not fitted to.", show_default=False)],
    generated: Annotated[Path, typer.Option(help="Generated cells.", show_default=False)],
    shared: ReportOptions,
) -> None:
    """Test whether generated cells reveal the cells or donors that the model was fitted to (membership inference)."""
    from scdiffuse import evaluation

    shared.require_output([train, held_out, generated])
    layer = shared.counts_layer
    real = with_labels({"train": train, "held_out": held_out}, shared.labels, layer=layer, round_counts=shared.as_whole)
    report = evaluation.audit(
        real["train"],
        real["held_out"],
        generated,
        by=shared.by,
        donor=shared.donor,
        layer=layer,
        round_counts=shared.as_whole,
        seed=shared.seed,
        max_cells=shared.max_cells,
        progress=not shared.no_progress,
    )
    show_report(report, shared.output, as_json=shared.as_json, overwrite=shared.overwrite, tests=True)
