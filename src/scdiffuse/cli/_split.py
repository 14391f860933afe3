"""``scdiffuse split``: cells to fit, and cells to evaluate with."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from scdiffuse.cli._cells import layer_named, load_cells
from scdiffuse.cli._messages import show
from scdiffuse.cli._options import LabelTable, Layer, Overwrite, Round, Seed, UseRaw

__all__ = ["split"]

_FILES = ("fit.h5ad", "reference.h5ad", "held_out.h5ad")


def split(
    cells: Annotated[
        list[Path],
        typer.Argument(
            metavar="CELLS",
            help="Cells with raw counts: .h5ad, .h5 or folders of 10x, .loom, .csv and other files.",
            show_default=False,
        ),
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the files.", show_default=False)],
    by: Annotated[
        list[str] | None,
        typer.Option(help="Column of obs whose labels are in every part alike; repeat for combinations of several."),
    ] = None,
    donor: Annotated[
        str | None, typer.Option(help="Column of obs that names donors: all cells of a donor go to one file.")
    ] = None,
    fractions: Annotated[
        tuple[float, float, float],
        typer.Option(metavar="FIT REFERENCE HELD_OUT", help="Fractions of cells; they sum to 1."),
    ] = (0.6, 0.2, 0.2),
    labels: LabelTable = None,
    layer: Layer = None,
    use_raw: UseRaw = False,
    as_whole: Round = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Split cells into fit.h5ad, reference.h5ad and held_out.h5ad, to fit and to evaluate on different cells.

    With --overwrite the files of an earlier split are replaced, and removed where a part has no cells now.
    """
    from scdiffuse._core.outputs import atomic_file, require_output
    from scdiffuse.cells import split as split_cells

    files = [output / name for name in _FILES]
    for file in files:
        require_output(file, overwrite=overwrite, inputs=[*cells, labels])
    adata = load_cells(cells, layer=layer_named(layer, use_raw=use_raw), round_counts=as_whole, labels=labels)
    parts = split_cells(adata, by=by or None, donor=donor, fractions=fractions, seed=seed)
    with ExitStack() as written:  # the files take their places when all are complete
        for file, part in zip(files, parts, strict=True):
            if part.n_obs:
                part.write_h5ad(written.enter_context(atomic_file(file, overwrite=overwrite)))
    for file, part in zip(files, parts, strict=True):
        if part.n_obs:
            show(f"{part.n_obs:,} cells: {file}")
        elif file.is_file():  # of an earlier split, whose cells are in the other files now
            file.unlink()
            show(f"No cells: {file} of an earlier split is removed.")
