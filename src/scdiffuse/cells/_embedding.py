"""Counts with an embedding of each cell, such as that of a foundation model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import anndata as ad
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse._core.errors import SettingError, UnknownNameError, did_you_mean
from scdiffuse.cells._rows import Source, WrappedSource

__all__ = ["CountsWithEmbedding", "SourceWithEmbedding", "read_obsm"]


class CountsWithEmbedding(sp.csr_matrix):  # type: ignore[misc]
    """Counts of cells, shape ``(B, G)``, with an embedding of each cell that follows when rows are taken."""

    embedding: NDArray[np.float32] | None = None
    """Embedding, shape ``(B, D)``; `None` for counts that an operation computed."""

    @classmethod
    def of(cls, counts: sp.csr_matrix, embedding: NDArray[np.float32]) -> Self:
        """Combine counts and embedding of the same cells, without copies."""
        rows = cls(counts)
        rows.embedding = embedding
        return rows

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 - whatever scipy takes and gives
        taken = super().__getitem__(key)
        if self.embedding is not None and isinstance(taken, CountsWithEmbedding) and not isinstance(key, tuple):
            taken.embedding = np.atleast_2d(self.embedding[key])
        return taken


class SourceWithEmbedding(WrappedSource):
    """A source of counts with an embedding of each cell.

    Parameters
    ----------
    source
        Counts.
    embedding
        Embedding of its cells, shape ``(N, D)``.
    """

    def __init__(self, source: Source, embedding: NDArray[np.float32]) -> None:
        super().__init__(source)
        self.counts = source
        self.embedding = embedding

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        """Return the counts of some cells in the order given, with their embedding."""
        return CountsWithEmbedding.of(self._source.rows(indices), self.embedding[indices])

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Iterate over all cells in order, with their embedding."""
        for where, counts in self._source.blocks(n_rows):
            yield where, CountsWithEmbedding.of(counts, self.embedding[where])


def read_obsm(data: object, key: str) -> NDArray[np.float32]:
    """Read an embedding of cells.

    Parameters
    ----------
    data
        An AnnData, or the path of one ``.h5ad`` file.
    key
        Entry of `obsm`.

    Returns
    -------
    The embedding, shape ``(N, D)``.

    Raises
    ------
    UnknownNameError
        There is no such entry.
    SettingError
        The entry does not hold finite numbers, or `data` has no `obsm`.
    """
    if not isinstance(data, ad.AnnData) and not (isinstance(data, str | Path) and Path(data).is_file()):
        what = repr(str(data)) if isinstance(data, str | Path) else "a list of several"
        msg = f"The latents of this model are `obsm[{key!r}]`, which {what} does not have; expected an AnnData or"
        raise SettingError(msg + " one `.h5ad` file. Save the cells in one file.")
    obsm = (data if isinstance(data, ad.AnnData) else ad.read_h5ad(data, backed="r")).obsm
    if key not in obsm:
        known = sorted(obsm)
        msg = f"`obsm` of the data has no {key!r}, which the latents of this model are; it has {known}."
        raise UnknownNameError(msg + " Compute that embedding for these cells too." + did_you_mean(key, known))
    found = obsm[key]
    dense = found.toarray() if sp.issparse(found) else np.asarray(found)
    if dense.ndim != 2 or not dense.shape[1] or dense.dtype.kind not in "biuf":
        msg = f"`obsm[{key!r}]` has shape {dense.shape} and type {dense.dtype}; expected numbers, one row a cell and at"
        raise SettingError(msg + " least one column. Choose another embedding.")
    values: NDArray[np.float32] = dense.astype(np.float32)
    n_bad = int((~np.isfinite(values)).any(axis=1).sum())
    if n_bad:
        msg = (
            f"`obsm[{key!r}]` holds NaN or infinite values in {n_bad} of {len(values)} cells; expected finite numbers."
        )
        raise SettingError(msg + " Leave those cells out, or embed them again.")
    return values
