"""`scdiffuse.CellGenerator` behind the protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import scdiffuse
from scdiffuse.model import ModelConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData


class Ours:
    """The package's own generator with its default settings, or with a fraction of its steps."""

    def __init__(self, *, effort: float = 1.0) -> None:
        self._effort = effort

    def fit(self, adata: AnnData, *, condition_keys: Sequence[str], seed: int) -> None:
        """Fit on all genes given: they were chosen when the data were split."""
        self._model = scdiffuse.CellGenerator(
            adata, conditions=list(condition_keys), min_cells=1, config=_with_effort(self._effort)
        )
        self._model.fit(seed=seed, progress=False)

    def generate(self, obs: pd.DataFrame, *, seed: int) -> AnnData:
        """Draw one cell for each row of ``obs``."""
        return self._model.generate(where=obs.reset_index(drop=True), seed=seed, progress=False)


def _with_effort(effort: float) -> ModelConfig:
    config = ModelConfig()
    names = ("autoencoder_training", "diffusion_training")
    stages = {name: getattr(config, name) for name in names}
    shorter = {name: replace(one, min_steps=max(1, round(effort * one.min_steps))) for name, one in stages.items()}
    return replace(config, **shorter)
