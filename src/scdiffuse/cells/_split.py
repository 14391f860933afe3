"""Split cells for fitting and for evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError, UnknownNameError, did_you_mean
from scdiffuse._core.html import html_card
from scdiffuse._core.random import generator
from scdiffuse.cells._labels import require_scalars, require_single

__all__ = ["Split", "split"]


class Split(NamedTuple):
    """Cells in three disjoint parts."""

    fit: ad.AnnData
    """Cells to fit the generator on."""
    reference: ad.AnnData
    """Real cells that metrics are fitted on, for the real-vs-real reference."""
    held_out: ad.AnnData
    """Real cells that generated cells are compared with."""

    def _repr_html_(self) -> str:
        """Show a card in a notebook."""
        parts = {"fit": self.fit, "reference": self.reference, "held_out": self.held_out}
        n_cells = max(sum(part.n_obs for part in parts.values()), 1)
        rows = {name: f"{part.n_obs:,} cells ({part.n_obs / n_cells:.0%})" for name, part in parts.items()}
        return html_card("Split", rows | {"genes": f"{self.fit.n_vars:,}"})


def split(
    adata: ad.AnnData,
    *,
    by: str | Sequence[str] | None = None,
    donor: str | None = None,
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
    seed: int = 0,
) -> Split:
    """Split cells at random into three parts with the same fraction of every label, or by donor.

    Parameters
    ----------
    adata
        Cells.
    by
        Column of `obs` whose labels have the same fractions in each part, or several, whose combinations do; missing
        values count as a label.
    donor
        Column of `obs` whose labels stay together: all cells of a donor go to one part, so that held-out cells are of
        donors that the model has never seen. Not together with `by`.
    fractions
        Fractions of the three parts, which sum to 1. A label's first two cells always go to the first part, so that it
        can be trained on. Parts of whole donors come as close to the fractions as donors allow.
    seed
        Seed of the draw.

    Returns
    -------
    Copies in the original order of cells.

    Raises
    ------
    UnknownNameError
        `by` or `donor` is not a column of `obs`.
    SettingError
        `fractions` are negative or do not sum to 1, `by` and `donor` are both given, there are too few donors, or
        `adata` is a path.
    ConditionError
        Several columns have the name of `by` or `donor`, or a cell has several labels.
    """
    if len(fractions) != 3 or min(fractions) < 0 or not np.isclose(sum(fractions), 1):
        msg = f"`fractions` must be three fractions that sum to 1, got {fractions}."
        raise SettingError(msg)
    if not isinstance(adata, ad.AnnData):
        msg = f"`adata` is of type {type(adata).__name__}; expected an AnnData. Read a file first, as with"
        raise SettingError(msg + " `anndata.read_h5ad(path)`.")
    columns = [] if by is None else [by] if isinstance(by, str) else list(by)
    if donor is not None and columns:
        msg = f"`by` is {columns} and `donor` {donor!r}; expected one of them. Leave `by` out: donors stay whole."
        raise SettingError(msg)
    for name, column in (*(("by", one) for one in columns), *([("donor", donor)] if donor is not None else [])):
        _require_column(adata, column, name)
    if donor is not None:
        part = _whole_donors(adata.obs[donor], fractions, seed)
    else:
        part = np.empty(adata.n_obs, dtype=np.int64)
        strata = _strata(adata, columns)
        for stratum in np.unique(strata):
            cells = np.flatnonzero(strata == stratum)
            part[generator(seed, "split", int(stratum)).permutation(cells)] = _parts(cells.size, fractions)
    first, second, third = (_copy(adata, np.flatnonzero(part == at)) for at in range(3))
    return Split(first, second, third)


def _require_column(adata: ad.AnnData, column: str, name: str) -> None:
    if column not in adata.obs:
        known = [str(one) for one in adata.obs.columns]
        msg = f"`{name}` {column!r} is not a column of `adata.obs`; expected one of {known}."
        raise UnknownNameError(msg + did_you_mean(column, known))
    require_single(adata.obs, column)
    require_scalars(adata.obs[column], column)


def _strata(adata: ad.AnnData, columns: Sequence[str]) -> NDArray[np.int64]:
    """Give each combination of labels a number, shape ``(N,)``."""
    strata = np.zeros(adata.n_obs, dtype=np.int64)
    for column in columns:
        codes = pd.factorize(adata.obs[column], sort=True)[0].astype(np.int64)
        strata = codes if len(columns) == 1 else strata * (codes.max(initial=0) + 2) + codes + 1
    return strata


def _whole_donors(column: pd.Series[Any], fractions: tuple[float, float, float], seed: int) -> NDArray[np.int64]:
    """Return the part of each cell; donors in random order go where most cells are missing."""
    codes = pd.factorize(column.astype(str), sort=True)[0]
    sizes, wanted = np.bincount(codes), [at for at in range(3) if fractions[at] > 0]
    if sizes.size < len(wanted):
        msg = (
            f"`donor` {str(column.name)!r} has {sizes.size} donors for {len(wanted)} parts; expected a donor for each."
        )
        raise SettingError(msg + " Split by cells: name labels as `by`.")
    missing = np.array(fractions) * len(codes)
    part_of = np.empty(sizes.size, dtype=np.int64)
    empty = set(wanted)
    for turn, donor in enumerate(generator(seed, "split", "donors").permutation(sizes.size)):
        candidates = empty if sizes.size - turn <= len(empty) else wanted  # the last donors go to parts without one
        part = max(candidates, key=lambda at: missing[at])
        part_of[donor] = part
        missing[part] -= sizes[donor]
        empty -= {part}
    return part_of[codes]


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
