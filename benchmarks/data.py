"""The data sets of the benchmark, and their split into fit, reference and held-out cells."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from anndata import AnnData

DATA_VARIABLE = "SCDIFFUSE_DATA"
MIN_CELLS_PER_GENE = 10
MIN_CELLS_PER_LABEL = 5
UNLABELLED = "unlabelled"
PARTS = ("fit", "reference", "held_out")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSet:
    """One data set of the benchmark."""

    name: str
    """File name without its ending, or that of bundled example data."""

    condition_keys: tuple[str, ...] = ("cell_type",)
    """`obs` columns given to every generator; the first one stratifies the split and the scores."""

    donor_key: str | None = None
    """`obs` column of the donor, for the privacy measures."""

    bundled: bool = False
    """Whether it needs no file."""

    by_default: bool = True
    """Whether the comparison takes it where no data set is named."""


DATA_SETS: dict[str, DataSet] = {
    data_set.name: data_set
    for data_set in (
        DataSet(name="pbmc68k", bundled=True),
        DataSet(name="pbmc3k"),
        DataSet(name="kang_ctrl_8donors", donor_key="donor"),
        # Shares cells with kang_ctrl_8donors.
        DataSet(name="kang_ifnb", by_default=False),
        DataSet(name="mouse_gut_organs"),
        DataSet(name="malaria_pberghei"),
        DataSet(name="embryo_deng"),
        DataSet(name="pancreas_endocrinogenesis"),
        DataSet(name="cell_lines_mixology"),
        DataSet(name="onek1k_40donors", donor_key="donor"),
        DataSet(name="pbmc10k_cite"),
        DataSet(name="pbmc1k_v3"),
        DataSet(name="worm_embryo"),
        DataSet(name="a549_multiome", condition_keys=("time",)),
        DataSet(name="papalexi_lowmoi", condition_keys=("perturbation", "batch")),
    )
}


def data_folder(given: Path | None) -> Path | None:
    """Return the folder of the data sets: the one given, else that of the environment."""
    if given is not None:
        return given
    named = os.environ.get(DATA_VARIABLE)
    return Path(named) if named else None


def file_of(name: str, folder: Path | None) -> Path:
    """Return the file of a data set, which has to be there."""
    if folder is None:
        msg = f"`{name}` needs a folder of data sets; pass `--data FOLDER` or set `{DATA_VARIABLE}`."
        raise SystemExit(msg)
    file = folder / f"{name}.h5ad"
    if not file.is_file():
        msg = (
            f"There is no file `{file}`. Expected a folder of data sets in `--data` or `{DATA_VARIABLE}`; "
            "`docs/benchmarks.md` lists the files and their origin."
        )
        raise SystemExit(msg)
    return file


def load(data_set: DataSet, folder: Path | None) -> AnnData:
    """Read a data set; missing labels become a label of their own."""
    if data_set.bundled:
        import scdiffuse

        adata = scdiffuse.datasets.pbmc68k()
    else:
        import anndata

        adata = anndata.read_h5ad(file_of(data_set.name, folder))
    for key in data_set.condition_keys:
        labels = adata.obs[key].astype(object)
        adata.obs[key] = labels.where(labels.notna(), UNLABELLED).astype(str).astype("category")
    return adata


def trim(adata: AnnData, key: str, *, max_cells: int | None) -> AnnData:
    """Draw at most ``max_cells`` cells, then leave out labels too rare to be split in three."""
    if max_cells is not None and adata.n_obs > max_cells:
        rows = np.random.default_rng(0).choice(adata.n_obs, max_cells, replace=False)
        adata = adata[np.sort(rows)]
    sizes = adata.obs[key].value_counts()
    frequent = sizes.index[sizes >= MIN_CELLS_PER_LABEL]
    kept = adata[adata.obs[key].isin(frequent).to_numpy()].copy()
    kept.obs[key] = kept.obs[key].cat.remove_unused_categories()
    return kept


def prepare(data_set: DataSet, *, folder: Path | None, work: Path, max_cells: int | None) -> Path:
    """Split a data set and write the parts, once.

    60 % fit / 20 % reference / 20 % held out, seed 0, stratified by the first condition (`scdiffuse.cells.split`);
    genes seen in at least 10 cells of the fit part; cells left without counts are dropped.

    Returns
    -------
    Folder that holds ``fit.h5ad``, ``reference.h5ad``, ``held_out.h5ad`` and ``about.json``.
    """
    target = work / slug(data_set.name, max_cells) / "split"
    if (target / "about.json").exists():
        return target
    from scdiffuse import cells

    key = data_set.condition_keys[0]
    whole = load(data_set, folder)
    adata = trim(whole, key, max_cells=max_cells)
    parts = dict(zip(PARTS, cells.split(adata, by=key, fractions=(0.6, 0.2, 0.2), seed=0), strict=True))
    n_cells_by_gene = np.asarray((parts["fit"].X > 0).sum(axis=0)).ravel()
    genes = n_cells_by_gene >= MIN_CELLS_PER_GENE
    target.mkdir(parents=True, exist_ok=True)
    about: dict[str, object] = {"cells_in_file": whole.n_obs, "cells": adata.n_obs, "genes": int(genes.sum())}
    for name, part in parts.items():
        kept = part[:, genes]
        kept = kept[np.asarray(kept.X.sum(axis=1)).ravel() > 0].copy()
        kept.write_h5ad(target / f"{name}.h5ad", compression="lzf")
        about[name] = kept.n_obs
    (target / "about.json").write_text(json.dumps(about), encoding="utf-8")
    return target


def slug(name: str, max_cells: int | None) -> str:
    """Return the name under which results of a data set, or of a sample of its cells, are kept."""
    return name if max_cells is None else f"{name}-{max_cells}"
