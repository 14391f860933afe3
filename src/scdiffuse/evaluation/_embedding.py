"""Two dimensions to look at: fitted to real cells, generated ones placed onto them."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

__all__ = ["joint_embedding"]

_MIN_CELLS_FOR_UMAP = 50


def joint_embedding(
    real: NDArray[np.float32], generated: NDArray[np.float32], *, seed: int = 0, try_umap: bool = True
) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    """Place real and generated cells in one plane that only the real cells shaped.

    Parameters
    ----------
    real
        Principal component scores, shape ``(N, P)``.
    generated
        The same of the generated cells, shape ``(M, P)``.
    seed
        Seed of the layout.
    try_umap
        Use UMAP where it is installed and the cells suffice; else the first two components are shown.

    Returns
    -------
    The name of the method, real places ``(N, 2)``, generated places ``(M, 2)``.
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
    places = [np.zeros((len(cells), 2)) for cells in (real, generated)]
    for place, cells in zip(places, (real, generated), strict=True):
        place[:, :width] = cells[:, :width]
    return "PC plane (UMAP was not asked for, is not installed, or cells are few)", places[0], places[1]
