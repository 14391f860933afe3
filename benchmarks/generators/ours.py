"""`scdiffusion.CellGenerator` behind the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import scdiffusion

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData


class Ours:
    """The package's own generator with its default settings."""

    def fit(self, adata: AnnData, *, condition_keys: Sequence[str], seed: int) -> None:
        """Fit on all genes given: they were chosen when the data were split."""
        self._model = scdiffusion.CellGenerator(adata, conditions=list(condition_keys), min_cells=1)
        self._model.fit(seed=seed, progress=False)

    def generate(self, obs: pd.DataFrame, *, seed: int) -> AnnData:
        """Draw one cell for each row of ``obs``."""
        return self._model.generate(where=obs.reset_index(drop=True), seed=seed, progress=False)
