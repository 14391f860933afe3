"""Whether a fit to few cells gains from a model of other data.

A model of `kang_ctrl_8donors` is tuned to 100, 300 and 1,000 cells of `pbmc3k` with ``fit(init_from=...)``, beside
models of the same cells from scratch, and both are compared with cells that neither saw.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.data import DATA_SETS, load
from benchmarks.layout import grid, only, spread
from benchmarks.models import Fit, model_of
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "pretraining"
title = "Pretraining on other data"
summary = "Whether a fit to few cells gains from a model of another data set."
unit = ("seed", "n_cells")

Row = dict[str, Any]
LEARNT, TUNED = "kang_ctrl_8donors", "pbmc3k"
SIZES = (100, 300, 1000)
FRACTION_OF_CELLS = 0.05
REFERENCE, MEMORISED = "real-vs-real reference", "memorised training cells"
SCRATCH, CARRIED = "from scratch", f"from {LEARNT}"
ORDER = (SCRATCH, CARRIED, MEMORISED, REFERENCE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Set the seeds."""
    parser.set_defaults(seeds=[0, 1, 2])


def run(context: Context) -> Iterator[Record]:
    """Measure each seed and number of cells."""
    for seed, n in product(context.seeds, SIZES):
        yield from context.measure({"seed": seed, "n_cells": n}, partial(measure, context, n=n, seed=seed))


def measure(context: Context, *, n: int, seed: int) -> list[Row]:
    """Fit to some cells both ways, and score both beside memorised cells and other real ones."""
    import scdiffuse
    from benchmarks.inside import elbo_of

    whole = load(DATA_SETS[TUNED], context.data)
    learnt = model_of(Fit(name="all", data_set=LEARNT, conditions=("cell_type",)), context)
    fit, reference, held = scdiffuse.split(whole, by="cell_type", fractions=(0.6, 0.2, 0.2), seed=0)
    genes = np.asarray((fit.X > 0).mean(axis=0)).ravel() >= FRACTION_OF_CELLS
    chosen = np.sort(np.random.default_rng([seed, n]).choice(fit.n_obs, n, replace=False))
    cells, reference, held = fit[chosen, genes].copy(), reference[:, genes].copy(), held[:, genes].copy()
    labels = cells.obs["cell_type"].astype(object)
    cells.obs["cell_type"] = labels.where(labels.map(labels.value_counts()) > 1)
    again = cells[np.random.default_rng(seed).choice(n, held.n_obs)]
    about: Row = {"n_genes": int(genes.sum()), "n_genes_learnt": len(learnt.genes)}
    about["n_shared"] = len(set(learnt.genes) & set(cells.var_names))
    rows = [
        about | {"way": REFERENCE, "auc": _auc(reference, held, seed=seed)},
        about | {"way": MEMORISED, "auc": _auc(again, held, seed=seed)},
    ]
    for way, start in ((SCRATCH, None), (CARRIED, learnt)):
        model = scdiffuse.CellGenerator(cells, conditions=["cell_type"], min_cells=0)
        model.fit(init_from=start, seed=seed, progress=False)
        made = model.generate(held.n_obs, seed=seed, progress=False)
        first = model.history["autoencoder"][0][2]
        scores = {"auc": _auc(made, held, seed=seed), "elbo": elbo_of(model, held), "first_validation": -first}
        rows.append(about | {"way": way, **scores, "steps": model.history["autoencoder"][-1][0]})
    return rows


def _auc(x: AnnData, y: AnnData, *, seed: int) -> float:
    from scdiffuse.metrics import two_sample_auc

    logs = [np.log1p(one.X.toarray() / np.maximum(one.X.sum(axis=1), 1) * 1e4) for one in (x, y)]
    n = min(len(one) for one in logs)
    return float(two_sample_auc(*(np.asarray(one[:n]) for one in logs), seed=seed, folds=3, n_jobs=1).auc)


def lines(records: Sequence[Record]) -> list[str]:
    """Write AUC and ELBO by number of cells, and what is gained seed by seed."""
    found = rows_of(records)
    rows = []
    for n, way in product(SIZES, ORDER):
        mine = only(found, n_cells=n, way=way)
        if mine:
            rows.append([f"{n:,}", way, *(spread(row.get(key) for row in mine) for key in ("auc", "elbo"))])
    shared = next((row for row in found if row["way"] == CARRIED), {})
    about = (
        f"A model of `{LEARNT}` ({shared.get('n_genes_learnt', 0):,} genes) tuned to cells of `{TUNED}` "
        f"({shared.get('n_genes', 0):,} genes, {shared.get('n_shared', 0):,} of them shared) with "
        f"`fit(init_from=...)`, beside models from scratch with the same settings. Genes are those seen in "
        f"{FRACTION_OF_CELLS:.0%} of the fit part. The ELBO is that of 540 held-out cells (higher is better). The AUC "
        "is that of a random forest between generated and held-out cells. Means of the seeds ± standard deviation."
    )
    header = ["cells", "cells come from", "forest AUC, genes", "held-out ELBO, nats a cell"]
    return [about, grid(header, rows), "\n".join(_gains(found))]


def _gains(found: list[Row]) -> list[str]:
    """Say what each number of cells gains, seed by seed."""
    said = []
    for n in SIZES:
        carried, scratch = ({row["seed"]: row for row in only(found, n_cells=n, way=way)} for way in (CARRIED, SCRATCH))
        seeds = sorted(set(carried) & set(scratch))
        if seeds:
            elbo, auc = (
                spread(float(carried[seed][key]) - float(scratch[seed][key]) for seed in seeds)
                for key in ("elbo", "auc")
            )
            said.append(
                f"- {n:,} cells: the ELBO changes by {elbo} nats a cell and the AUC by {auc} ({len(seeds)} seeds, "
                "paired)."
            )
    return said
