"""Counts drawn for several genes at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

__all__ = ["OutlierComponent", "draw_counts"]

Floats = NDArray[np.float64]


class OutlierComponent(NamedTuple):
    """How often genes burst, and how far."""

    rate: Floats
    """Bursts a count, shape ``(G,)``."""
    size: Floats
    """Mean counts a burst beyond the first, shape ``(G,)``."""


def draw_counts(
    fractions: NDArray[np.float32],
    library_size: NDArray[np.int64],
    *,
    size: Floats,
    outlier_component: OutlierComponent | None,
    keys: NDArray[np.uint64],
) -> sp.csr_matrix:
    r"""Draw the counts of cells from a negative binomial, with bursts or without, then bring them to their total.

    A negative binomial is a Poisson number of clumps, :math:`r \log(1 + \mu / r)` on average, each of a logarithmic
    number of counts. Those of one count are drawn for several genes at once; a walk places larger ones and bursts.

    Parameters
    ----------
    fractions
        Share of each gene, shape ``(B, G)``, rows summing to 1.
    library_size
        Counts a cell shall have, shape ``(B,)``.
    size
        Inverse dispersion, shape ``(G,)``.
    outlier_component
        Bursts of genes; `None` for none.
    keys
        Key of the random stream of each cell, shape ``(B,)``.

    Returns
    -------
    Counts, shape ``(B, G)``, ``int32``; row sums equal `library_size`.

    References
    ----------
    Quenouille 1949, https://doi.org/10.2307/3001556 (the negative binomial as a Poisson sum of logarithmic clumps).
    """
    # The compiler takes half a second to import, which only those who draw shall wait for.
    from scdiffuse.autoencoder.cpu._draw_kernels import Cells, Drawn, Genes, draw_cells

    n_cells, n_genes = fractions.shape
    rate, outlier_size = outlier_component or OutlierComponent(np.zeros_like(size), np.ones_like(size))
    n_most = int(np.minimum(library_size, n_genes).sum()) + 1
    drawn = Drawn(np.zeros(n_cells + 1, np.int64), np.empty(n_most, np.int32), np.empty(n_most, np.int32))
    cells = Cells(np.ascontiguousarray(fractions), np.ascontiguousarray(library_size, dtype=np.int64), keys)
    draw_cells(cells, Genes(size, rate, outlier_size, 1.0 / (1.0 + rate * (1.0 + outlier_size))), drawn)
    end = drawn.starts[-1]
    return sp.csr_matrix((drawn.counts[:end].copy(), drawn.genes[:end].copy(), drawn.starts), shape=fractions.shape)
