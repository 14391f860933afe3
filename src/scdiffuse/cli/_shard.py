"""``scdiffuse shard``: cells in, a folder of shards in random order out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from scdiffuse.cli._options import Layer, NoProgress, Overwrite, Seed
from scdiffuse.cli._say import say

__all__ = ["shard"]


def shard(
    data: Annotated[
        list[Path], typer.Argument(help="Cells with raw counts: .h5ad files, .zarr or shards.", show_default=False)
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the shards.", show_default=False)],
    genes: Annotated[
        Literal["intersection", "union"],
        typer.Option(help="Where files differ, keep genes that all have, or that any has; absent ones count as zeros."),
    ] = "intersection",
    layer: Layer = None,
    cells_per_shard: Annotated[int, typer.Option(help="Cells in each shard; memory grows with it.")] = 16_384,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Rewrite cells in random order, so that fits beyond memory read them quickly.

    The folder can be given to fit and inspect in place of a file.
    """
    from scdiffuse.cells import shard as make_shards

    made = make_shards(
        data,
        output,
        layer=layer,
        genes=genes,
        cells_per_shard=cells_per_shard,
        seed=seed,
        overwrite=overwrite,
        progress=not no_progress,
    )
    say(made.report)
    say(f"Shards: {output}")
