"""``scdiffuse add-classifier``: a label that a fitted model can be guided towards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from scdiffuse._core.text import one_line
from scdiffuse.cli._messages import show
from scdiffuse.cli._options import Layer, MaxEpochs, NoProgress, Seed

__all__ = ["add_classifier"]


def add_classifier(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="Folder of a fitted model; the classifier is saved into it.", show_default=False
        ),
    ],
    cells: Annotated[
        Path,
        typer.Argument(
            metavar="CELLS", help="Labelled cells with raw counts, of any format that fit reads.", show_default=False
        ),
    ],
    *,
    name: Annotated[str, typer.Option(help="Name of the classifier.", show_default=False)],
    obs_key: Annotated[str | None, typer.Option(help="Column of obs to learn; without it, the name.")] = None,
    kind: Annotated[
        Literal["categorical", "continuous"] | None,
        typer.Option(help="Type of the column; without it, fractional numbers are continuous, all else categorical."),
    ] = None,
    library_size: Annotated[
        bool, typer.Option("--library-size", help="Let the classifier use the library size too.")
    ] = False,
    layer: Layer = None,
    max_epochs: MaxEpochs = None,
    seed: Seed = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the classifier of that name.")] = False,
    no_progress: NoProgress = False,
) -> None:
    """Train a classifier, so that generate, predict and trajectory can guide --toward its labels.

    The labels may be new to the model, and the cells others than those it was fitted to.
    """
    from scdiffuse.generator import load

    fitted = load(model)
    fitted.add_classifier(
        name,
        cells,
        obs_key=obs_key,
        kind=kind,
        library_size=library_size,
        layer=layer,
        max_epochs=max_epochs,
        seed=seed,
        overwrite=overwrite,
        progress=not no_progress,
    )
    fitted.save(model, overwrite=True)
    said = f"Classifier {one_line(name)}: "
    show("\n".join(line for line in fitted.summary().splitlines() if line.startswith(said)))
    show(f"Model: {model}")
