"""What is wrong with values that should be counts, in words."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

__all__ = ["MAX_CELL_COUNTS", "MAX_COUNT", "are_logs", "excess", "is_decimal", "is_normalised", "trouble"]

MAX_COUNT = (1 << 24) - 1
"""Largest count of a gene in a cell; ``float32``, in which counts are read, holds all whole numbers up to it."""
MAX_CELL_COUNTS = 100_000_000
"""Most counts of a cell; the deepest cells have some million."""
_MOST_LOG = 30  # logarithms of values are smaller
_SAME = 1e-3  # relative spread of sums that were made equal


def trouble(block: sp.csr_matrix) -> str:
    """Describe why some values are no counts.

    Parameters
    ----------
    block
        Rows of values.

    Returns
    -------
    Words such as ``"holds negative values such as -1"``; empty for counts.
    """
    values = block.data
    n_bad = int(np.count_nonzero(~np.isfinite(values)))
    if n_bad:
        return f"holds NaN or infinite values ({n_bad} among {block.shape[0]} cells)"
    if values.size and values.min() < 0:
        return f"holds negative values such as {values.min():.4g}, as scaled data do"
    fractions = values[values != np.rint(values)]
    if fractions.size:
        kind = "log-normalised" if are_logs(block) else "normalised"
        return f"looks {kind}: it holds fractions such as {fractions[0]:.4g}"
    return ""


def excess(block: sp.csr_matrix) -> str:
    """Describe counts that no cell has, which would take minutes to draw from.

    Parameters
    ----------
    block
        Rows of counts.

    Returns
    -------
    Words; empty for counts that cells have.
    """
    largest = float(block.data.max(initial=0))
    if largest > MAX_COUNT:
        return f"holds a count of {largest:.4g}; expected at most {MAX_COUNT:,} of a gene in a cell"
    if largest * np.diff(block.indptr).max(initial=0) > MAX_CELL_COUNTS:
        deepest = float(block.sum(axis=1, dtype=np.float64).max())
        if deepest > MAX_CELL_COUNTS:
            return f"holds a cell of {deepest:.4g} counts; expected at most {MAX_CELL_COUNTS:,}"
    return ""


def is_normalised(block: sp.csr_matrix) -> bool:
    """Tell whether all cells have the same sum, as they are or before ``log1p``: such values are no decimals of counts.

    Parameters
    ----------
    block
        Rows of finite values that are not negative.
    """
    for values in (block, block.expm1() if are_logs(block) else block):
        sums = np.asarray(values.sum(axis=1, dtype=np.float64)).ravel()
        sums = sums[sums > 0]
        if sums.size > 1 and sums.std() < _SAME * sums.mean():
            return True
    return False


def is_decimal(block: sp.csr_matrix) -> bool:
    """Tell whether values can be counts with decimals, as of SoupX: finite, not negative and not normalised.

    Parameters
    ----------
    block
        Rows of values.
    """
    return bool(np.isfinite(block.data).all() and block.data.min(initial=0) >= 0) and not is_normalised(block)


def are_logs(block: sp.csr_matrix) -> bool:
    """Tell whether all values are as small as logarithms.

    Parameters
    ----------
    block
        Rows of finite values.
    """
    return bool(block.data.max(initial=0) < _MOST_LOG)
