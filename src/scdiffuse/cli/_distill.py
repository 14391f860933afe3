"""``scdiffuse distill``: a student that takes few steps, learnt after the fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scdiffuse.cli._options import NoProgress, Seed
from scdiffuse.cli._say import say

__all__ = ["distill"]


def distill(
    model: Annotated[Path, typer.Argument(help="Folder of a fitted model; it is changed.", show_default=False)],
    *,
    n_steps: Annotated[int, typer.Option(help="Steps that the student takes from noise to cells.")] = 2,
    n_paths: Annotated[int, typer.Option(help="Paths of the model to learn from.")] = 16_384,
    max_epochs: Annotated[
        int | None, typer.Option(help="Stop after so many passes over the paths; without it, when it stops improving.")
    ] = None,
    seed: Seed = 0,
    no_progress: NoProgress = False,
) -> None:
    """Teach a model to generate in few steps.

    Then generate with --solver student. No cells are needed.
    """
    from scdiffuse.generator import load

    fitted = load(model)
    fitted.distill(n_steps=n_steps, n_paths=n_paths, max_epochs=max_epochs, seed=seed, progress=not no_progress)
    fitted.save(model, overwrite=True)
    say(fitted.summary().splitlines()[-1])
    say(f"Model: {model}")
