"""``scdiffuse distill``: a model that generates in few steps, from a fitted one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scdiffuse.cli._messages import show
from scdiffuse.cli._options import MaxEpochs, Model, NoProgress, Overwrite, Seed

__all__ = ["distill"]


def distill(
    model: Model,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the distilled model.", show_default=False)],
    solver_steps: Annotated[int, typer.Option(help="Steps from noise to cells that the distilled model takes.")] = 2,
    n_paths: Annotated[int, typer.Option(help="Solver paths of MODEL to learn from.")] = 16_384,
    max_epochs: MaxEpochs = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Distil a model into one that generates in few solver steps.

    MODEL stays as it is. No cells are needed.
    """
    from scdiffuse._core.folders import MODEL
    from scdiffuse._core.outputs import require_folder
    from scdiffuse.generator import load

    require_folder(output, kind=MODEL, overwrite=overwrite, inputs=[model])
    fast = load(model).distill(
        solver_steps=solver_steps, n_paths=n_paths, max_epochs=max_epochs, seed=seed, progress=not no_progress
    )
    fast.save(output, overwrite=overwrite)
    show(fast.summary())
    show(f"Model: {output}")
