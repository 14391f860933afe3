"""Fitted models, kept in the work folder of a commit so that what they are measured by can be repeated."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np

from benchmarks.data import DATA_SETS, PARTS, file_of, load, prepare, slug
from benchmarks.spaces import log_normalise, most_variable
from benchmarks.study import say

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.study import Context
    from scdiffuse import CellGenerator

LABEL = "cell_type"
METHODS: dict[str, dict[str, Any]] = {
    "partial noising": {"method": "partial_noising", "keep": 0.3},
    "ODE inversion": {"method": "inversion", "keep": 0.7},
}
"""How trajectories keep their start, with the noise level of each."""
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

    n_genes: int | None = None
    """Genes to fit, the most variable ones of the cells; all if not given."""
    seed: int = 0

    @property
    def key(self) -> str:
        """Name of the model's folder."""
        genes = "" if self.n_genes is None else f"-{self.n_genes}genes"
        return f"{self.data_set}-{self.name}{genes}-seed{self.seed}"

    def left_out(self, adata: anndata.AnnData) -> NDArray[np.bool_]:
        """Mark the cells that the fit must not see."""
        if self.rows is not None:
            return ~np.isin(np.arange(adata.n_obs), self.rows)
        marks = np.zeros(adata.n_obs, dtype=bool)
        for labels in self.without:
            marks |= np.logical_and.reduce([(adata.obs[key] == label).to_numpy() for key, label in labels.items()])
        return marks


def read(data_set: str, context: Context) -> anndata.AnnData:
    """Read a whole data set as its file holds it; it is not to be changed."""
    return _read(file_of(data_set, context.data))


@lru_cache(maxsize=2)
def _read(path: Path) -> anndata.AnnData:
    return anndata.read_h5ad(path)


def model_of(fit: Fit, context: Context) -> CellGenerator:
    """Load the model of a fit, after fitting it if it is not there."""
    import scdiffuse

    folder = context.work / "models" / fit.key
    if not (folder / SECONDS_FILE).exists():
        adata = read(fit.data_set, context)
        cells = adata[~fit.left_out(adata)].copy()
        if fit.n_genes is not None:
            cells = cells[:, most_variable(log_normalise(cells), fit.n_genes)].copy()
        before = time.process_time()
        model = scdiffuse.CellGenerator(cells, conditions=list(fit.conditions), continuous=list(fit.continuous))
        model.fit(seed=fit.seed, device=context.options.device, progress=False)
        model.save(folder, overwrite=True)
        seconds = time.process_time() - before
        (folder / SECONDS_FILE).write_text(f"{seconds:.1f}\n", encoding="utf-8")
        say(f"{fit.key}: fitted in {seconds:.0f} CPU seconds")
    return scdiffuse.load(folder)


def read_parts(name: str, context: Context, *, max_cells: int | None = None) -> dict[str, anndata.AnnData]:
    """Split a data set as the comparison does, and read the parts."""
    split = prepare(DATA_SETS[name], folder=context.data, work=context.work, max_cells=max_cells)
    return {part: anndata.read_h5ad(split / f"{part}.h5ad") for part in PARTS}


def open_model(name: str, context: Context, *, max_cells: int | None = None) -> CellGenerator:
    """Load the model of a data set, after fitting it to the fit part, or to all cells of bundled data."""
    import scdiffuse

    folder = context.work / "models" / f"{slug(name, max_cells)}.scd"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        bundled = DATA_SETS[name].bundled
        training = load(DATA_SETS[name], None) if bundled else read_parts(name, context, max_cells=max_cells)["fit"]
        model = scdiffuse.CellGenerator(training, conditions=[LABEL])
        model.fit(seed=0, device=context.options.device, progress=False).save(folder)
    return scdiffuse.load(folder)


def methods_in_words() -> str:
    """Say what each kind of trajectory keeps of the start."""
    return ", ".join(f"{method} with `keep` {settings['keep']}" for method, settings in METHODS.items())
