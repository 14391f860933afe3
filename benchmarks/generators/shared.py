"""What several generators need: joint labels, library sizes of a label, packing counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray


def joint_labels(obs: pd.DataFrame, keys: Sequence[str]) -> NDArray[np.str_]:
    """Join the labels of several columns into one label per cell, shape ``(N,)``."""
    parts = [obs[key].astype(str).to_numpy(dtype=str) for key in keys]
    joined = parts[0]
    for part in parts[1:]:
        joined = np.char.add(np.char.add(joined, " / "), part)
    return joined


class LibrarySizes:
    """Library sizes of the training cells, drawn by label."""

    def __init__(self, counts: sparse.csr_matrix, labels: NDArray[np.str_]) -> None:
        totals = np.asarray(counts.sum(axis=1)).ravel()
        self._by_label = {label: totals[labels == label] for label in np.unique(labels)}

    def draw(self, labels: NDArray[np.str_], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return the library size of a random training cell of each label, shape ``(N,)``."""
        return np.array([rng.choice(self._by_label[label]) for label in labels], dtype=np.float64)


def log_normalise(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return log1p of counts per 10,000, sparse ``(N, G)`` float32."""
    totals = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1.0)
    scaled = sparse.diags(1e4 / totals) @ counts
    return sparse.csr_matrix(scaled.log1p(), dtype=np.float32)


def pack(counts: NDArray[np.floating] | sparse.csr_matrix, obs: pd.DataFrame, template: AnnData) -> AnnData:
    """Put counts ``(N, G)`` and their labels into an AnnData on the genes of ``template``."""
    matrix = sparse.csr_matrix(counts).astype(np.int32)
    table = obs.set_axis(obs.index.astype(str), axis=0)
    return anndata.AnnData(matrix, obs=table, var=pd.DataFrame(index=template.var_names))
