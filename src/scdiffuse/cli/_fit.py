"""``scdiffuse fit``: a model of the cells in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scdiffuse.cli._errors import STOPPED
from scdiffuse.cli._launch import spread
from scdiffuse.cli._messages import show
from scdiffuse.cli._options import Device, Devices, Layer, MaxEpochs, NoProgress, Overwrite, Seed
from scdiffuse.cli._settings import read_settings

__all__ = ["fit"]


def fit(
    context: typer.Context,
    cells: Annotated[
        list[Path],
        typer.Argument(
            metavar="CELLS",
            help="Cells with raw counts: .h5ad files, .zarr stores or folders of shards.",
            show_default=False,
        ),
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the model.", show_default=False)],
    condition: Annotated[
        list[str] | None,
        typer.Option("--condition", "-c", help="Column of obs with labels to generate by; repeat for more."),
    ] = None,
    continuous: Annotated[
        list[str] | None,
        typer.Option("--continuous", help="Column of obs with numbers to generate by; repeat for more."),
    ] = None,
    layer: Layer = None,
    min_cells: Annotated[int, typer.Option(help="Leave out genes that are detected in fewer cells.")] = 10,
    max_epochs: MaxEpochs = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="name=value of a setting in config.json, such as diffusion.width=256; repeat for more."
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    devices: Devices = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted fit.")] = False,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Fit a model to the raw counts of cells in one file, several files or a folder of shards.

    Ctrl-C stops the fit early with exit code 130 and saves what the model has learnt.
    The folder can be used, and --resume continues the fit. With --overwrite, the model that is there is
    replaced when the new one is done.
    """
    from scdiffuse._core.folders import MODEL, is_free
    from scdiffuse._core.outputs import require_folder
    from scdiffuse._core.processes import joined
    from scdiffuse._core.slots import TRAINING_FILE
    from scdiffuse.fitting import state_folder
    from scdiffuse.generator import CellGenerator

    require_folder(output, kind=MODEL, overwrite=overwrite or resume, inputs=cells)
    spread(context, devices)
    with joined(device):
        model = CellGenerator(
            cells,
            conditions=condition or [],
            continuous=continuous or [],
            layer=layer,
            min_cells=min_cells,
            config=read_settings(settings or []),
        )
        show(model.summary())
        if resume and is_free(output):
            show(f"Nothing is saved in {output} yet; the fit begins.")
        try:
            model.fit(
                output,
                resume=resume,
                overwrite=overwrite,
                max_epochs=max_epochs,
                seed=seed,
                device=device,
                progress=not no_progress,
            )
        except KeyboardInterrupt:  # pressed twice, or between two stages
            stopped, is_saved = True, (state_folder(output) / TRAINING_FILE).is_file()
        else:
            stopped, is_saved = model.was_stopped, True
            show(model.summary())
    if not stopped:
        show(f"Model: {output}")
        return
    if is_saved:
        place = state_folder(output)
        kept = "" if place == output else f" {output} is as it was."
        show(f"The fit was stopped early. {place} can be used; to continue, run the same command with --resume.{kept}")
    raise typer.Exit(STOPPED)
