"""Random orders of cells that hold every label in its proportion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["stratified_order"]


def stratified_order(labels: NDArray[np.str_] | None, n_cells: int, stream: np.random.Generator) -> NDArray[np.int64]:
    """Put cells in a random order of which every beginning holds the labels in their proportions.

    Parameters
    ----------
    labels
        One label a cell, shape ``(N,)``; without labels the order is plainly random.
    n_cells
        Number of cells.
    stream
        Random numbers.

    Returns
    -------
    Row indices, shape ``(N,)``.
    """
    order = stream.permutation(n_cells)
    if labels is None:
        return order
    _, codes, sizes = np.unique(labels[order], return_inverse=True, return_counts=True)
    by_label = np.argsort(codes, kind="stable")
    place = np.empty(n_cells)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place[by_label] = np.arange(n_cells) - np.repeat(starts, sizes)
    # The k-th of n cells of a label comes at (k + u) / n, so that labels are spread evenly over the order.
    return order[np.argsort((place + stream.random(sizes.size)[codes]) / sizes[codes], kind="stable")]
