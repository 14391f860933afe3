"""``scdiffuse evaluate``: how close generated cells come to real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from scdiffuse.cli._cells import layer_named
from scdiffuse.cli._evaluate_perturbations import (
    Control,
    NDraws,
    NGenes,
    PerturbationKey,
    PredictedValues,
    evaluate_predictions,
)
from scdiffuse.cli._options import (
    AsJson,
    By,
    Donor,
    Layer,
    MaxCells,
    NoProgress,
    Overwrite,
    ReportOutput,
    Round,
    Seed,
    UseRaw,
)
from scdiffuse.cli._report import show_report

__all__ = ["evaluate"]


def evaluate(
    *,
    real: Annotated[Path, typer.Option(help="Real cells that the model was not fitted to.", show_default=False)],
    generated: Annotated[Path, typer.Option(help="Generated cells.", show_default=False)],
    output: ReportOutput = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="More real cells, for the real-vs-real reference; without them, half of the cells of --real."
        ),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(help="Cells that the model was fitted to, for baselines and to find memorised training cells."),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="Cells of the fitted model, for a parametric bootstrap; together with --refitted."),
    ] = None,
    refitted: Annotated[
        Path | None,
        typer.Option(help="Cells of a model that was fitted to cells of the fitted model; together with --truth."),
    ] = None,
    by: By = None,
    perturbation_key: PerturbationKey = None,
    control: Control = None,
    predicted_values: PredictedValues = "counts",
    n_genes: NGenes = None,
    n_draws: NDraws = 10,
    donor: Donor = None,
    layer: Layer = None,
    use_raw: UseRaw = False,
    as_whole: Round = False,
    suite: Annotated[Literal["quick", "full"], typer.Option(help="Metrics to compute.")] = "quick",
    metric: Annotated[list[str] | None, typer.Option(help="Compute only this metric; repeat for more.")] = None,
    model: Annotated[Path | None, typer.Option(help="Write the scores into the card of this model.")] = None,
    max_cells: MaxCells = 5000,
    n_seeds: Annotated[int, typer.Option(help="Number of draws of the cells, one a seed.")] = 3,
    seed: Seed = 0,
    as_json: AsJson = False,
    overwrite: Overwrite = False,
    no_progress: NoProgress = False,
) -> None:
    """Compare generated cells with real ones, next to a real-vs-real reference and baselines."""
    from scdiffuse import evaluation
    from scdiffuse._core.endings import PAGES, require_ending
    from scdiffuse._core.outputs import require_output

    if output is not None:
        require_ending(output, PAGES, name="output")
        require_output(output, overwrite=overwrite, inputs=[real, generated, reference, train, truth, refitted])
    layer = layer_named(layer, use_raw=use_raw)
    if perturbation_key is not None or control is not None:
        evaluate_predictions(
            real,
            generated,
            perturbation_key=perturbation_key,
            control=control,
            train=train,
            cell_type_key=by,
            layer=layer,
            predicted_values=predicted_values,
            n_genes=n_genes,
            n_draws=n_draws,
            max_cells=max_cells,
            seed=seed,
            progress=not no_progress,
            output=output,
            as_json=as_json,
            overwrite=overwrite,
            unused={
                "reference": reference,
                "truth": truth,
                "refitted": refitted,
                "donor": donor,
                "metric": metric,
                "as_whole": as_whole,
                "model": model,
                "suite": suite != "quick",
            },
        )
        return
    report = evaluation.evaluate(
        real,
        generated,
        reference=reference,
        train=train,
        truth=truth,
        refitted=refitted,
        by=by,
        donor=donor,
        layer=layer,
        round_counts=as_whole,
        suite=suite,
        metrics=metric,
        seed=seed,
        n_seeds=n_seeds,
        max_cells=max_cells,
        progress=not no_progress,
    )
    if model is not None:
        from scdiffuse.generator import load

        fitted = load(model)
        fitted.record_scores(report.to_json())
        fitted.save(model, overwrite=True)
    show_report(report, output, as_json=as_json, overwrite=overwrite)
