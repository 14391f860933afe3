"""Realism against the number of cells and of genes fitted.

For each size a model is fitted; generated cells, and reconstructions of the cells it was fitted to, are compared with
real cells that no model saw. What separates the two is the part of the diffusion in the error.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np

from benchmarks.data import PARTS
from benchmarks.layout import axes_of, figure_of, grid, only, save
from benchmarks.models import read_parts
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse import CellGenerator
    from scdiffuse.evaluation import Benchmark

name = "realism_by_size"
title = "Realism against cells and genes"
summary = "Realism against the number of cells and of genes fitted."
unit = ("along", "asked", "seed")

Row = dict[str, Any]
METRICS = {
    "forest_genes_auc": "forest AUC, genes",
    "forest_counts_auc": "forest AUC, counts + library size",
    "boosting_genes_auc": "boosting AUC, genes",
}
KEY = "cell_type"
ALONG = {"cells": ("kang_ctrl_8donors", (300, 1000, 3000, 12_000)), "genes": ("pbmc3k", (500, 2000, 20_000))}
GENERATED, RECONSTRUCTED = "generated", "reconstructed"
FIGURE = "realism_by_size.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: sizes are those of the figure."""


def run(context: Context) -> Iterator[Record]:
    """Measure each seed and size."""
    for seed in context.seeds:
        for along, (data_set, sizes) in ALONG.items():
            for size in sizes:
                about = {"data_set": data_set, "along": along, "asked": size, "seed": seed}
                yield from context.measure(about, partial(measure, context, along=along, size=size, seed=seed))


def measure(context: Context, *, along: str, size: int, seed: int) -> list[Row]:
    """Fit one size and score generated and reconstructed cells."""
    from scdiffuse import CellGenerator
    from scdiffuse.evaluation import Benchmark

    parts = read_parts(ALONG[along][0], context)
    fit, reference, held_out = (parts[part] for part in PARTS)
    if along == "cells":
        fit = fewer_cells(fit, size, seed=seed)
    else:
        genes = most_expressed(fit, size)
        fit, reference, held_out = fit[:, genes].copy(), reference[:, genes].copy(), held_out[:, genes].copy()
    begin = time.process_time()
    model = CellGenerator(fit, conditions=[KEY]).fit(seed=seed, device=context.options.device, progress=False)
    common: Row = {"n_cells": fit.n_obs, "n_genes": len(model.genes), "seconds": time.process_time() - begin}
    benchmark = Benchmark(
        held_out, reference=reference, train=fit, by=KEY, metrics=list(METRICS), seed=seed, progress=False
    )
    known = held_out.obs[KEY].isin(model.conditions.categorical[KEY])
    obs = held_out.obs.loc[known, [KEY]].reset_index(drop=True)
    made = {
        GENERATED: model.generate(where=obs, seed=seed, progress=False),
        RECONSTRUCTED: reconstruct(model, fit, obs, seed=seed),
    }
    return [common | {"cells": origin} | scores(benchmark, cells) for origin, cells in made.items()]


def fewer_cells(fit: AnnData, size: int, *, seed: int) -> AnnData:
    """Draw some of the cells; labels that are left with a single one are left out."""
    rows = np.random.default_rng(seed).permutation(fit.n_obs)[:size]
    some = fit[np.sort(rows)]
    counts = some.obs[KEY].value_counts()
    return some[some.obs[KEY].map(counts).to_numpy() > 1].copy()


def most_expressed(fit: AnnData, size: int) -> np.ndarray:
    """Return the positions of the genes with the most counts."""
    return np.sort(np.argsort(-np.asarray(fit.X.sum(axis=0)).ravel())[:size])


def reconstruct(model: CellGenerator, fit: AnnData, obs: pd.DataFrame, *, seed: int) -> AnnData:
    """Draw anew, from its own posterior, a fitted cell for each row of `obs`, of its type."""
    from benchmarks.inside import reconstruct as draw_anew

    labels, rng = fit.obs[KEY].to_numpy(), np.random.default_rng(seed)
    rows = np.array([rng.choice(np.flatnonzero(labels == label)) for label in obs[KEY]])
    drawn = draw_anew(model, fit[rows], seed=seed)
    return anndata.AnnData(drawn, obs=obs.set_axis(obs.index.astype(str)), var=fit[:, model.genes].var[[]])


def scores(benchmark: Benchmark, cells: AnnData) -> Row:
    """Score cells; the real-vs-real reference goes with each value."""
    found = benchmark.score(cells).metrics
    values: Row = {}
    for one in METRICS:
        values |= {one: float(found[one]["value"]), f"{one}_reference": float(found[one]["reference"])}
    return values


def lines(records: Sequence[Record]) -> list[str]:
    """Write AUCs by size, the real-vs-real reference in brackets."""
    header = ["data set", "cells", "genes", "seed", "cells come from", *METRICS.values(), "fit, CPU s"]
    rows = []
    for one in rows_of(records):
        values = [f"{one[metric]:.3f} ({one[f'{metric}_reference']:.3f})" for metric in METRICS]
        sizes = [one["data_set"], f"{one['n_cells']:,}", f"{one['n_genes']:,}", one["seed"], one["cells"]]
        rows.append([*sizes, *values, f"{one['seconds']:.0f}"])
    about = (
        "Held-out cells against generated ones, and against cells drawn anew from the latents of fitted ones, which "
        "shows what the autoencoder alone costs; real-vs-real references in brackets."
    )
    return [about, figure_of(FIGURE, title), grid(header, rows)]


def draw(records: Sequence[Record], folder: Path) -> None:
    """Draw both curves."""
    found = rows_of(records)
    figure, axes = axes_of(1, len(ALONG), size=(9.0, 3.4))
    metric, word = next(iter(METRICS.items()))
    for axis, (along, (data_set, _)) in zip(axes, ALONG.items(), strict=True):
        for kind, marker in ((GENERATED, "o"), (RECONSTRUCTED, "^")):
            rows = sorted(
                (one[f"n_{along}"], one[metric], one[f"{metric}_reference"])
                for one in only(found, along=along, cells=kind)
            )
            axis.plot([row[0] for row in rows], [row[1] for row in rows], marker=marker, label=kind)
            if kind == GENERATED:
                axis.plot([row[0] for row in rows], [row[2] for row in rows], "k--", label="real-vs-real reference")
        axis.set(xscale="log", xlabel=f"{along} fitted, {data_set}", ylabel=word)
        axis.set_xticks([row[0] for row in rows], [f"{row[0]:,}" for row in rows])
        axis.minorticks_off()
        axis.legend(frameon=False)
    axes[1].sharey(axes[0])
    save(figure, folder / FIGURE)
