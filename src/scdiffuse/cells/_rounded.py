"""Decimals as whole counts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse._core.errors import CountsError
from scdiffuse.cells._rows import Source, WrappedSource
from scdiffuse.cells._values import is_normalised

__all__ = ["RoundedSource"]

_ROWS = 1024


class RoundedSource(WrappedSource):
    """A source whose values are rounded to whole counts, as after the removal of ambient RNA.

    Parameters
    ----------
    source
        Counts with decimals.

    Raises
    ------
    CountsError
        The cells are normalised: their counts are lost, and rounding does not bring them back.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        head = source.rows(np.arange(min(_ROWS, source.n_cells)))
        if np.isfinite(head.data).all() and head.data.min(initial=0) >= 0 and is_normalised(head):
            msg = "The cells are normalised, as all have the same sum; expected counts with decimals, as of SoupX."
            raise CountsError(msg + " Rounding does not bring counts back: load the matrix as it was measured.")

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        """Return the counts of some cells in the order given, rounded."""
        return _rounded(self._source.rows(indices))

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Iterate over all cells in order."""
        for where, block in self._source.blocks(n_rows):
            yield where, _rounded(block)


def _rounded(block: sp.csr_matrix) -> sp.csr_matrix:
    rounded = block.copy()
    np.rint(rounded.data, out=rounded.data)
    rounded.eliminate_zeros()
    return rounded
