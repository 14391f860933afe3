"""Splits and fitted models that several measurements share, kept in a work folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.data import DATA_SETS, PARTS, load, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

    from scdiffusion import CellGenerator

_LABEL = "cell_type"


def read_parts(name: str, *, work: Path, data: Path | None, max_cells: int | None = None) -> dict[str, AnnData]:
    """Split a data set as the benchmark does, and read the parts."""
    import anndata

    split = prepare(DATA_SETS[name], folder=data, work=work, max_cells=max_cells)
    return {part: anndata.read_h5ad(split / f"{part}.h5ad") for part in PARTS}


def open_model(name: str, *, work: Path, data: Path | None, max_cells: int | None = None) -> CellGenerator:
    """Load the model of a data set, fitting and saving it where there is none yet; all cells of an embedded set."""
    import scdiffusion

    folder = work / f"{name}.scd"
    if not folder.exists():
        work.mkdir(parents=True, exist_ok=True)
        embedded = DATA_SETS[name].embedded
        training = (
            load(DATA_SETS[name], None)
            if embedded
            else read_parts(name, work=work, data=data, max_cells=max_cells)["fit"]
        )
        model = scdiffusion.CellGenerator(training, conditions=[_LABEL])
        model.fit(seed=0, progress=False).save(folder)
    return scdiffusion.load(folder)
