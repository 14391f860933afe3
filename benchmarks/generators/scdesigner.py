"""scDesign3 in Python; runs in the environment of the peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
import torch
from scdesigner.simulators import NegBinCopula
from scipy import sparse

from benchmarks.generators.shared import joint_labels, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

_LABEL = "label"


class ScDesigner:
    """Negative binomial margins and a Gaussian copula, both by label."""

    def __init__(self, *, top_genes: int = 500, max_epochs: int = 20) -> None:
        self._top_genes, self._max_epochs = top_genes, max_epochs

    def fit(self, adata: AnnData, *, condition_keys: Sequence[str], seed: int) -> None:
        """Fit margins until they stop improving, then the copula over the most expressed genes."""
        _seed(seed)
        self._keys = list(condition_keys)
        labels = pd.Categorical(joint_labels(adata.obs, self._keys))
        self._categories = labels.categories
        training = anndata.AnnData(
            sparse.csr_matrix(adata.X, dtype=np.float32),
            obs=pd.DataFrame({_LABEL: labels}, index=adata.obs_names),
            var=pd.DataFrame(index=adata.var_names),
        )
        self._template = training[:0].copy()
        formula = f"~ {_LABEL}"
        self._simulator = NegBinCopula(
            mean_formula=formula,
            dispersion_formula=formula,
            copula_formula=formula,
            estimator="ledoit_wolf",
            top_k=min(self._top_genes, adata.n_vars),
        )
        self._simulator.fit(training, max_epochs=self._max_epochs, validation_seed=seed, verbose=False)

    def generate(self, obs: pd.DataFrame, *, seed: int) -> AnnData:
        """Simulate one cell for each row of ``obs``."""
        _seed(seed)
        labels = pd.Categorical(joint_labels(obs, self._keys), categories=self._categories)
        table = pd.DataFrame({_LABEL: labels}, index=[str(row) for row in range(len(obs))])
        cells = self._simulator.sample(obs=table)
        return pack(np.asarray(cells.X), obs, self._template)


def _seed(seed: int) -> None:
    # The package draws from the global streams; this process does nothing else.
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
