"""Types that compiled loops take: counts of cells, dispersion parameters of genes, sums of gradients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CellSums",
    "CountBlock",
    "CountRows",
    "Dispersions",
    "Floats",
    "GeneDispersions",
    "GeneSums",
    "Gradients",
    "Ints",
]

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class CountRows(NamedTuple):
    """The non-zero counts of cells, row by row."""

    starts: Ints
    """Where each cell starts, and the end of the last one, shape ``(B + 1,)``."""
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
    shift: Floats
    """What is added to the logs of inverse dispersions in each cell, shape ``(B,)``."""


class GeneDispersions(NamedTuple):
    """Dispersion parameters of the genes, each of shape ``(G,)`` unless it is one for all."""

    log_inverse_dispersion: Floats
    """Log of the inverse dispersion."""
    inverse_dispersion: Floats
    """Inverse dispersion."""
    dispersion: Floats
    """One over the inverse dispersion."""
    log_outlier_rate: Floats
    """Log of the outliers per expected count."""
    outlier_rate: Floats
    """Outliers per expected count; 0 without the outlier component."""
    outlier_size: Floats
    """Mean counts of an outlier beyond the first."""
    log_plain_fraction: Floats
    """Log of the fraction of a gene's expected counts that are not outliers."""
    plain_fraction: Floats
    """That fraction; 1 without the outlier component."""
    mean_exponent: np.float32
    """Exponent of the mean in inverse dispersions, one for all genes."""
    varies: bool
    """Whether dispersions vary between cells, by the mean and by the shift of a cell."""


class Dispersions(NamedTuple):
    """Dispersions in one cell, each of shape ``(G,)``."""

    log_inverse_dispersion: Floats
    """Log of the inverse dispersion."""
    inverse_dispersion: Floats
    """Inverse dispersion."""
    dispersion: Floats
    """One over the inverse dispersion."""
    log_mean: Floats
    """Log of the mean without outliers; filled only where dispersions depend on it."""
    slope: Floats
    """Gradient by the log of the inverse dispersion; filled only where dispersions depend on the cell."""


class CellSums(NamedTuple):
    """Gradients of the negative log-likelihood, summed over genes, each of shape ``(B,)``."""

    by_shift: Floats
    """By the shift of the logs of inverse dispersions."""
    by_exponent: Floats
    """By the exponent of the mean in inverse dispersions."""


class GeneSums(NamedTuple):
    """Gradients of the negative log-likelihood, summed over cells, each of shape ``(G,)``."""

    by_inverse_dispersion: Floats
    """By the log of the inverse dispersion."""
    by_plain_fraction: Floats
    """By the log of the fraction of counts that are not outliers."""
    by_zero_rate: Floats
    """By the outlier rate, from the terms that all counts have in common with zeros."""
    by_rate: Floats
    """By the log of the outlier rate, from the log-likelihood ratios of non-zero counts."""
    by_outlier_size: Floats
    """By the log of the outlier size."""


class CountBlock(NamedTuple):
    """Some non-zero counts of a cell with the parameters of their genes, each of shape ``(n,)``."""

    x: Floats
    """Counts."""
    log_factorial: Floats
    """Log factorials of the counts."""
    log_before: Floats
    """Log factorials of the counts minus 1."""
    log_mean: Floats
    """Log of the mean without outliers."""
    mean: Floats
    """Mean without outliers."""
    log_inverse_dispersion: Floats
    """Log of the inverse dispersion."""
    inverse_dispersion: Floats
    """Inverse dispersion."""
    expected_outliers: Floats
    """Expected number of outliers."""
    counts_per_outlier: Floats
    """Mean counts of an outlier."""


class Gradients(NamedTuple):
    """Gradients of the log-likelihood ratios of some counts, each of shape ``(n,)``."""

    by_mean: Floats
    """By the log of the mean without outliers."""
    by_inverse_dispersion: Floats
    """By the log of the inverse dispersion."""
    by_rate: Floats
    """By the log of the outlier rate."""
    by_outlier_size: Floats
    """By the log of the outlier size."""
