"""Cells of several files as one source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse._core.errors import GenesError, UnknownNameError
from scdiffuse._core.scalars import scalar_text
from scdiffuse.cells._rows import NamedSource, Source

__all__ = ["GeneChoice", "JoinedSource", "join_obs", "join_var", "name_places", "plain_column"]

_SHOWN = 3  # files in a message

GeneChoice = Literal["intersection", "union"]
"""Genes of several files: those that all files have, or those that any file has."""


class JoinedSource(NamedSource):
    """Cells of several sources, one after another.

    Parameters
    ----------
    parts
        At least one source; all have the same genes in the same order.
    names
        Name of each source, for cells of the same name in two sources.
    """

    def __init__(self, parts: Sequence[Source], names: Sequence[str]) -> None:
        super().__init__(join_obs([part.obs for part in parts], names), parts[0].var, None)
        self._parts = parts
        self._names = names
        self._ends = np.cumsum([part.n_cells for part in parts])

    @property
    def report(self) -> str:
        """Describe how many genes the files share."""
        return f"{len(self._parts)} files share {self.n_genes:,} genes."

    def require_columns(self, columns: Sequence[str]) -> None:
        """Check that columns of `obs` that some sources have are in all of them.

        Parameters
        ----------
        columns
            Their names; those that no source has are skipped.

        Raises
        ------
        UnknownNameError
            A source lacks one.
        """
        for column in columns:
            lacking = [name for name, part in zip(self._names, self._parts, strict=True) if column not in part.obs]
            if lacking and len(lacking) < len(self._parts):
                shown = ", ".join(map(repr, lacking[:_SHOWN])) + (", ..." if len(lacking) > _SHOWN else "")
                msg = f"{column!r} is not a column of `obs` in {len(lacking)} of {len(self._parts)} files ({shown});"
                raise UnknownNameError(msg + " expected it in all. Add the column there, or leave those files out.")

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        """Return the counts of some cells in the order given."""
        wanted = np.asarray(indices, dtype=np.int64) % max(self.n_cells, 1)
        owner = np.searchsorted(self._ends, wanted, side="right")
        order = np.argsort(owner, kind="stable")
        found = [sp.csr_matrix((0, self.n_genes), dtype=np.float32)]
        for at in np.unique(owner):
            part = self._parts[at]
            found.append(part.rows(wanted[owner == at] - (self._ends[at] - part.n_cells)))
        return sp.vstack(found, format="csr")[np.argsort(order, kind="stable")]

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Iterate over all cells in order; a block ends where its source does."""
        for part, end in zip(self._parts, self._ends, strict=True):
            begin = int(end) - part.n_cells
            for where, block in part.blocks(n_rows):
                yield slice(begin + where.start, begin + where.stop), block


def name_places(places: Sequence[ad.AnnData | str | Path]) -> list[str]:
    """Return a short name for each of several files or objects.

    Parameters
    ----------
    places
        Paths, or cells in memory.

    Returns
    -------
    Names of the files without suffix; numbered if two are equal.
    """
    names = [f"cells {at + 1}" if isinstance(one, ad.AnnData) else Path(one).stem for at, one in enumerate(places)]
    return names if len(set(names)) == len(names) else [f"{name} {at + 1}" for at, name in enumerate(names)]


def join_obs(frames: Sequence[pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    """Concatenate `obs` of several files.

    Parameters
    ----------
    frames
        One table a file.
    names
        Name of each file, a prefix of the names of its cells if two files have a cell of the same name.

    Returns
    -------
    Columns that all tables have, in the order of the first; categories are the union, and what is text in one table and
    numbers in another is text.
    """
    if len(frames) == 1:
        return frames[0]
    common = [name for name in frames[0].columns if all(name in frame for frame in frames)]
    columns = {name: _join_column([frame[name] for frame in frames]) for name in common}
    index = pd.Index(np.concatenate([frame.index.to_numpy(dtype=object) for frame in frames]))
    if not index.is_unique:
        index = pd.Index([f"{name}:{cell}" for name, frame in zip(names, frames, strict=True) for cell in frame.index])
    return pd.DataFrame(columns).set_axis(index) if columns else pd.DataFrame(index=index)


def join_var(frames: Sequence[pd.DataFrame], choice: GeneChoice) -> pd.DataFrame:
    """Choose the genes of several files, matched by name.

    Parameters
    ----------
    frames
        One table of genes a file.
    choice
        Genes of all files, or of any.

    Returns
    -------
    Genes in the order in which the files name them first, with the columns that all tables have; values are
    those of the first file that has the gene.

    Raises
    ------
    GenesError
        The files have no gene in common.
    """
    if len(frames) == 1:
        return frames[0]
    common = [name for name in frames[0].columns if all(name in frame for frame in frames)]
    shared = frames[0].index
    for frame in frames[1:]:
        shared = shared[shared.isin(frame.index)]
    if not len(shared):
        shown = " and ".join(repr(str(frame.index[0])) if len(frame) else "none" for frame in frames[:2])
        msg = f"The {len(frames)} files have no gene in common (they begin with {shown}); expected shared names."
        raise GenesError(msg + " Bring all files to one kind of gene names.")
    if choice == "intersection":
        return frames[0].loc[shared, common]
    whole = pd.concat([frame[common] for frame in frames])
    return whole[~whole.index.duplicated()]


def plain_column(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column that a file can hold.

    Parameters
    ----------
    column
        Labels or numbers of cells.

    Returns
    -------
    Values of mixed kinds, such as text and numbers, as text; text, and yes and no, with gaps as categories; other
    columns as they are.
    """
    is_categorical = isinstance(column.dtype, pd.CategoricalDtype)
    kind = pd.api.types.infer_dtype(column.cat.categories if is_categorical else column, skipna=True)
    if kind in {"mixed", "mixed-integer"}:
        return column.astype(object).map(scalar_text, na_action="ignore").astype("category")
    if pd.api.types.is_extension_array_dtype(column.dtype) and pd.api.types.is_float_dtype(column.dtype):
        return column.astype(np.float64)
    return column.astype("category") if column.dtype == object and column.hasnans else column


def _join_column(columns: Sequence[pd.Series[Any]]) -> pd.Series[Any]:
    """Concatenate columns; categories stay categories, and a part without any value has no kind."""
    held, has_values = list(columns), np.ones(len(columns), dtype=bool)
    if not _have_like_categories(held):
        has_values = np.array([bool(column.notna().any()) for column in columns])
        held = [column for column, has_any in zip(columns, has_values, strict=True) if has_any] or held
    if _have_like_categories(held):
        joined = pd.Series(pd.api.types.union_categoricals(held, ignore_order=True))
    else:
        joined = plain_column(pd.concat(held, ignore_index=True).infer_objects())
    if len(held) == len(columns):
        return joined
    is_held = np.repeat(has_values, [len(column) for column in columns])
    return plain_column(joined.set_axis(np.flatnonzero(is_held)).reindex(range(is_held.size)))


def _have_like_categories(columns: Sequence[pd.Series[Any]]) -> bool:
    """Whether all columns are categorical, with categories of one type."""
    if not all(isinstance(column.dtype, pd.CategoricalDtype) for column in columns):
        return False
    return len({column.cat.categories.dtype for column in columns}) == 1
