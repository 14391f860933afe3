"""``scdiffuse predict``: given cells under other conditions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scdiffuse.cli._guidance import read_guidance
from scdiffuse.cli._messages import show
from scdiffuse.cli._options import (
    Away,
    BatchSize,
    CellsPath,
    Composition,
    Guidance,
    GuidanceInterval,
    Layer,
    Model,
    NoProgress,
    Overwrite,
    Seed,
    SolverSteps,
    Toward,
)
from scdiffuse.cli._where import read_library_size, read_screen

__all__ = ["predict"]


def predict(
    model: Model,
    cells: Annotated[
        Path, typer.Argument(metavar="CELLS", help="The cells, of any format that fit reads.", show_default=False)
    ],
    *,
    path: CellsPath,
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="name=value of a condition to change; repeat for more. All others stay the cell's own. Repeated for "
            "one condition, a screen: the cells under each of its values."
        ),
    ] = None,
    guidance: Guidance = None,
    toward: Toward = None,
    away: Away = None,
    guidance_interval: GuidanceInterval = (0.0, 1.0),
    composition: Composition = "joint",
    library_size: Annotated[
        str,
        typer.Option(
            help="own keeps the library size of each cell, generated lets the model draw it; or UMIs or reads a cell: "
            "2000, or mean and standard deviation: 2000,500."
        ),
    ] = "own",
    solver_steps: SolverSteps = None,
    batch_size: BatchSize = 4096,
    layer: Layer = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Predict given cells under other conditions, such as a perturbation (counterfactual prediction)."""
    from scdiffuse._core.outputs import atomic_file, require_output
    from scdiffuse.generator import load

    require_output(path, overwrite=overwrite, inputs=[model, cells])
    fitted = load(model)
    predicted = fitted.predict(
        cells,
        read_screen(to, fitted.conditions, instead={"`--toward`": toward, "`--away`": away}),
        layer=layer,
        guidance=read_guidance(
            fitted, guidance, toward=toward, away=away, interval=guidance_interval, composition=composition
        ),
        seed=seed,
        library_size={"own": "own", "generated": None}[library_size]
        if library_size in {"own", "generated"}
        else read_library_size(library_size),
        solver_steps=solver_steps,
        batch_size=batch_size,
        progress=not no_progress,
    )
    with atomic_file(path, overwrite=overwrite) as partial:
        predicted.write_h5ad(partial)
    show(f"Cells: {path}")
