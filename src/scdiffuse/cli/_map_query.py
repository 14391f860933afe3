"""``scdiffuse map-query``: new donors or batches in a fitted model, by some of their cells."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scdiffuse.cli._messages import show
from scdiffuse.cli._options import Layer, Model, NoProgress, Overwrite

__all__ = ["map_query"]


def map_query(
    model: Model,
    cells: Annotated[
        Path,
        typer.Argument(
            metavar="CELLS", help="Cells of the new labels, of any format that fit reads.", show_default=False
        ),
    ],
    *,
    condition: Annotated[str, typer.Option(help="Condition whose new labels are added.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the new model.", show_default=False)],
    layer: Layer = None,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Map cells of new donors, batches or studies, of which there may be control cells only, without a new fit.

    MODEL stays as it is. The new model predicts and generates cells of the new labels.
    """
    from scdiffuse._core.folders import MODEL
    from scdiffuse._core.outputs import require_folder
    from scdiffuse.generator import load

    require_folder(output, kind=MODEL, overwrite=overwrite, inputs=[model, cells])
    mapped = load(model).map_query(cells, condition, layer=layer, progress=not no_progress)
    mapped.save(output, overwrite=overwrite)
    show(mapped.summary())
    show(f"Model: {output}")
