"""Split cells for fitting and for evaluation."""

from __future__ import annotations

from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError, UnknownNameError, did_you_mean
from scdiffuse._core.random import generator

__all__ = ["Split", "split"]


class Split(NamedTuple):
    """Cells in three disjoint parts."""

    fit: ad.AnnData
    """Cells to fit the generator on."""
    reference: ad.AnnData
    """Real cells that metrics are fitted on, for the real-vs-real reference."""
    held_out: ad.AnnData
    """Real cells that generated cells are compared with."""


def split(
    adata: ad.AnnData, *, by: str | None = None, fractions: tuple[float, float, float] = (0.6, 0.2, 0.2), seed: int = 0
) -> Split:
    """Split cells at random into three parts with the same fraction of every label.

    Parameters
    ----------
    adata
        Cells.
    by
        Column of `obs` whose labels have the same fractions in each part; missing values count as a label.
    fractions
        Fractions of the three parts, which sum to 1. A label's first two cells always go to the first part, so that it
        can be trained on.
    seed
        Seed of the draw.

    Returns
    -------
    Copies in the original order of cells.

    Raises
    ------
    UnknownNameError
        `by` is not a column of `obs`.
    SettingError
        `fractions` are negative or do not sum to 1.
    """
    if len(fractions) != 3 or min(fractions) < 0 or not np.isclose(sum(fractions), 1):
        msg = f"`fractions` must be three fractions that sum to 1, got {fractions}."
        raise SettingError(msg)
    if by is not None and by not in adata.obs:
        known = [str(column) for column in adata.obs.columns]
        msg = f"`by` {by!r} is not a column of `adata.obs`; expected one of {known}."
        raise UnknownNameError(msg + did_you_mean(by, known))
    strata = np.zeros(adata.n_obs, dtype=np.int64) if by is None else pd.factorize(adata.obs[by], sort=True)[0]
    part = np.empty(adata.n_obs, dtype=np.int64)
    for stratum in np.unique(strata):
        cells = np.flatnonzero(strata == stratum)
        part[generator(seed, "split", int(stratum)).permutation(cells)] = _parts(cells.size, fractions)
    first, second, third = (_copy(adata, np.flatnonzero(part == at)) for at in range(3))
    return Split(first, second, third)


def _parts(n: int, fractions: tuple[float, float, float]) -> NDArray[np.int64]:
    """Return the part of each of `n` shuffled cells: whole fractions, the rest by largest remainder."""
    exact = np.array(fractions) * n
    sizes = np.floor(exact + 1e-9).astype(np.int64)
    for at in np.argsort(sizes - exact, kind="stable")[: n - sizes.sum()]:
        sizes[at] += 1
    while fractions[0] > 0 and sizes[0] < min(2, n):
        sizes[1 + int(sizes[2] > sizes[1])] -= 1
        sizes[0] += 1
    return np.repeat(np.arange(3), sizes)


def _copy(adata: ad.AnnData, cells: NDArray[np.intp]) -> ad.AnnData:
    chosen = adata[cells]
    return chosen.to_memory() if adata.isbacked else chosen.copy()
