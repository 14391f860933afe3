"""``scdiffuse trajectory``: start cells in, their way to a target out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from scdiffuse._core.errors import SettingError
from scdiffuse.cli._options import Avoid, Chunk, Guidance, Guide, Interval, Layer, NoProgress, Overwrite, Seed
from scdiffuse.cli._say import say
from scdiffuse.cli._steer import read_steering
from scdiffuse.cli._where import read_where

__all__ = ["trajectory"]


def trajectory(
    model: Annotated[Path, typer.Argument(help="Folder of a fitted model.", show_default=False)],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The .h5ad file to write.", show_default=False)],
    to: Annotated[list[str] | None, typer.Option(help="name=value of a condition to change; repeat for more.")] = None,
    start: Annotated[Path | None, typer.Option(help="The .h5ad with the start cells.")] = None,
    begin: Annotated[
        list[str] | None, typer.Option("--from", help="name=value: generate start cells with this condition instead.")
    ] = None,
    n_steps: Annotated[int, typer.Option(help="States along the way, start and target among them.")] = 10,
    keep: Annotated[float, typer.Option(help="How much of the start cell is kept: 0 nothing, 1 all.")] = 0.5,
    n: Annotated[int | None, typer.Option("-n", help="Number of start cells.")] = None,
    via: Annotated[
        Literal["noising", "inversion"], typer.Option(help="Keep the start cell, or the noise that it comes from.")
    ] = "noising",
    guidance: Guidance = None,
    guide: Guide = None,
    avoid: Avoid = None,
    interval: Interval = None,
    steps: Annotated[int | None, typer.Option(help="Solver steps at each state.")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the trajectory into this file (.png, .svg or .pdf).")
    ] = None,
    gene: Annotated[list[str] | None, typer.Option(help="Gene to follow in the figure; repeat for more.")] = None,
    chunk: Chunk = 4096,
    layer: Layer = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Follow cells on their way from one state to another."""
    from scdiffuse._core.files import atomic_file, refuse_existing
    from scdiffuse.generator import load
    from scdiffuse.sampling import plot_trajectory

    if (start is None) == (not begin):
        msg = f"`--start` is {start and str(start)!r} and `--from` is {begin or None}; expected one of them."
        raise SettingError(msg + " Name a file with start cells, or conditions to generate them with.")
    for path in (output, figure):
        if path is not None:
            refuse_existing(path, overwrite=overwrite)
    fitted = load(model)
    made = fitted.trajectory(
        start if start is not None else read_where(begin or [], fitted.conditions),
        read_where(to, fitted.conditions) if to else None,
        n_steps=n_steps,
        keep=keep,
        n=n,
        via=via,
        **read_steering(fitted, guidance=guidance, guide=guide, avoid=avoid, interval=interval),
        seed=seed,
        layer=layer,
        steps=steps,
        chunk=chunk,
        progress=not no_progress,
    )
    drawn = plot_trajectory(made, genes=gene or ()) if figure is not None else None
    with atomic_file(output, overwrite=overwrite) as partial:
        made.write_h5ad(partial)
    say(f"Cells: {output}")
    if drawn is not None and figure is not None:
        with atomic_file(figure, overwrite=overwrite) as partial:
            drawn.savefig(partial, format=figure.suffix.lstrip(".") or "png", dpi=150)
        say(f"Figure: {figure}")
