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
    The folder can be used, and --resume continues the fit.
    """
    from scdiffuse._core.files import refuse_existing
    from scdiffuse._core.processes import Processes, joined
    from scdiffuse._core.slots import TRAINING_FILE
    from scdiffuse.generator import CellGenerator

    refuse_existing(output, overwrite=overwrite or resume)
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
        processes = Processes.present()
        if processes.is_first and output.exists() and not resume:
            _clear(output)
        processes.barrier()
        show(model.summary())
        try:
            model.fit(output, resume=resume, max_epochs=max_epochs, seed=seed, device=device, progress=not no_progress)
        except KeyboardInterrupt:  # pressed twice, or between two stages
            stopped, is_saved = True, (output / TRAINING_FILE).is_file()
        else:
            stopped, is_saved = model.was_stopped, True
            show(model.summary())
    if not stopped:
        show(f"Model: {output}")
        return
    if is_saved:
        show(f"The fit was stopped early. {output} can be used; to continue, run the same command with --resume.")
    raise typer.Exit(STOPPED)


def _clear(folder: Path) -> None:
    """Remove a model that will be replaced; anything that is not a model stays."""
    import shutil

    from scdiffuse._core.files import require_replaceable

    require_replaceable(folder)
    shutil.rmtree(folder)
