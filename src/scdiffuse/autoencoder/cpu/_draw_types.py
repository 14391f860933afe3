"""Types that compiled loops of drawing take: cells, genes, output and working memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scdiffuse.autoencoder.cpu._stream import State

__all__ = ["Cells", "Drawn", "Floats", "Genes", "Ints", "Workspace"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Cells(NamedTuple):
    """Cells to draw."""

    fractions: NDArray[np.float32]
    """Expression fraction of each gene, shape ``(B, G)``."""
    library_size: Ints
    """Counts of each cell, shape ``(B,)``."""
    keys: State
    """Key of the random stream of each cell, shape ``(B,)``."""
    shift: NDArray[np.float32]
    """What is added to the logs of inverse dispersions in each cell, shape ``(B,)``."""


class Genes(NamedTuple):
    """Distribution of the counts of each gene, each of shape ``(G,)``."""

    inverse_dispersion: Floats
    """Inverse dispersion."""
    outlier_rate: Floats
    """Outliers per expected count; 0 without the outlier component."""
    outlier_size: Floats
    """Mean counts of an outlier beyond the first, positive."""
    plain_fraction: Floats
    """Fraction of a gene's expected counts that are not outliers; 1 without the outlier component."""


class Drawn(NamedTuple):
    """Output buffers for the counts of cells, row by row, one longer than the most counts there can be."""

    starts: Ints
    """Where each cell starts, and the end of the last one, shape ``(B + 1,)``; the first is 0."""
    genes: NDArray[np.int32]
    """Detected genes, in rising order in each cell, shape ``(M,)``."""
    counts: NDArray[np.int32]
    """Counts of the detected genes, shape ``(M,)``."""


class Workspace(NamedTuple):
    """Buffers for the genes of a cell while it is drawn, each of shape ``(G,)``."""

    inverse_dispersion: Floats
    """Inverse dispersion in this cell."""
    mean: Floats
    """Expected counts without outliers."""
    single: Floats
    """Expected number of logarithmic clusters of one count."""
    growth: Floats
    """Expected further counts for each drawn count, as the means of all genes grow."""
    bound: Floats
    """Upper bound of the expected number of larger clusters and outliers."""
    level: Floats
    """Uniform numbers that are inverted to numbers of single counts."""
    power: Floats
    """Powers of 2."""
    factor: Floats
    """Factor that turns the power of 2 into the probability of no single count."""
