"""What all metrics share: checked arrays, seeded subsamples, blocks of distances, small results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from scdiffuse._core.errors import ConditionError, SettingError
from scdiffuse._core.random import generator

__all__ = [
    "Array",
    "Counts",
    "LabelScores",
    "Labelled",
    "LineFit",
    "as_csr",
    "check_labelled",
    "enough_labels",
    "equal_sizes",
    "fit_line",
    "paired",
    "shared_labels",
    "squared_blocks",
    "subsample",
]

Array: TypeAlias = NDArray[Any]
Counts: TypeAlias = sparse.csr_matrix | NDArray[Any]
"""Raw counts, CSR or dense."""
_BLOCK_ROWS = 1024


class Labelled(NamedTuple):
    """Cells with a label each."""

    values: Any
    """Features ``(N, F)``, or raw counts as CSR ``(N, G)``, as the function asks."""
    labels: Array
    """One label a cell, shape ``(N,)``, text."""


class LabelScores(NamedTuple):
    """One number per label, and their plain mean."""

    mean: float
    by_label: Mapping[str, float]


class LineFit(NamedTuple):
    """How generated values follow the real ones."""

    r: float
    """Pearson correlation."""
    slope: float
    """Slope of the total-least-squares line of generated on real; 1 is faithful, below 1 is attenuated."""


def fit_line(real: Array, generated: Array) -> LineFit:
    r"""Fit the line that generated values draw against real ones, with noise expected on both sides.

    Ordinary least squares would give a slope below 1 between two halves of one data set, because the real values carry
    sampling noise too. The major axis has no such bias when both sides are equally noisy:

    .. math:: b = \frac{s_{yy} - s_{xx} + \sqrt{(s_{yy} - s_{xx})^2 + 4 s_{xy}^2}}{2 s_{xy}}.

    Parameters
    ----------
    real, generated
        Paired values, shape ``(P,)`` each.

    Returns
    -------
    Correlation and slope; zero correlation and slope where one side does not vary.

    References
    ----------
    Deming regression with a variance ratio of 1 (Adcock 1878).

    Examples
    --------
    >>> fit_line(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.5, 1.0]))
    LineFit(r=1.0, slope=0.5)
    """
    x = np.asarray(real, dtype=np.float64) - np.mean(real)
    y = np.asarray(generated, dtype=np.float64) - np.mean(generated)
    xx, yy, xy = float(x @ x), float(y @ y), float(x @ y)
    if min(xx, yy) <= 0 or xy == 0:
        return LineFit(0.0, 0.0)
    slope = (yy - xx + float(np.hypot(yy - xx, 2 * xy))) / (2 * xy)
    return LineFit(float(np.round(xy / np.sqrt(xx * yy), 12)), slope)


def paired(real: Array, generated: Array, *, least: int = 2) -> tuple[Array, Array]:
    """Check two feature matrices against each other, as float64."""
    x, y = (np.ascontiguousarray(values, dtype=np.float64) for values in (real, generated))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        msg = (
            f"Real cells have shape {x.shape} and generated cells {y.shape}; expected two matrices with the same "
            "columns. Bring both to the same features first."
        )
        raise SettingError(msg)
    if min(len(x), len(y)) < least:
        msg = (
            f"Got {len(x)} real and {len(y)} generated cells; this metric needs at least {least} of each. Generate "
            "or hold out more cells."
        )
        raise SettingError(msg)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        msg = "The features hold NaN or infinite values; expected finite ones. Check the counts they were made from."
        raise SettingError(msg)
    return x, y


def check_labelled(cells: Labelled) -> Labelled:
    """Check that every cell has its label."""
    labels = np.asarray(cells.labels)
    if labels.shape != (cells.values.shape[0],):
        msg = (
            f"Got {cells.values.shape[0]} cells and labels of shape {labels.shape}; expected one label a cell. Pass "
            "the labels of the same cells."
        )
        raise SettingError(msg)
    return Labelled(cells.values, labels.astype(str))


def subsample(n: int, size: int, *, seed: int, stream: str) -> NDArray[np.int64]:
    """Choose ``size`` of ``n`` rows without replacement, in order; all of them when there are no more."""
    if size >= n:
        return np.arange(n, dtype=np.int64)
    return np.sort(generator(seed, "metrics", stream).choice(n, size=size, replace=False)).astype(np.int64)


def equal_sizes(real: Array, generated: Array, *, max_cells: int, seed: int) -> tuple[Array, Array]:
    """Draw equally many rows of both, at most ``max_cells`` each."""
    if max_cells < 2:
        msg = f"`max_cells` must be at least 2, got {max_cells}; raise it."
        raise SettingError(msg)
    size = min(len(real), len(generated), max_cells)
    rows = (subsample(len(cells), size, seed=seed, stream=f"equal {k}") for k, cells in enumerate((real, generated)))
    return real[next(rows)], generated[next(rows)]


def squared_blocks(x: Array, y: Array) -> Iterator[tuple[slice, Array]]:
    """Visit the squared Euclidean distances from blocks of ``x`` to all of ``y``."""
    # Centred first: |x|^2 - 2xy + |y|^2 cancels when the cloud lies far from the origin.
    centre = y.mean(axis=0)
    x, y = x - centre, y - centre
    y_norms = np.einsum("ij,ij->i", y, y)
    for start in range(0, len(x), _BLOCK_ROWS):
        block = x[start : start + _BLOCK_ROWS]
        squares = block @ y.T
        squares *= -2.0
        squares += y_norms
        squares += np.einsum("ij,ij->i", block, block)[:, None]
        yield slice(start, start + len(block)), np.maximum(squares, 0.0, out=squares)


def shared_labels(real: Labelled, generated: Labelled, *, min_cells: int) -> list[str]:
    """List the labels with enough cells on both sides, in order."""
    labels = [enough_labels(cells.labels, min_cells=min_cells) for cells in (real, generated)]
    shared = [label for label in labels[0] if label in set(labels[1])]
    if not shared:
        msg = (
            f"No label has at least {min_cells} cells in both the real and the generated cells; expected at least one. "
            "Compare cells that carry the same labels, or generate more of them."
        )
        raise ConditionError(msg)
    return shared


def enough_labels(labels: Array, *, min_cells: int) -> list[str]:
    """List the labels that at least ``min_cells`` cells carry, in order; the empty label is no label."""
    names, sizes = np.unique(np.asarray(labels).astype(str), return_counts=True)
    return [str(name) for name, size in zip(names, sizes, strict=True) if size >= min_cells and name]


def as_csr(counts: Counts) -> sparse.csr_matrix:
    """Take counts in any matrix form as CSR."""
    return counts if isinstance(counts, sparse.csr_matrix) else sparse.csr_matrix(counts)
