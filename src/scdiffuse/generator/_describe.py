"""What a fitted model knows, as plain values for a program that shows it."""

from __future__ import annotations

from typing import Any

from scdiffuse.generator._base import GeneratorBase
from scdiffuse.generator._classifiers import ClassifierMixin

__all__ = ["describe_generator"]


def describe_generator(model: GeneratorBase) -> dict[str, Any]:
    """Collect what a model was fitted to and how well it learnt.

    Parameters
    ----------
    model
        The fitted model.

    Returns
    -------
    ``n_cells``, ``n_genes``, ``n_parameters``, ``summary``, ``was_stopped``, ``conditions`` (training cells by label),
    ``continuous`` (ranges), ``classifiers``, ``can_guide``, ``history``, ``scores`` and ``solver_steps``.
    """
    fitted = model._fitted("describe_generator")
    data, conditions = model._metadata.data, model.conditions
    held = model.classifiers if isinstance(model, ClassifierMixin) else {}
    return {
        "n_cells": data["n_cells"],
        "n_genes": len(model.genes),
        "n_parameters": model.n_parameters,
        "summary": model.summary(),
        "was_stopped": model.was_stopped,
        "conditions": {
            name: [{"label": str(label), "n": data["labels"].get(name, {}).get(str(label), 0)} for label in labels]
            for name, labels in conditions.categorical.items()
        },
        "continuous": {
            name: {"low": seen.min, "high": seen.max, "mean": seen.mean} for name, seen in conditions.continuous.items()
        },
        "classifiers": {
            name: {"kind": one["kind"], "labels": list(one.get("labels", {}))} for name, one in held.items()
        },
        "can_guide": fitted.distilled is None,
        "history": {stage: [list(point) for point in points] for stage, points in model.history.items()},
        "scores": model._scores,
        "solver_steps": model.config.diffusion.solver_steps,
    }
