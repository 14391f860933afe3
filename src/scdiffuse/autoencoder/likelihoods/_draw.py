"""Drawing counts from a negative binomial, with an outlier component or without."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

__all__ = ["OutlierComponent", "draw_counts"]

Floats = NDArray[np.float64]


class OutlierComponent(NamedTuple):
    """Rate and size of the outliers of each gene."""

    rate: Floats
    """Outliers per expected count, shape ``(G,)``."""
    size: Floats
    """Mean counts of an outlier beyond the first, shape ``(G,)``."""


def draw_counts(
    fractions: NDArray[np.float32],
    library_size: NDArray[np.int64],
    *,
    inverse_dispersion: Floats,
    outlier_component: OutlierComponent | None,
    keys: NDArray[np.uint64],
    state: tuple[float, NDArray[np.float32]] | None = None,
    duplication_rate: float = 0.0,
) -> sp.csr_matrix:
    r"""Draw the counts of cells from a negative binomial, then add or remove counts until the library size fits.

    A negative binomial is a Poisson number of clusters, :math:`r \log(1 + \mu / r)` on average, each of a logarithmic
    number of counts. Clusters of one count are drawn for several genes at once. Larger clusters and outliers are
    thinned from a Poisson process over genes.

    Parameters
    ----------
    fractions
        Expression fraction of each gene, shape ``(B, G)``, rows summing to 1.
    library_size
        Counts of each cell, shape ``(B,)``.
    inverse_dispersion
        Inverse dispersion, shape ``(G,)``.
    outlier_component
        Outliers of the genes; `None` for none.
    keys
        Key of the random stream of each cell, shape ``(B,)``.
    state
        Exponent of the mean in inverse dispersions, and the shift of their logs in each cell, shape ``(B,)``; without
        it, dispersions are the same in all cells.
    duplication_rate
        How many more times than once a molecule is counted on average. If it is not 0, the other arguments describe
        molecules, in cells with as many as give `library_size` counts.

    Returns
    -------
    Counts, shape ``(B, G)``, ``int32``; row sums equal `library_size`.

    References
    ----------
    Quenouille 1949, https://doi.org/10.2307/3001556 (the negative binomial as a Poisson sum of logarithmic numbers).
    """
    # numba takes half a second to import, which only drawing needs.
    from scdiffuse.autoencoder.cpu._draw_kernels import draw_cells
    from scdiffuse.autoencoder.cpu._draw_types import Cells, Drawn, Genes

    n_cells, n_genes = fractions.shape
    none = OutlierComponent(np.zeros_like(inverse_dispersion), np.ones_like(inverse_dispersion))
    rate, size = outlier_component or none
    n_most = int(np.minimum(library_size, n_genes).sum()) + 1
    drawn = Drawn(np.zeros(n_cells + 1, np.int64), np.empty(n_most, np.int32), np.empty(n_most, np.int32))
    exponent, shift = state or (0.0, np.zeros(n_cells, np.float32))
    cells = Cells(np.ascontiguousarray(fractions), np.ascontiguousarray(library_size, dtype=np.int64), keys, shift)
    genes = Genes(inverse_dispersion, rate, size, 1.0 / (1.0 + rate * (1.0 + size)))
    draw_cells(cells, genes, exponent, state is not None, duplication_rate, drawn)
    end = drawn.starts[-1]
    return sp.csr_matrix((drawn.counts[:end].copy(), drawn.genes[:end].copy(), drawn.starts), shape=fractions.shape)
