"""``scdiffuse trajectory``: intermediate states of cells between two conditions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from scdiffuse._core.errors import SettingError
from scdiffuse.cli._guidance import read_guidance
from scdiffuse.cli._messages import show
from scdiffuse.cli._options import (
    Away,
    BatchSize,
    CellsPath,
    Composition,
    Figure,
    Guidance,
    GuidanceInterval,
    Layer,
    Model,
    NoProgress,
    Overwrite,
    Seed,
    SolverSteps,
    To,
    Toward,
)
from scdiffuse.cli._where import read_to, read_where

__all__ = ["trajectory"]


def trajectory(
    model: Model,
    *,
    path: CellsPath,
    to: To = None,
    start: Annotated[Path | None, typer.Option(help="Start cells, in any format that fit reads.")] = None,
    start_where: Annotated[
        list[str] | None,
        typer.Option("--from", help="name=value: generate start cells of this condition instead; repeat for more."),
    ] = None,
    along: Annotated[
        str | None,
        typer.Option(
            help="Number that the states follow, such as time: labels change where training cells' labels do."
        ),
    ] = None,
    n_states: Annotated[int, typer.Option(help="States along the trajectory, start and target among them.")] = 10,
    keep: Annotated[
        float,
        typer.Option(help="How much of the start cell is kept, from 0 (nothing) to 1 (all); sets the noise level."),
    ] = 0.5,
    n_cells: Annotated[
        int | None,
        typer.Option(
            "-n", "--n-cells", help="Number of start cells; without it, all cells of --start, or 100 cells with --from."
        ),
    ] = None,
    method: Annotated[
        Literal["inversion", "partial_noising"],
        typer.Option(
            help="inversion maps each start cell to its noise (ODE inversion); partial_noising adds noise to it."
        ),
    ] = "inversion",
    guidance: Guidance = None,
    toward: Toward = None,
    away: Away = None,
    guidance_interval: GuidanceInterval = (0.0, 1.0),
    composition: Composition = "joint",
    solver_steps: SolverSteps = None,
    batch_size: BatchSize = 4096,
    figure: Figure = None,
    gene: Annotated[
        list[str] | None, typer.Option(help="Gene to show in the figure, by name or symbol; repeat for more.")
    ] = None,
    layer: Layer = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Generate the states between two conditions, such as two time points, for each start cell."""
    from scdiffuse._core.outputs import atomic_file, require_output
    from scdiffuse.generator import load
    from scdiffuse.sampling import plot_trajectory

    if (start is None) == (not start_where):
        msg = f"`--start` is {start and str(start)!r} and `--from` is {start_where or None}; expected one of them."
        raise SettingError(msg + " Name a file with start cells, or conditions to generate them with.")
    for output in (path, figure):
        if output is not None:
            require_output(output, overwrite=overwrite, inputs=[model, start])
    fitted = load(model)
    states = fitted.trajectory(
        start if start is not None else read_where("--from", start_where or [], fitted.conditions),
        read_to(to, fitted.conditions, instead={"`--toward`": toward}),
        along=along,
        n_states=n_states,
        keep=keep,
        n_cells=n_cells,
        method=method,
        guidance=read_guidance(
            fitted, guidance, toward=toward, away=away, interval=guidance_interval, composition=composition
        ),
        seed=seed,
        layer=layer,
        solver_steps=solver_steps,
        batch_size=batch_size,
        progress=not no_progress,
    )
    with atomic_file(path, overwrite=overwrite) as partial:  # before the figure, so that a wrong gene costs no cells
        states.write_h5ad(partial)
    show(f"Cells: {path}")
    if figure is not None:
        drawn = plot_trajectory(states, genes=gene or ())
        with atomic_file(figure, overwrite=overwrite) as partial:
            drawn.savefig(partial, format=figure.suffix.lstrip(".") or "png", dpi=150)
        show(f"Figure: {figure}")
