"""``scdiffuse shard``: cells of any number of files as shards in random order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from scdiffuse.cli._cells import layer_named
from scdiffuse.cli._messages import show
from scdiffuse.cli._options import LabelTable, Layer, NoProgress, Overwrite, Seed, UseRaw

__all__ = ["shard"]


def shard(
    cells: Annotated[
        list[Path],
        typer.Argument(
            metavar="CELLS",
            help="Cells with raw counts: .h5ad, .zarr, .h5 and folders of 10x, .mtx, .loom, .csv, .tsv, or shards.",
            show_default=False,
        ),
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the shards.", show_default=False)],
    genes: Annotated[
        Literal["intersection", "union"],
        typer.Option(
            help="Genes that all files have (intersection), or that any file has (union, absent genes as zeros)."
        ),
    ] = "intersection",
    labels: LabelTable = None,
    layer: Layer = None,
    use_raw: UseRaw = False,
    cells_per_shard: Annotated[int, typer.Option(help="Cells in each shard; memory grows with this number.")] = 16_384,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Rewrite cells as shards in random order, to fit more cells than memory holds.

    The commands fit and inspect take the folder in place of a file.
    """
    from scdiffuse._core.folders import SHARDS
    from scdiffuse._core.outputs import require_folder
    from scdiffuse.cells import read_labels
    from scdiffuse.cells import shard as write_shards

    require_folder(output, kind=SHARDS, overwrite=overwrite, inputs=[*cells, labels])
    shards = write_shards(
        cells,
        output,
        labels=None if labels is None else read_labels(labels),
        layer=layer_named(layer, use_raw=use_raw),
        genes=genes,
        cells_per_shard=cells_per_shard,
        seed=seed,
        overwrite=overwrite,
        progress=not no_progress,
    )
    show(shards.report)
    show(f"Shards: {output}")
