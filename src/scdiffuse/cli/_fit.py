"""``scdiffuse fit``: a model of the cells in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scdiffuse._core.endings import PAGES, require_ending
from scdiffuse._core.errors import OutputExistsError, SettingError
from scdiffuse.cli._cells import choose_cells, evaluate_held_out, layer_named
from scdiffuse.cli._errors import STOPPED
from scdiffuse.cli._launch import spread
from scdiffuse.cli._messages import show
from scdiffuse.cli._options import (
    Device,
    Devices,
    LabelTable,
    Layer,
    MaxEpochs,
    NoProgress,
    Overwrite,
    Round,
    Seed,
    UseRaw,
)
from scdiffuse.cli._report import show_report
from scdiffuse.cli._settings import read_settings
from scdiffuse.cli._where import divide

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["fit"]

_HELD_OUT = 0.2


def as_page(path: Path | None) -> Path | None:
    """Check the ending of a report."""
    if path is not None:
        require_ending(path, PAGES, name="report")
    return path


def _held_out(share: float | None, report: Path | None, devices: int) -> float:
    """Return the fraction of cells to hold out."""
    share = share if share is not None else _HELD_OUT if report is not None else 0.0
    if not share and report is not None:
        msg = f"`--report` {str(report)!r} is given with `--hold-out 0`; expected cells to evaluate with."
        raise SettingError(msg + " Leave `--hold-out` out for a fifth of the cells.")
    if share and devices > 1:
        msg = f"`--hold-out {share:g}` is given with `--devices {devices}`; expected one process."
        raise SettingError(
            msg + " Run `scdiffuse split`, `scdiffuse fit` and `scdiffuse evaluate` one after the other."
        )
    return share


def _require_log(log: Path | None, inputs: Sequence[Path | None]) -> None:
    """Refuse to add lines to a file that is no log; a device or a pipe takes them as well."""
    from scdiffuse._core.outputs import require_output
    from scdiffuse._core.progress import is_progress_log

    if log is None or (log.exists() and not log.is_file() and not log.is_dir()):
        return
    require_output(log, overwrite=True, inputs=inputs)
    if log.is_file() and not is_progress_log(log):
        msg = f"`--log` {str(log)!r} holds something other than the log of a fit; expected a new file, or such a log."
        raise OutputExistsError(msg + " Choose another path.")


def _features(words: list[str], conditions: list[str]) -> dict[str, pd.DataFrame]:
    """Read the tables of ``condition=table.csv``."""
    from scdiffuse.cells import read_labels

    found = {}
    for word in words:
        name, equals, path = divide(word, conditions)
        if not equals or not path:
            msg = f"`--condition-features` {word!r} is no table of a condition; expected the condition, `=`, and"
            raise SettingError(msg + " the path of a table, such as perturbation=pathways.csv.")
        found[name] = read_labels(path)
    return found


def fit(
    context: typer.Context,
    cells: Annotated[
        list[Path],
        typer.Argument(
            metavar="CELLS",
            help="Cells with raw counts: .h5ad, .zarr, .h5 and folders of 10x, .mtx, .loom, .csv, .tsv, or shards.",
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
    condition_features: Annotated[
        list[str] | None,
        typer.Option(
            help="condition=table.csv: features of its labels, one row each, also of labels that no cell has; repeat."
        ),
    ] = None,
    labels: LabelTable = None,
    layer: Layer = None,
    use_raw: UseRaw = False,
    as_whole: Round = False,
    min_cells: Annotated[int, typer.Option(help="Leave out genes that are detected in fewer cells.")] = 10,
    max_epochs: MaxEpochs = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="name=value of a setting in config.json, such as diffusion.width=256; repeat for more."
        ),
    ] = None,
    hold_out: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=0.9, help="Fraction of cells to keep out of the fit and evaluate it with; 0.2 with --report."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write the report of the evaluation to this .html file.", callback=as_page)
    ] = None,
    organism: Annotated[
        str | None, typer.Option(help="Organism, for the model card; without it what uns says.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Study or collection of the cells, for the model card; without it what uns says.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the cells, for the model card; without it what uns says.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="Add progress and losses to this file as they come, one JSON object a line.")
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    devices: Devices = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted fit.")] = False,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Fit a model to the raw counts of cells in one file, several files or a folder of shards.

    Ctrl-C stops the fit early with exit code 130 and saves what the model has learnt; --resume continues the fit.
    With --overwrite, the model that is there is replaced when the new one is done.
    """
    from scdiffuse._core.folders import MODEL, is_free
    from scdiffuse._core.outputs import require_folder, require_output
    from scdiffuse._core.processes import joined
    from scdiffuse._core.progress import logging_progress
    from scdiffuse._core.slots import TRAINING_FILE
    from scdiffuse.fitting import state_folder
    from scdiffuse.generator import CellGenerator

    require_folder(output, kind=MODEL, overwrite=overwrite or resume, inputs=cells)
    layer, share = layer_named(layer, use_raw=use_raw), _held_out(hold_out, report, devices)
    if report is not None:
        require_output(report, overwrite=overwrite, inputs=[*cells, labels])
    _require_log(log, [*cells, labels])
    spread(context, devices)
    with joined(device), logging_progress(log):
        given = choose_cells(
            cells, layer=layer, round_counts=as_whole, labels=labels, share=share, by=condition, seed=seed
        )
        model = CellGenerator(
            given.fit,
            conditions=condition or [],
            continuous=continuous or [],
            layer=given.layer,
            round_counts=given.round_counts,
            min_cells=min_cells,
            condition_features=_features(condition_features or [], condition or []),
            config=read_settings(settings or []),
        ).set_origin(organism=organism, source=source, licence=licence)
        show(model.summary().removeprefix("Not fitted. "))
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
        if given.held_out is not None:
            scores = evaluate_held_out(model, given, seed=seed, progress=not no_progress)
            model.save(output, overwrite=True)
            show_report(scores, report, as_json=False, overwrite=overwrite)
        show(f"Model: {output}")
        return
    if is_saved:
        place = state_folder(output)
        kept = "" if place == output else f" {output} is as it was."
        kept = f"{place} holds what was learnt; to continue, run the same command with --resume.{kept}"
        show(f"The fit was stopped early. {kept}")
    raise typer.Exit(STOPPED)
