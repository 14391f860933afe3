"""Cells with a label each, and the labels that two samples share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from scdiffuse._core.errors import ConditionError, SettingError
from scdiffuse.metrics._feature_matrices import Array

__all__ = ["FEWEST_CONTRASTED", "LabelScores", "LabelledCells", "check_labelled", "frequent_labels", "shared_labels"]

FEWEST_CONTRASTED = 10
"""Fewest cells of a label on either side for its changes and its marker genes."""


class LabelledCells(NamedTuple):
    """Cells with a label each."""

    values: Any
    """Features ``(N, F)``, or raw counts as CSR ``(N, G)``, as the function asks."""
    labels: Array
    """One label a cell, shape ``(N,)``, text."""


class LabelScores(NamedTuple):
    """One number per label, and their plain mean."""

    mean: float
    by_label: Mapping[str, float]


def check_labelled(cells: LabelledCells) -> LabelledCells:
    """Check that every cell has its label."""
    labels = np.asarray(cells.labels)
    if labels.shape != (cells.values.shape[0],):
        msg = (
            f"Got {cells.values.shape[0]} cells and labels of shape {labels.shape}; expected one label a cell. Pass "
            "the labels of the same cells."
        )
        raise SettingError(msg)
    return LabelledCells(cells.values, labels.astype(str))


def shared_labels(real: LabelledCells, generated: LabelledCells, *, min_cells: int) -> list[str]:
    """List the labels with enough cells on both sides, in order."""
    labels = [frequent_labels(cells.labels, min_cells=min_cells) for cells in (real, generated)]
    shared = [label for label in labels[0] if label in set(labels[1])]
    if not shared:
        msg = (
            f"No label has at least {min_cells} cells in both the real and the generated cells; expected at least one. "
            "Compare cells that carry the same labels, or generate more of them."
        )
        raise ConditionError(msg)
    return shared


def frequent_labels(labels: Array, *, min_cells: int) -> list[str]:
    """List the labels that at least ``min_cells`` cells carry, in order; the empty label is no label."""
    names, sizes = np.unique(np.asarray(labels).astype(str), return_counts=True)
    return [str(name) for name, size in zip(names, sizes, strict=True) if size >= min_cells and name]
