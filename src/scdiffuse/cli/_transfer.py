"""``scdiffuse transfer``: cells in, the same cells under other conditions out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scdiffuse.cli._options import Avoid, Chunk, Guidance, Guide, Interval, Layer, NoProgress, Overwrite, Seed
from scdiffuse.cli._say import say
from scdiffuse.cli._steer import read_steering
from scdiffuse.cli._where import read_library_size, read_where

__all__ = ["transfer"]


def transfer(
    model: Annotated[Path, typer.Argument(help="Folder of a fitted model.", show_default=False)],
    cells: Annotated[Path, typer.Argument(help="The .h5ad with the cells.", show_default=False)],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The .h5ad file to write.", show_default=False)],
    to: Annotated[list[str] | None, typer.Option(help="name=value of a condition to change; repeat for more.")] = None,
    guidance: Guidance = None,
    guide: Guide = None,
    avoid: Avoid = None,
    interval: Interval = None,
    library_size: Annotated[
        str, typer.Option(help="'own' keeps the counts of each cell, 'generated' makes them anew; or a number.")
    ] = "own",
    steps: Annotated[int | None, typer.Option(help="Solver steps in each direction.")] = None,
    chunk: Chunk = 4096,
    layer: Layer = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Show given cells as they would be under other conditions."""
    from scdiffuse._core.files import atomic_file, refuse_existing
    from scdiffuse.generator import load

    refuse_existing(output, overwrite=overwrite)
    fitted = load(model)
    made = fitted.transfer(
        cells,
        read_where(to, fitted.conditions) if to else None,
        layer=layer,
        **read_steering(fitted, guidance=guidance, guide=guide, avoid=avoid, interval=interval),
        seed=seed,
        library_size={"own": "own", "generated": None}[library_size]
        if library_size in {"own", "generated"}
        else read_library_size(library_size),
        steps=steps,
        chunk=chunk,
        progress=not no_progress,
    )
    with atomic_file(output, overwrite=overwrite) as partial:
        made.write_h5ad(partial)
    say(f"Cells: {output}")
