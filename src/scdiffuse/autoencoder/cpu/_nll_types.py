"""What compiled functions know of counts and genes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CountedRows", "Few", "Floats", "GeneDispersions", "GeneSums", "Ints", "Slopes"]

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class CountedRows(NamedTuple):
    """The non-zero counts of cells, row by row."""

    starts: Ints
    """Where each cell starts, and one end more, shape ``(B + 1,)``."""
    genes: Ints
    """Gene of each count, shape ``(nnz,)``."""
    counts: Floats
    """Counts, at least 1, shape ``(nnz,)``."""
    totals: Floats
    """Counts a cell, shape ``(B,)``, at least 1."""
    weight: Floats
    """Weight of each cell, shape ``(B,)``."""
    top: Floats
    """The largest logit of each cell, shape ``(B,)``."""


class GeneDispersions(NamedTuple):
    """Distribution of the counts of each gene, each of shape ``(G,)``."""

    log_inverse_dispersion: Floats
    """Log of the inverse dispersion."""
    size: Floats
    """Inverse dispersion."""
    dispersion: Floats
    """One over it."""
    log_rate: Floats
    """Log of the bursts a count."""
    rate: Floats
    """Bursts a count; 0 for none."""
    outlier_size: Floats
    """Mean counts a burst beyond the first."""
    log_part: Floats
    """Log of the part of a gene's counts that is of no burst."""
    part: Floats
    """That part; 1 without any."""


class GeneSums(NamedTuple):
    """Derivatives of the misfit of all cells, each of shape ``(G,)``; what is found is added."""

    by_inverse_dispersion: Floats
    """By the log of the inverse dispersion."""
    by_part: Floats
    """By the log of the part that is of no burst."""
    by_zero_rate: Floats
    """By the bursts a count, as far as all counts were zeros."""
    by_rate: Floats
    """By the log of the bursts a count, for what the counts gain."""
    by_outlier_size: Floats
    """By the log of the counts a burst beyond the first."""


class Few(NamedTuple):
    """Some counts of a cell, each of shape ``(n,)``."""

    x: Floats
    """Counts."""
    log_factorial: Floats
    """Of the counts."""
    log_before: Floats
    """Log factorial of one count less."""
    log_mean: Floats
    """Log of the mean without bursts."""
    mean: Floats
    """That mean."""
    log_inverse_dispersion: Floats
    """Log of the inverse dispersion."""
    size: Floats
    """The inverse dispersion."""
    outlier_component: Floats
    """Bursts expected."""
    added: Floats
    """Counts of a burst, on average."""


class Slopes(NamedTuple):
    """Derivatives of what some counts gain over zeros, each of shape ``(n,)``."""

    by_mean: Floats
    """By the log of the mean without bursts."""
    by_inverse_dispersion: Floats
    """By the log of the inverse dispersion."""
    by_rate: Floats
    """By the log of the bursts a count."""
    by_outlier_size: Floats
    """By the log of the counts a burst beyond the first."""
