"""``scdiffuse generate``: model folder in, cells out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from scdiffuse.cli._launch import spread
from scdiffuse.cli._options import (
    Avoid,
    Chunk,
    Device,
    Devices,
    Guidance,
    Guide,
    Interval,
    NoProgress,
    Overwrite,
    Seed,
)
from scdiffuse.cli._say import say
from scdiffuse.cli._steer import read_steering
from scdiffuse.cli._where import read_library_size, read_where, read_where_table

__all__ = ["generate"]


def generate(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="Folder of a fitted model.", show_default=False)],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The .h5ad file to write.", show_default=False)],
    n: Annotated[int | None, typer.Option("-n", help="Number of cells; without it, as many as were fitted.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="name=value of a condition; repeat for more. Others follow the training cells."),
    ] = None,
    where_table: Annotated[
        Path | None, typer.Option(help="A .csv of conditions: one row a cell, or rows with a number of cells n.")
    ] = None,
    guidance: Guidance = None,
    guide: Guide = None,
    avoid: Avoid = None,
    interval: Interval = None,
    composition: Annotated[
        Literal["joint", "additive"], typer.Option(help="Conditions together as learnt, or each alone, added up.")
    ] = "joint",
    library_size: Annotated[
        str | None, typer.Option(help="Counts per cell: 2000, or mean and standard deviation: 2000,500.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Solver steps; fewer is faster.")] = None,
    solver: Annotated[
        Literal["euler", "heun", "multistep", "distilled"] | None, typer.Option(help="How latents are integrated.")
    ] = None,
    chunk: Chunk = 4096,
    seed: Seed = 0,
    device: Device = "cpu",
    devices: Devices = 1,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Generate cells with integer counts."""
    from scdiffuse._core.errors import SettingError
    from scdiffuse._core.files import refuse_existing
    from scdiffuse._core.processes import Processes, joined
    from scdiffuse.generator import load

    if where and where_table:
        msg = "`--where` and `--where-table` are both given; expected one of them. Put all conditions into the table."
        raise SettingError(msg)
    refuse_existing(output, overwrite=overwrite)
    spread(context, devices)
    with joined(device):
        fitted = load(model, device=Processes.present().place(device))
        asked = read_where_table(where_table, fitted.conditions) if where_table else None
        made = fitted.generate(
            n,
            where=asked if asked is not None else read_where(where or [], fitted.conditions) or None,
            **read_steering(fitted, guidance=guidance, guide=guide, avoid=avoid, interval=interval),
            composition=composition,
            library_size=read_library_size(library_size) if library_size else None,
            steps=steps,
            solver=solver,
            chunk=chunk,
            seed=seed,
            to=output,
            overwrite=overwrite,
            progress=not no_progress,
        )
        say(f"Cells: {made}")
