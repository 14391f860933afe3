"""Evaluation of predicted perturbations of any method: `evaluate_perturbations`."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError
from scdiffuse._core.progress import Progress
from scdiffuse._core.version import __version__
from scdiffuse.evaluation._opening import CellsOrPath, open_cells
from scdiffuse.evaluation._reading import label_of, shared_genes
from scdiffuse.evaluation.perturbations._checks import check_features, check_settings
from scdiffuse.evaluation.perturbations._conditions import (
    Condition,
    ConditionCells,
    Expression,
    Keys,
    Predicted,
    as_number,
    holds_numbers,
    read_cells,
    read_means,
)
from scdiffuse.evaluation.perturbations._known import Known
from scdiffuse.evaluation.perturbations._notes import notes_on_labels, notes_on_scale, notes_on_scores
from scdiffuse.evaluation.perturbations._report import HeldOutRecord, PerturbationReport
from scdiffuse.evaluation.perturbations._scoring import (
    FEWEST_CELLS,
    FEWEST_TO_VARY,
    ConditionScores,
    Limits,
    score_condition,
)
from scdiffuse.evaluation.perturbations._summary import combine, summarise
from scdiffuse.metrics._feature_matrices import Array

__all__ = ["evaluate_perturbations"]


def evaluate_perturbations(  # noqa: PLR0913 - one flat call is what users write
    real: CellsOrPath,
    predicted: CellsOrPath | pd.DataFrame,
    *,
    perturbation_key: str,
    control: str | float,
    train: CellsOrPath | None = None,
    cell_type_key: str | None = None,
    layer: str | None = None,
    expression: Expression = "log1p",
    predicted_values: Expression = "counts",
    perturbation_features: pd.DataFrame | None = None,
    n_genes: int | None = None,
    n_top: int = 100,
    fdr: float = 0.05,
    seed: int = 0,
    n_draws: int = 10,
    max_cells: int = 1000,
    progress: bool = True,
) -> PerturbationReport:
    """Evaluate predicted perturbations of any method against real cells, beside baselines that anybody can compute.

    The held-out perturbations are those in ``predicted``, each in its cell type. In each draw one half of their real
    cells is compared with the prediction, with baselines, and with the other half, which is the ceiling: what a perfect
    prediction reaches with as many cells. Every change is taken from control cells of the same cell type.

    Parameters
    ----------
    real
        Real cells with raw counts: those of the held-out perturbations, and control cells of their types.
    predicted
        Predicted cells; those labelled as control are not used. Or a table of predicted means in the scale of
        ``expression``, for methods that predict no cells: a column a gene, a row a perturbation, which the index names,
        behind the cell type where there is ``cell_type_key``. Measures that need cells are blank then.
    perturbation_key
        Column of ``obs`` with the perturbation.
    control
        Its label of the control cells.
    train
        Cells that the method was fitted to, for the baselines: other perturbations and types, with control cells.
        Without them, all cells of ``real`` that are not held out. Held-out ones among them are left out.
    cell_type_key
        Column of ``obs`` with the cell type or another context; without it all cells are one.
    layer
        Layer with the raw counts; ``X``, or the one place that holds counts, when not given.
    expression
        The scale of all comparisons: ``"log1p"`` of counts per 10,000 (of the genes that all samples share), or the
        ``"counts"``.
    predicted_values
        What predicted cells hold: counts, or ``"log1p"`` of counts per 10,000, which is taken as it is.
    perturbation_features
        Features of the perturbations for regression and nearest neighbours, a row each: gene embeddings, drug
        fingerprints. Without them, numbers are their own features and genes have their loadings in control cells.
    n_genes
        Compare the genes that vary most among control and training cells; all if not given.
    n_top
        Number of the top genes, by their score in real cells, in measures of the top genes.
    fdr
        Genes below it are differentially expressed.
    seed
        Seed of halves, draws and shuffled genes.
    n_draws
        Number of halves to draw, two at least.
    max_cells
        Most cells a side in comparisons of cells.
    progress
        Show a progress bar when it takes longer than two seconds.

    Returns
    -------
    The report: verdict, and each measure for the prediction, every baseline, and real cells.

    Raises
    ------
    CountsError
        Cells hold other values than raw counts.
    GenesError
        The samples share too few genes.
    UnknownNameError
        A column or layer is unknown.
    ConditionError
        No predicted perturbation has enough real cells, or there are no control cells of its type; or features are
        missing or there twice.
    SettingError
        A number is out of range.
    DataFileError
        A path does not lead to readable cells.

    References
    ----------
    Mejia et al. 2026, https://icml.cc/virtual/2026/poster/63346 (weighted measures, and the interpolated duplicate of
    https://doi.org/10.1101/2025.10.20.683304); cell-eval, https://github.com/ArcInstitute/cell-eval.

    Examples
    --------
    >>> import scdiffuse as scd
    >>> cells = scd.datasets.pbmc68k_planted()
    >>> wanted = cells[cells.obs["condition"] == "stimulated"]
    >>> report = evaluate_perturbations(  # a cheat: real cells
    ...     cells, wanted, perturbation_key="condition", control="control", n_draws=2, progress=False
    ... )
    >>> report.measures["energy_distance"]["rows"]["control_cells"]["value"] > 1
    True
    """
    scales: dict[str, str] = {"expression": expression, "predicted_values": predicted_values}
    check_settings(scales, n_draws=n_draws, max_cells=max_cells, n_top=n_top, n_genes=n_genes, fdr=fdr, seed=seed)
    tables = {"real": open_cells(real, "real", layer=layer)}
    keys = _keys(tables["real"], perturbation_key, control, cell_type_key=cell_type_key, layer=layer)
    if train is not None:
        tables["train"] = open_cells(train, "train", layer=layer)
    given = _means_table(predicted) if isinstance(predicted, pd.DataFrame) else open_cells(predicted, "predicted")
    genes = shared_genes({**tables, "predicted": given})
    cells = {
        role: read_cells(table, role=role, keys=keys, genes=genes, expression=expression)
        for role, table in tables.items()
    }
    answer: Predicted = (
        read_means(predicted, keys=keys, genes=genes)
        if isinstance(predicted, pd.DataFrame)
        else read_cells(given, role="predicted", keys=keys, genes=genes, expression=expression, values=predicted_values)
    )
    notes = [*notes_on_labels(tables, keys)]
    check_features(perturbation_features, cells)
    asked = _asked(answer, keys)
    held_out = _held_out(asked, cells, keys, notes=notes)
    if expression == "log1p" and (isinstance(answer, dict) or predicted_values == "log1p"):
        notes += notes_on_scale(answer, cells["real"], held_out)
    fitted = _without(cells.get("train", cells["real"]), set(asked), notes, given="train" in cells)
    chosen = _most_variable(cells["real"], fitted, keys, n_genes=n_genes)
    known = Known(
        real=cells["real"].at_genes(chosen),
        train=fitted.at_genes(chosen),
        keys=keys,
        genes=genes[chosen],
        expression=expression,
        features=perturbation_features,
        seed=seed,
    )
    limits = Limits(n_draws=n_draws, max_cells=max_cells, n_top=n_top, fdr=fdr)
    with Progress("evaluate", len(held_out) * n_draws, unit="draws", enabled=progress) as bar:
        scored = [
            score_condition(one, _at_genes(answer, one, chosen), known=known, limits=limits, after_draw=bar.advance)
            for one in held_out
        ]
    return PerturbationReport(
        measures=summarise(combine([one.values for one in scored])),
        held_out=[_record(one) for one in scored],
        settings={
            "perturbation_key": perturbation_key,
            "control": keys.control,
            "cell_type_key": cell_type_key,
            "expression": expression,
            "predicted_values": predicted_values,
            "n_genes": int(chosen.size),
            "n_top": n_top,
            "fdr": fdr,
            "n_draws": n_draws,
            "max_cells": max_cells,
            "seed": seed,
            "version": __version__,
            "notes": [*notes, *notes_on_scores(scored)],
        },
    )


def _keys(
    real: ad.AnnData, perturbation: str, control: object, *, cell_type_key: str | None, layer: str | None
) -> Keys:
    """Name the columns, and the control as its column writes it, where ``"0.0"`` is typed for the number 0."""
    numeric = frozenset(key for key in (perturbation, cell_type_key) if key and holds_numbers(real.obs.get(key)))
    label = as_number(label_of(control)) if perturbation in numeric else label_of(control)
    return Keys(perturbation=perturbation, control=label, cell_type=cell_type_key, layer=layer, numeric=numeric)


def _means_table(table: pd.DataFrame) -> ad.AnnData:
    """Hold the genes of predicted means as a table of cells does."""
    names = pd.Index([str(name) for name in table.columns])
    return ad.AnnData(np.zeros((1, len(names)), np.float32), var=pd.DataFrame(index=names))


def _asked(answer: Predicted, keys: Keys) -> list[Condition]:
    """List the predicted conditions."""
    asked = answer.conditions if isinstance(answer, ConditionCells) else sorted(answer)
    asked = [one for one in asked if one.perturbation != keys.control]
    if not asked:
        msg = f"All of `predicted` is labelled {keys.control!r}, the control; expected predicted perturbations."
        raise ConditionError(msg + f" Label them in {keys.perturbation!r} with what they are predictions of.")
    return asked


def _held_out(
    asked: list[Condition], cells: dict[str, ConditionCells], keys: Keys, *, notes: list[str]
) -> list[Condition]:
    """List the predicted conditions that have enough real cells."""
    real, train = cells["real"], cells.get("train", cells["real"])
    few, lone = {}, set()
    for one in asked:
        control = keys.control_of(one)
        if 0 < (real.n_cells(control) or train.n_cells(control)) < FEWEST_TO_VARY:  # those of `train` stand in
            lone.add(one)
        if real.n_cells(one) < FEWEST_CELLS or one in lone:
            few[one] = real.n_cells(one)
    needed = f"{FEWEST_CELLS} real cells and {FEWEST_TO_VARY} control cells"
    if len(few) == len(asked):
        shown = [f"{one} ({n} cells{', 1 control cell' * (one in lone)})" for one, n in few.items()][:3]
        msg = f"No predicted perturbation has {needed}, expected one at least: {', '.join(shown)}."
        known = [str(one) for one in real.conditions][:3]
        raise ConditionError(msg + f" Labels of `real` are such as {known}; use the same in both.")
    if few:
        names = ", ".join(f"{one} ({n})" for one, n in few.items())
        notes.append(f"Not scored, with fewer than {needed}: {names}.")
    alone = [one for one in asked if keys.control_of(one) not in real and one not in few]
    if alone:
        notes.append(f"Control cells are those of `train`: {', '.join(map(str, alone))}.")
    return [one for one in asked if one not in few]


def _without(cells: ConditionCells, held_out: set[Condition], notes: list[str], *, given: bool) -> ConditionCells:
    """Leave held-out conditions out of the cells that baselines may use."""
    inside = sorted(held_out & set(cells.rows))
    if given and inside:
        notes.append(
            f"`train` holds cells of held-out perturbations: {', '.join(map(str, inside))}. Baselines do not see them. "
            "A method that was fitted to them has not predicted what it never saw."
        )
    return cells.without(held_out)


def _most_variable(
    real: ConditionCells, train: ConditionCells, keys: Keys, *, n_genes: int | None
) -> NDArray[np.int64]:
    """Choose genes by their variance among cells that no predictor is asked for."""
    n = real.expression.shape[1]
    if n_genes is None or n_genes >= n:
        return np.arange(n, dtype=np.int64)
    controls = [at for one, at in real.rows.items() if one.perturbation == keys.control]
    parts = [
        (train, list(train.rows.values())),
        *([] if train.expression is real.expression else [(real, controls)]),
    ]
    total = np.zeros((2, n))
    size = 0
    for cells, rows in parts:
        if rows:
            chosen = cells.expression[np.concatenate(rows)].astype(np.float64)
            total += [np.asarray(one.sum(axis=0)).ravel() for one in (chosen, chosen.multiply(chosen))]
            size += chosen.shape[0]
    variance = total[1] / size - (total[0] / size) ** 2
    return np.sort(np.argsort(-variance, kind="stable")[:n_genes]).astype(np.int64)


def _at_genes(answer: Predicted, condition: Condition, genes: NDArray[np.int64]) -> ConditionCells | Array:
    return answer.at_genes(genes) if isinstance(answer, ConditionCells) else answer[condition][genes]


def _record(scores: ConditionScores) -> HeldOutRecord:
    return {
        "cell_type": scores.condition.cell_type,
        "perturbation": scores.condition.perturbation,
        "n_real": scores.n_real,
        "n_predicted": scores.n_predicted,
        "n_cells": scores.n_cells,
        "n_others": scores.n_others,
        "measures": summarise(scores.values),
        "reasons": scores.reasons,
    }
