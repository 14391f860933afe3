"""``scdiffuse add-classifier``: a label to guide to, learnt after the fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from scdiffuse.cli._options import Layer, NoProgress, Seed
from scdiffuse.cli._say import say

__all__ = ["add_classifier"]


def add_classifier(
    model: Annotated[Path, typer.Argument(help="Folder of a fitted model; it is changed.", show_default=False)],
    data: Annotated[Path, typer.Argument(help="Labelled cells with raw counts, a .h5ad file.", show_default=False)],
    *,
    name: Annotated[str, typer.Option(help="What to call the classifier.", show_default=False)],
    obs_key: Annotated[str | None, typer.Option(help="Column of obs to learn; without it, the name.")] = None,
    kind: Annotated[
        Literal["categorical", "continuous"] | None,
        typer.Option(help="What the column holds; without it, fractions are numbers and all others labels."),
    ] = None,
    library_size: Annotated[
        bool, typer.Option("--library-size", help="Let the classifier look at the library size too.")
    ] = False,
    layer: Layer = None,
    max_epochs: Annotated[
        int | None, typer.Option(help="Stop after so many passes over the cells; without it, when it stops improving.")
    ] = None,
    seed: Seed = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the classifier of that name.")] = False,
    no_progress: NoProgress = False,
) -> None:
    """Teach a model a label, to guide generation to it.

    The label may be one that the model never saw, and the cells others than it was fitted to.
    """
    from scdiffuse.generator import load

    fitted = load(model)
    fitted.add_classifier(
        name,
        data,
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
    say(fitted.summary().splitlines()[-1])
    say(f"Model: {model}")
