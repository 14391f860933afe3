"""A plane that is fitted to real cells once and takes any number of others."""

from __future__ import annotations

import threading
from typing import Literal, TypeAlias

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from scdiffuse._core.errors import GenesError, SettingError
from scdiffuse._core.random import generator
from scdiffuse.evaluation._feature_space import FeatureSpace, fit_space, likely_variable
from scdiffuse.evaluation._layout import lay_out, lay_out_apart
from scdiffuse.evaluation._reading import Sample, first_columns

__all__ = ["CellMap", "MapMethod"]

MapMethod: TypeAlias = Literal["pca", "umap"]
_MOST_FITTED = 5_000
_MOST_LEARNT, _MOST_GENES, _CANDIDATES = 2_000, 1_000, 2_500
"""Cells that genes and components are chosen on, genes, and genes that are looked at closely: a map of a hundred
thousand cells opens in seconds."""
_MIN_DETECTED = 10
_TARGET = 1e4
_MIN_CELLS_FOR_UMAP = 50
_NEIGHBOURS = 5


class CellMap:
    """Principal components of cells, and a UMAP of them; other cells are projected and change neither.

    It is for orientation only: a plane hides differences that `evaluate` measures. On the UMAP each cell is placed at
    the mean of its nearest fitted cells, weighted by their closeness, so that cells unlike all fitted ones are not seen
    as such; principal components show them outside.

    Parameters
    ----------
    adata
        Cells with counts in `X` to fit to; of more than 5,000, as many drawn at random.
    seed
        Seed of the draw and of the layout.

    Raises
    ------
    CountsError
        There are fewer than ten cells, or no gene varies between them.
    """

    def __init__(self, adata: ad.AnnData, *, seed: int = 0) -> None:
        counts = sparse.csr_matrix(adata.X, dtype=np.float32)
        if adata.n_obs > _MOST_FITTED:
            rows = np.sort(generator(seed, "map").choice(adata.n_obs, _MOST_FITTED, replace=False))
            counts = counts[rows]
        names = adata.var_names.to_numpy(dtype=str)
        detected = np.bincount(counts.indices[counts.data > 0], minlength=counts.shape[1])
        is_kept = (detected >= min(_MIN_DETECTED, max(1, adata.n_obs // 10))) & ~pd.Index(names).duplicated()
        kept = np.flatnonzero(is_kept)
        self._seed = seed
        learnt = counts
        if counts.shape[0] > _MOST_LEARNT:
            learnt = counts[np.sort(generator(seed, "map genes").choice(counts.shape[0], _MOST_LEARNT, replace=False))]
        learnt = sparse.csr_matrix(learnt[:, kept])
        self._space: FeatureSpace = fit_space(
            Sample(counts=learnt),
            names[kept],
            n_genes=_MOST_GENES,
            seed=seed,
            candidates=likely_variable(learnt, _CANDIDATES),
        )
        self._fitted = self._project(counts, kept)
        self._umap: NDArray[np.float32] | None = None

    @property
    def n_fitted(self) -> int:
        """Cells that the map is fitted to."""
        return len(self._fitted)

    @property
    def has_umap(self) -> bool:
        """Whether `fit_umap` is done."""
        return self._umap is not None

    def fit_umap(self, *, apart: bool = False, cancel: threading.Event | None = None) -> None:
        """Lay out the fitted cells by UMAP; of fewer than 50 cells, the plane is that of the components.

        Parameters
        ----------
        apart
            In a process of its own, so that a server goes on answering while UMAP is compiled.
        cancel
            Ends that process when it is set; the map then has no UMAP.

        Raises
        ------
        RuntimeError
            The process of its own failed.
        """
        if len(self._fitted) < _MIN_CELLS_FOR_UMAP:
            self._umap = _plane(self._fitted)
        elif apart:
            self._umap = lay_out_apart(self._fitted, seed=self._seed, cancel=cancel)
        else:
            self._umap = lay_out(self._fitted, seed=self._seed)

    def components(self, adata: ad.AnnData) -> NDArray[np.float32]:
        """Project cells onto the principal components.

        Parameters
        ----------
        adata
            Cells with counts in `X`. Genes of the map that they lack count as zeros, at most half of them.

        Returns
        -------
        Scores, shape ``(N, P)``.

        Raises
        ------
        GenesError
            They lack more than half of the genes.
        """
        columns = first_columns(pd.Index(adata.var_names.astype(str)), pd.Index(self._space.genes))
        n_found = int((columns >= 0).sum())
        if 2 * n_found < len(columns):
            msg = f"The cells have {n_found:,} of the {len(columns):,} genes of the map, such as"
            raise GenesError(msg + f" {str(self._space.genes[0])!r}; expected the same kind of gene names.")
        return self._project(sparse.csr_matrix(adata.X, dtype=np.float32), columns)

    def _project(self, counts: sparse.csr_matrix, columns: NDArray[np.int64]) -> NDArray[np.float32]:
        """Log-normalise over the genes of the map, in these columns or -1, and project the chosen ones."""
        is_used = np.zeros(counts.shape[1], dtype=np.float32)
        is_used[columns[columns >= 0]] = 1
        sizes = np.maximum(counts @ is_used, 1.0)
        chosen = columns[self._space.chosen]
        is_there = chosen >= 0
        values = sparse.csr_matrix(counts[:, chosen[is_there]])
        values.data = np.log1p(values.data * np.repeat((_TARGET / sizes).astype(np.float32), np.diff(values.indptr)))
        components = self._space.components
        centre = components @ self._space.mean
        scores: NDArray[np.float32] = values @ np.ascontiguousarray(components[:, is_there].T) - centre
        return scores.astype(np.float32, copy=False)

    def place(self, adata: ad.AnnData, method: MapMethod = "pca") -> NDArray[np.float32]:
        """Place cells on the map.

        Parameters
        ----------
        adata
            Cells as for `components`.
        method
            The first two components, or UMAP.

        Returns
        -------
        Coordinates, shape ``(N, 2)``.

        Raises
        ------
        SettingError
            UMAP is asked for before `fit_umap`.
        """
        scores = self.components(adata)
        if method == "pca":
            return _plane(scores)
        if self._umap is None:
            msg = "`method` is 'umap', but `fit_umap` is not done; expected 'pca', or call `fit_umap` first."
            raise SettingError(msg)
        from sklearn.neighbors import NearestNeighbors

        k = min(_NEIGHBOURS, len(self._fitted))
        distances, nearest = NearestNeighbors(n_neighbors=k).fit(self._fitted).kneighbors(scores)
        is_same = distances[:, :1] < 1e-4  # a fitted cell itself
        weights = np.where(is_same, np.arange(k) == 0, 1.0 / np.maximum(distances, 1e-6))
        weights /= weights.sum(axis=1, keepdims=True)
        placed: NDArray[np.float32] = np.einsum("nk,nkd->nd", weights, self._umap[nearest]).astype(np.float32)
        return placed


def _plane(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the first two components; zeros where there is only one."""
    plane = np.zeros((len(scores), 2), dtype=np.float32)
    width = min(2, scores.shape[1])
    plane[:, :width] = scores[:, :width]
    return plane
