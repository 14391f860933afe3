"""``scdiffuse fit``: counts in, model folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scdiffuse.cli._launch import spread
from scdiffuse.cli._options import Device, Devices, Layer, NoProgress, Overwrite, Seed
from scdiffuse.cli._say import STOPPED, say
from scdiffuse.cli._settings import read_settings

__all__ = ["fit"]


def fit(
    context: typer.Context,
    data: Annotated[
        list[Path], typer.Argument(help="Cells with raw counts: .h5ad files, .zarr or shards.", show_default=False)
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the model.", show_default=False)],
    condition: Annotated[
        list[str] | None, typer.Option("--condition", "-c", help="Column of obs with labels; repeat for more.")
    ] = None,
    continuous: Annotated[
        list[str] | None, typer.Option("--continuous", help="Column of obs with numbers; repeat for more.")
    ] = None,
    layer: Layer = None,
    min_cells: Annotated[int, typer.Option(help="Leave out genes found in fewer cells.")] = 10,
    max_epochs: Annotated[
        int | None, typer.Option(help="Stop after so many passes over the cells; without it, when it stops improving.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="name=value of a setting, as in config.json; repeat for more.")
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    devices: Devices = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted fit stopped.")] = False,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Fit a model to the cells of a file, of several, or of a folder of shards.

    Ctrl-C stops early with exit code 130 and keeps what was learnt so far.
    The folder loads and says that it was stopped; --resume goes on.
    """
    from scdiffuse._core.files import refuse_existing
    from scdiffuse._core.processes import Processes, joined
    from scdiffuse._core.slots import TRAINING_FILE
    from scdiffuse.generator import CellGenerator

    refuse_existing(output, overwrite=overwrite or resume)
    spread(context, devices)
    with joined(device):
        model = CellGenerator(
            data,
            conditions=condition or [],
            continuous=continuous or [],
            layer=layer,
            min_cells=min_cells,
            config=read_settings(settings or []),
        )
        processes = Processes.present()
        if processes.is_first and output.exists() and not resume:
            _clear(output)
        processes.wait()
        say(model.summary())
        try:
            model.fit(output, resume=resume, max_epochs=max_epochs, seed=seed, device=device, progress=not no_progress)
        except KeyboardInterrupt:  # pressed twice, or between two stages
            stopped, is_kept = True, (output / TRAINING_FILE).is_file()
        else:
            stopped, is_kept = model.was_stopped, True
            say(model.summary())
    if not stopped:
        say(f"Model: {output}")
        return
    if is_kept:
        say(f"The fit was stopped early. {output} can be used; to go on, run the same command with --resume.")
    raise typer.Exit(STOPPED)


def _clear(folder: Path) -> None:
    """Remove a model that is to be replaced, and nothing that is not a model."""
    import shutil

    from scdiffuse._core.files import require_replaceable

    require_replaceable(folder)
    shutil.rmtree(folder)
