"""``scdiffuse evaluate --perturbation-key``: how good predicted perturbations are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scdiffuse._core.errors import DataFileError, SettingError
from scdiffuse.cli._messages import show, show_json, show_result

if TYPE_CHECKING:
    import pandas as pd

    from scdiffuse.cli._report_options import ReportOptions
    from scdiffuse.evaluation import PerturbationReport
    from scdiffuse.evaluation._opening import CellsOrPath
    from scdiffuse.evaluation.perturbations import RowRecord

__all__ = ["Control", "NDraws", "NGenes", "PerturbationKey", "PredictedValues", "evaluate_predictions"]

PerturbationKey = Annotated[
    str | None,
    typer.Option(help="Column of obs with the perturbation: evaluate predicted perturbations, beside baselines."),
]
Control = Annotated[str | None, typer.Option(help="Label of the control cells; together with --perturbation-key.")]
PredictedValues = Annotated[
    Literal["counts", "log1p"],
    typer.Option(help="What predicted cells hold: counts, or log1p of counts per 10,000; with --perturbation-key."),
]
NGenes = Annotated[int | None, typer.Option(help="Compare the genes that vary most, so many; with --perturbation-key.")]
NDraws = Annotated[int, typer.Option(help="Halves of the real cells to draw; with --perturbation-key.")]
_TABLES = {".csv": ",", ".tsv": "\t"}


def evaluate_predictions(
    real: CellsOrPath,
    predicted: Path,
    *,
    perturbation_key: str | None,
    control: str | None,
    train: CellsOrPath | None,
    predicted_values: Literal["counts", "log1p"],
    n_genes: int | None,
    n_draws: int,
    shared: ReportOptions,
    unused: Mapping[str, object],
) -> None:
    """Evaluate predicted perturbations, and show the result.

    Parameters
    ----------
    real, predicted, perturbation_key, control, train, predicted_values, n_genes, n_draws
        As for `scdiffuse.evaluation.evaluate_perturbations`; ``predicted`` may be a table of means.
    shared
        How real cells are read and compared, and where the result goes; ``by`` tells cell types apart.
    unused
        Options of the evaluation of cells, by name, which say nothing here.

    Raises
    ------
    SettingError
        An option is missing, or has no meaning here.
    """
    from scdiffuse.evaluation import evaluate_perturbations

    if perturbation_key is None or control is None:
        given, lacking = (
            ("control", "perturbation_key") if perturbation_key is None else ("perturbation_key", "control")
        )
        msg = f"`{given}` is given without `{lacking}`, expected both. Pass `{lacking}` too."
        raise SettingError(msg)
    unused = {**unused, "donor": shared.donor, "as_whole": shared.as_whole}
    named = [name for name, value in unused.items() if value]
    if named:
        msg = f"`{named[0]}` is given with `perturbation_key`, expected without: it is about cells as a whole."
        raise SettingError(msg + " Leave one of them out.")
    report = evaluate_perturbations(
        real,
        _read(predicted, levels=1 if shared.by is None else 2),
        perturbation_key=perturbation_key,
        control=control,
        train=train,
        cell_type_key=shared.by,
        layer=shared.counts_layer,
        predicted_values=predicted_values,
        n_genes=n_genes,
        n_draws=n_draws,
        max_cells=shared.max_cells,
        seed=shared.seed,
        progress=not shared.no_progress,
    )
    if shared.as_json:
        show_json(report.to_json())
    else:
        show_result(report.verdict)
        _show_table(report)
        for note in report.settings["notes"]:
            show_result(note)
    if shared.output is not None:
        report.save(shared.output, overwrite=shared.overwrite)
        show(f"Report: {shared.output}")


def _read(path: Path, *, levels: int) -> Path | pd.DataFrame:
    """Read a table of predicted means; cells stay in their file."""
    if path.suffix.lower() not in _TABLES:
        return path
    import pandas as pd

    try:
        # Names are text as it is written: `005` and `NA` are labels too.
        table = pd.read_csv(path, sep=_TABLES[path.suffix.lower()], converters=dict.fromkeys(range(levels), str))
        has_header = isinstance(table.index, pd.RangeIndex)  # otherwise names have none, as R writes them
        return table.set_index(list(table.columns[:levels])) if has_header else table
    except (OSError, ValueError) as error:
        msg = f"`predicted` {str(path)!r} cannot be read as a table: {error}. Write one row a condition, with its name"
        raise DataFileError(msg + " first and a column a gene.") from error


def _show_table(report: PerturbationReport) -> None:
    """Print prediction, score, best baseline and real cells of each measure."""
    from rich.console import Console
    from rich.table import Table

    from scdiffuse.evaluation.perturbations import LEVEL_WORDS, TITLES

    table = Table("measure", "prediction", "score", "best baseline", "real cells", "")
    for one in report.measures.values():
        held = one["rows"]["prediction"]
        if held is None:
            continue
        best = "" if one["best"] is None else f"{_short(one['rows'][one['best']])} {TITLES[one['best']]}"
        score = "" if one["normalised"] is None else f"{one['normalised']:.2f}"
        table.add_row(
            one["title"], _short(held), score, best, _short(one["rows"]["real_half"]), LEVEL_WORDS[one["level"]]
        )
    Console().print(table)


def _short(held: RowRecord | None) -> str:
    return "" if held is None else f"{held['value']:.3f}"
