"""``scdiffuse evaluate``: how close generated cells come to real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from scdiffuse.cli._cells import with_labels
from scdiffuse.cli._evaluate_perturbations import (
    Control,
    NDraws,
    NGenes,
    PerturbationKey,
    PredictedValues,
    evaluate_predictions,
)
from scdiffuse.cli._messages import show_warning
from scdiffuse.cli._report import show_report
from scdiffuse.cli._report_options import ReportOptions, takes_report_options

__all__ = ["evaluate"]


@takes_report_options
def evaluate(
    *,
    real: Annotated[Path, typer.Option(help="Real cells that the model was not fitted to.", show_default=False)],
    generated: Annotated[Path, typer.Option(help="Generated cells.", show_default=False)],
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
    perturbation_key: PerturbationKey = None,
    control: Control = None,
    predicted_values: PredictedValues = "counts",
    n_genes: NGenes = None,
    n_draws: NDraws = 10,
    suite: Annotated[Literal["quick", "full"], typer.Option(help="Metrics to compute.")] = "quick",
    metric: Annotated[list[str] | None, typer.Option(help="Compute only this metric; repeat for more.")] = None,
    model: Annotated[Path | None, typer.Option(help="Write the scores into the card of this model.")] = None,
    n_seeds: Annotated[int, typer.Option(help="Number of draws of the cells, one a seed.")] = 3,
    shared: ReportOptions,
) -> None:
    """Compare generated cells with real ones, next to a real-vs-real reference and baselines."""
    from scdiffuse import evaluation

    shared.require_output([real, generated, reference, train, truth, refitted])
    layer = shared.counts_layer
    cells = with_labels(
        {"real": real, "reference": reference, "train": train},
        shared.labels,
        layer=layer,
        round_counts=shared.as_whole,
    )
    if perturbation_key is not None or control is not None:
        evaluate_predictions(
            cells["real"],
            generated,
            perturbation_key=perturbation_key,
            control=control,
            train=cells.get("train"),
            predicted_values=predicted_values,
            n_genes=n_genes,
            n_draws=n_draws,
            shared=shared,
            unused={
                "reference": reference,
                "truth": truth,
                "refitted": refitted,
                "metric": metric,
                "model": model,
                "suite": suite != "quick",
            },
        )
        return
    if model is not None:
        from scdiffuse.generator import load

        load(model)  # a mistake is told before the work
    report = evaluation.evaluate(
        cells["real"],
        generated,
        reference=cells.get("reference"),
        train=cells.get("train"),
        truth=truth,
        refitted=refitted,
        by=shared.by,
        donor=shared.donor,
        layer=layer,
        round_counts=shared.as_whole,
        suite=suite,
        metrics=metric,
        seed=shared.seed,
        n_seeds=n_seeds,
        max_cells=shared.max_cells,
        progress=not shared.no_progress,
    )
    for title, why in report.settings["not_scored"].items() if metric else ():
        show_warning(f"{title}: not scored, {why}")
    show_report(report, shared.output, as_json=shared.as_json, overwrite=shared.overwrite)
    if model is not None:
        fitted = load(model)  # again, as it may have changed meanwhile
        fitted.record_scores(report.to_json())
        fitted.save(model, overwrite=True)
