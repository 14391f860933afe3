"""``scdiffuse generate``: new cells from a fitted model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scdiffuse.cli._guidance import read_guidance
from scdiffuse.cli._launch import spread
from scdiffuse.cli._messages import show
from scdiffuse.cli._options import (
    Away,
    BatchSize,
    CellsPath,
    Composition,
    Device,
    Devices,
    Guidance,
    GuidanceInterval,
    Model,
    NoProgress,
    Overwrite,
    Seed,
    SolverSteps,
    Toward,
)
from scdiffuse.cli._where import read_library_size, read_where, read_where_table

__all__ = ["generate"]


def generate(
    context: typer.Context,
    model: Model,
    *,
    path: CellsPath,
    n_cells: Annotated[
        int | None,
        typer.Option("-n", "--n-cells", help="Number of cells; without it, as many as the model was fitted to."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="name=value of a condition; repeat for more. Conditions that are not named are drawn in the "
            "proportions of the training cells."
        ),
    ] = None,
    where_table: Annotated[
        Path | None,
        typer.Option(
            help="A .csv file with conditions as columns: one row a cell, or a column n_cells with numbers of cells."
        ),
    ] = None,
    guidance: Guidance = None,
    toward: Toward = None,
    away: Away = None,
    guidance_interval: GuidanceInterval = (0.0, 1.0),
    composition: Composition = "joint",
    library_size: Annotated[
        str | None,
        typer.Option(
            help="UMIs or reads a cell: 2000, or mean and standard deviation: 2000,500. Without it, as in the training "
            "cells."
        ),
    ] = None,
    solver: Annotated[
        str | None, typer.Option(help="ODE solver: euler, heun or multistep; without it, that of the model.")
    ] = None,
    solver_steps: SolverSteps = None,
    batch_size: BatchSize = 4096,
    seed: Seed = 0,
    device: Device = "cpu",
    devices: Devices = 1,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Generate cells with integer counts, of given conditions or in the proportions of the training cells."""
    from scdiffuse._core.errors import SettingError
    from scdiffuse._core.outputs import require_output
    from scdiffuse._core.processes import Processes, joined
    from scdiffuse.generator import load

    if where and where_table:
        msg = "`--where` and `--where-table` are both given; expected one of them. Put all conditions into the table."
        raise SettingError(msg)
    require_output(path, overwrite=overwrite, inputs=[model, where_table])
    spread(context, devices)
    with joined(device):
        fitted = load(model, device=Processes.present().place(device))
        table = read_where_table(where_table, fitted.conditions) if where_table else None
        written = fitted.generate(
            n_cells,
            where=table if table is not None else read_where("--where", where or [], fitted.conditions) or None,
            guidance=read_guidance(
                fitted, guidance, toward=toward, away=away, interval=guidance_interval, composition=composition
            ),
            library_size=read_library_size(library_size) if library_size else None,
            solver=solver,
            solver_steps=solver_steps,
            batch_size=batch_size,
            seed=seed,
            path=path,
            overwrite=overwrite,
            progress=not no_progress,
        )
        show(f"Cells: {written}")
