"""Counts that carry codes of their cells with them."""

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

__all__ = ["EmbeddedRows", "EmbeddedSource", "read_obsm"]


class EmbeddedRows(sp.csr_matrix):  # type: ignore[misc]
    """Counts of cells, shape ``(B, G)``, beside a code of each, which follows when rows are taken."""

    embedding: NDArray[np.float32] | None = None
    """Codes, shape ``(B, D)``; `None` where an operation made new counts of which no code is known."""

    @classmethod
    def of(cls, counts: sp.csr_matrix, embedding: NDArray[np.float32]) -> Self:
        """Put counts and codes of the same cells together, sharing memory."""
        rows = cls(counts)
        rows.embedding = embedding
        return rows

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 - whatever scipy takes and gives
        taken = super().__getitem__(key)
        if self.embedding is not None and isinstance(taken, EmbeddedRows) and not isinstance(key, tuple):
            taken.embedding = np.atleast_2d(self.embedding[key])
        return taken


class EmbeddedSource(WrappedSource):
    """A source whose rows carry codes.

    Parameters
    ----------
    source
        Counts.
    embedding
        A code for each of its cells, shape ``(N, D)``.
    """

    def __init__(self, source: Source, embedding: NDArray[np.float32]) -> None:
        super().__init__(source)
        self.embedding = embedding

    def rows(self, indices: NDArray[np.integer]) -> sp.csr_matrix:
        """Return the counts of some cells in the order given, with their codes."""
        return EmbeddedRows.of(self._source.rows(indices), self.embedding[indices])

    def blocks(self, n_rows: int = 4096) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Visit all cells in order, with their codes."""
        for where, counts in self._source.blocks(n_rows):
            yield where, EmbeddedRows.of(counts, self.embedding[where])


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
        It does not hold finite numbers, or `data` is no place that carries embeddings.
    """
    if not isinstance(data, ad.AnnData) and not (isinstance(data, str | Path) and Path(data).is_file()):
        msg = f"The latents of this model are `obsm[{key!r}]`, which {str(data)!r} cannot give; expected an AnnData or"
        raise SettingError(msg + " one `.h5ad` file. Save the cells in one file.")
    held = (data if isinstance(data, ad.AnnData) else ad.read_h5ad(data, backed="r")).obsm
    if key not in held:
        known = sorted(held)
        msg = f"`obsm` of the data has no {key!r}, which the latents of this model are; it has {known}."
        raise UnknownNameError(msg + " Compute that embedding for these cells too." + did_you_mean(key, known))
    found = held[key]
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
