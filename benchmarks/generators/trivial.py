"""The four trivial baselines of `scdiffusion.evaluation`, one cell for each label asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.generators._shared import joint_labels, pack
from scdiffusion.evaluation import baselines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

_LABEL = "_label"


class Trivial:
    """One of the baselines, by its name in `scdiffusion.evaluation.baselines`."""

    def __init__(self, *, baseline: str) -> None:
        self._draw = getattr(baselines, baseline)

    def fit(self, adata: AnnData, *, condition_keys: Sequence[str], seed: int) -> None:
        """Keep the training cells: the baselines are drawn from them."""
        self._keys = list(condition_keys)
        self._training = adata.copy()
        self._training.obs[_LABEL] = joint_labels(adata.obs, self._keys)

    def generate(self, obs: pd.DataFrame, *, seed: int) -> AnnData:
        """Draw as many cells of each label as ``obs`` asks for."""
        wanted = joint_labels(obs, self._keys)
        sizes = self._training.obs[_LABEL].value_counts()
        asked = pd.Series(wanted).value_counts()
        # Whole rounds over the training cells hold each label as often as training does.
        rounds = int(np.ceil((asked / sizes[asked.index]).max()))
        drawn = self._draw(self._training, by=_LABEL, n=rounds * self._training.n_obs, seed=seed)
        picked = np.empty(len(wanted), dtype=np.int64)
        for label, n_cells in asked.items():
            picked[wanted == label] = np.flatnonzero(drawn.obs[_LABEL] == label)[:n_cells]
        return pack(drawn.X[picked], obs, self._training)
