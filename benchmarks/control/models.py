"""Fitted models, kept in the work folder so that scoring can be repeated without another fit."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from scdiffusion import CellGenerator

SECONDS_FILE = "fit_seconds.txt"


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One fit: which cells, which conditions, which seed."""

    name: str
    """What was left out, as the name of a folder."""

    data_set: str
    conditions: tuple[str, ...] = ()
    continuous: tuple[str, ...] = ()
    without: tuple[Mapping[str, Any], ...] = ()
    """Cells left out: those that have all values of one of these."""

    rows: NDArray[np.int64] | None = field(default=None, compare=False)
    """Cells to fit, where that is no matter of labels."""

    seed: int = 0

    @property
    def key(self) -> str:
        """Name of the model's folder."""
        return f"{self.data_set}-{self.name}-seed{self.seed}"

    def left_out(self, adata: anndata.AnnData) -> NDArray[np.bool_]:
        """Mark the cells that the fit must not see."""
        if self.rows is not None:
            return ~np.isin(np.arange(adata.n_obs), self.rows)
        marks = np.zeros(adata.n_obs, dtype=bool)
        for labels in self.without:
            marks |= np.logical_and.reduce([(adata.obs[key] == label).to_numpy() for key, label in labels.items()])
        return marks


@lru_cache(maxsize=2)
def read(data_set: str, data: Path) -> anndata.AnnData:
    """Read a data set; it is not to be changed."""
    return anndata.read_h5ad(data / f"{data_set}.h5ad")


def model_of(fit: Fit, *, data: Path, work: Path) -> CellGenerator:
    """Load a model, after fitting it if it is not there."""
    import scdiffusion

    folder = work / "models" / fit.key
    if not (folder / SECONDS_FILE).exists():
        adata = read(fit.data_set, data)
        cells = adata[~fit.left_out(adata)].copy()
        before = time.process_time()
        model = scdiffusion.CellGenerator(cells, conditions=list(fit.conditions), continuous=list(fit.continuous))
        model.fit(seed=fit.seed, progress=False)
        model.save(folder, overwrite=True)
        seconds = time.process_time() - before
        (folder / SECONDS_FILE).write_text(f"{seconds:.1f}\n", encoding="utf-8")
        sys.stdout.write(f"{fit.key}: fitted in {seconds:.0f} CPU seconds\n")
        sys.stdout.flush()
    return scdiffusion.load(folder)


def is_fitted(fit: Fit, *, work: Path) -> bool:
    """Tell whether the model is there."""
    return (work / "models" / fit.key / SECONDS_FILE).exists()
