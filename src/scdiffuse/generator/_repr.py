"""What a notebook shows of a model."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from scdiffuse._core.html import html_card
from scdiffuse.model import FittedModel, History, ModelMetadata

__all__ = ["history_table", "model_card_html"]

_MOST_LABELS = 8


def model_card_html(metadata: ModelMetadata, model: FittedModel | None, history: History) -> str:
    """Describe a model in a card.

    Parameters
    ----------
    metadata
        Settings, conditions and genes.
    model
        What was learnt; `None` before the fit.
    history
        Losses along the fit.

    Returns
    -------
    One HTML element.
    """
    data, state = metadata.data, "fitted" if model else "not fitted"
    rows: dict[str, object] = {"cells": f"{data['n_cells']:,}", "genes": f"{len(metadata.var):,}"}
    for name, labels in metadata.conditions.categorical.items():
        rows[name] = _listed(labels)
    for name, seen in metadata.conditions.continuous.items():
        rows[name] = f"{seen.min:g} to {seen.max:g}"
    if model and model.classifiers:
        rows["classifiers"] = _listed(model.classifiers)
    for stage, points in history.items():
        if points:
            best = min(loss for _, _, loss in points)
            rows[f"{stage} loss"] = f"{best:.4g} on held-out cells, after {points[-1][0]:,} steps"
    note = "Next: model.generate(1000)" if model else "Next: model.fit()"
    return html_card(f"CellGenerator, {state}", rows, note=note)


def history_table(history: History) -> pd.DataFrame:
    """Write the losses along the fit as a table.

    Parameters
    ----------
    history
        Step, training loss and validation loss along each stage.

    Returns
    -------
    One row for each validation: ``stage``, ``step``, ``training_loss`` and ``validation_loss``.
    """
    rows = [(stage, *point) for stage, points in history.items() for point in points]
    table = pd.DataFrame(rows, columns=["stage", "step", "training_loss", "validation_loss"])
    return table.astype({"stage": "str", "step": "int64", "training_loss": "float64", "validation_loss": "float64"})


def _listed(labels: Mapping[str, object] | tuple[object, ...]) -> str:
    names, n = [str(label) for label in list(labels)[:_MOST_LABELS]], len(labels)
    more = f" and {n - len(names):,} more" if n > len(names) else ""
    return f"{', '.join(names)}{more}"
