"""Values of generated cells that cannot be counts: how many there are, and what is scored in their place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["InvalidValues", "clip_invalid_values", "count_invalid_values"]


@dataclass(frozen=True, kw_only=True)
class InvalidValues:
    """Numbers of cells with values that cannot be counts."""

    negative: int
    fractional: int
    infinite: int
    empty: int
    n_cells: int
    value_fraction: float = 0.0
    """Fraction of the stored values that is invalid."""

    @property
    def cell_fraction(self) -> float:
        """Fraction of cells with the most frequent kind of invalid value."""
        return max(self.negative, self.fractional, self.infinite) / max(self.n_cells, 1)


def count_invalid_values(counts: sparse.csr_matrix) -> InvalidValues:
    """Count the cells with values that are negative, fractional or not finite, and those without any count.

    Parameters
    ----------
    counts
        Any matrix of cells by genes, shape ``(N, G)``.

    Returns
    -------
    Number of cells for each kind.
    """
    stored = counts.data
    finite = np.isfinite(stored)
    whole = np.where(finite, stored, 0)

    def cells(bad: NDArray[np.bool_]) -> int:
        marks = sparse.csr_matrix((bad.astype(np.int32), counts.indices, counts.indptr), shape=counts.shape)
        return int((np.asarray(marks.sum(axis=1)).ravel() > 0).sum())

    return InvalidValues(
        negative=cells(whole < 0),
        fractional=cells(whole != np.rint(whole)),
        infinite=cells(~finite),
        empty=int((np.asarray(abs(counts).sum(axis=1)).ravel() == 0).sum()),
        n_cells=int(counts.shape[0]),
        value_fraction=float(((whole < 0) | (whole != np.rint(whole)) | ~finite).mean()) if stored.size else 0.0,
    )


def clip_invalid_values(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Replace negative and non-finite values by zero, so that the cells can be scored; a verdict reports them.

    Parameters
    ----------
    counts
        Any matrix of cells by genes, shape ``(N, G)``.

    Returns
    -------
    Finite values from 0 up, same shape.
    """
    repaired = counts.copy()
    repaired.data = np.maximum(np.nan_to_num(repaired.data, nan=0.0, posinf=0.0, neginf=0.0), 0)
    repaired.eliminate_zeros()
    return repaired
