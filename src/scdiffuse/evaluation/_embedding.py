"""Two-dimensional embedding, fitted to real cells; generated cells are projected onto it."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

__all__ = ["joint_embedding"]

_MIN_CELLS_FOR_UMAP = 50


def joint_embedding(
    real: NDArray[np.float32], generated: NDArray[np.float32], *, seed: int = 0, try_umap: bool = True
) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    """Embed real and generated cells in two dimensions; only real cells fit the embedding.

    Parameters
    ----------
    real
        Principal component scores, shape ``(N, P)``.
    generated
        The same of the generated cells, shape ``(M, P)``.
    seed
        Seed of the layout.
    try_umap
        Use UMAP if it is installed and there are enough cells; otherwise the first two components.

    Returns
    -------
    Name of the method, coordinates of real cells ``(N, 2)`` and of generated cells ``(M, 2)``.
    """
    if try_umap and len(real) >= _MIN_CELLS_FOR_UMAP:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import umap

                fitted = umap.UMAP(n_neighbors=15, min_dist=0.3, random_state=seed, n_jobs=1).fit(real)
                return "UMAP of principal components", fitted.embedding_, fitted.transform(generated)
        except ImportError:
            pass
    width = min(2, real.shape[1])
    coordinates = [np.zeros((len(cells), 2)) for cells in (real, generated)]
    for place, cells in zip(coordinates, (real, generated), strict=True):
        place[:, :width] = cells[:, :width]
    return "PC scores (UMAP is switched off, is not installed, or there are few cells)", coordinates[0], coordinates[1]
