"""Gene factors from counts, shrunk towards 1 by a gamma prior."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["factor_variance", "shrunk_factors"]

Array = NDArray[np.float64]
_FEWEST_COUNTS = 1.0  # expected of a gene that says how much factors vary
_STEPS = 50


def shrunk_factors(counts: Array, mean: Array, *, n_cells: int, prior: float, gene_variance: float) -> Array:
    r"""Estimate the factor of each gene between counts and what is expected of them.

    .. math:: \frac{a + u_g x_g}{a + u_g e_g}, \qquad u_g = \frac{1}{1 + d\, e_g / n}

    is the mean of a factor with a gamma prior of mean 1 and shape :math:`a`, given Poisson counts of mean :math:`e_g`
    times the factor, which weigh less as cells differ.

    Parameters
    ----------
    counts
        Counts :math:`x` of :math:`n` cells, summed, shape ``(G,)``.
    mean
        Their expectation :math:`e`, the same shape.
    n_cells
        Number of cells.
    prior
        Shape :math:`a` of the prior, in counts.
    gene_variance
        Variance :math:`d` of the expression of a gene among the cells, over its square.
    """
    worth = 1 / (1 + gene_variance * mean / n_cells)
    return np.asarray((prior + worth * counts) / (prior + worth * mean))


def factor_variance(
    counts: Array, mean: Array, *, n_cells: int, gene_variance: float, limits: tuple[float, float]
) -> float:
    r"""Estimate the variance of the factors over genes, from the counts themselves.

    The variance of :math:`x_g / e_g` is that of the factors plus :math:`1 / e_g + d / n` by sampling. Genes weigh by
    the inverse square of the sum, so that the estimate is found by iteration.

    Parameters
    ----------
    counts, mean, n_cells, gene_variance
        As for `shrunk_factors`.
    limits
        Least and largest variance.

    References
    ----------
    DerSimonian and Laird 1986, https://doi.org/10.1016/0197-2456(86)90046-2 (the variance between studies by moments).
    """
    told = mean > _FEWEST_COUNTS
    found, sampled = np.square(counts[told] / mean[told] - 1), 1 / mean[told] + gene_variance / n_cells
    variance = limits[1]
    for _ in range(_STEPS if told.any() else 0):
        weights = 1 / np.square(variance + sampled)
        variance = float(np.clip((weights * (found - sampled)).sum() / weights.sum(), *limits))
    return variance
