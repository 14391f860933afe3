"""Correlations of genes within cell types, beside what finite training costs by itself.

A model of few cells has their sampling error in its correlations. So there are two references: other real cells, and
a parametric bootstrap, in which the fitted model is the truth, a model refitted to as many of its cells is compared
with fresh cells of the first, and the first with itself. What the refitted model lacks is the price of few cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from benchmarks.data import DATA_SETS, load
from benchmarks.layout import Row, distinct, grid, mean, only
from benchmarks.records import rows_of
from benchmarks.studies.power import Case, fit_twice

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse.metrics import LineFit

name = "correlations"
title = "Correlations of genes within types"
summary = "Slope and correlation of gene-gene correlations within types, beside what finite training costs."
unit = ("data_set", "seed")

SETS = (
    "pbmc68k",
    "pancreas_endocrinogenesis",
    "pbmc1k_v3",
    "mouse_gut_organs",
    "a549_multiome",
    "pbmc3k",
)
CASE = Case(0.6)
SAMPLES = ("other real cells", "generated cells", "other cells of the model", "cells of the refitted model")
_FEWEST = 10  # cells of a type in each sample


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the data sets."""
    parser.add_argument("--sets", nargs="+", choices=list(DATA_SETS), default=list(SETS), help="data sets")
    parser.set_defaults(seeds=[0, 1, 2])


def run(context: Context) -> Iterator[Record]:
    """Fit and measure each data set and seed."""
    yield from context.measure_sets(measure)


def measure(context: Context, data_set: str, *, seed: int) -> list[Row]:
    """Fit a model, and a second one to its cells; one row for each pair of samples."""
    adata = load(DATA_SETS[data_set], context.data)
    fit, held_out, model, drawn = fit_twice(adata, CASE, device=context.options.device, seed=seed)
    n_cells = held_out.n_obs
    training = fit[np.random.default_rng(seed).permutation(fit.n_obs)[:n_cells]]
    generated, other = (cast("AnnData", model.generate(n_cells, seed=s, progress=False)) for s in (seed, seed + 2000))
    pairs = ((held_out, training), (held_out, generated), (drawn.truth, other), (drawn.truth, drawn.refitted))
    rows = []
    for sample, (truth, cells) in zip(SAMPLES, pairs, strict=True):
        line = _compare(truth, cells, genes=drawn.refitted.var_names)
        rows.append({"sample": sample, "n_fitted": fit.n_obs, "n_cells": n_cells, "slope": line.slope, "r": line.r})
    return rows


def _compare(one: AnnData, other: AnnData, *, genes: Any) -> LineFit:  # noqa: ANN401 - an index of pandas
    """Compare correlations within the types that both samples have enough cells of."""
    from scdiffuse.metrics import gene_correlation

    key = CASE.conditions[0]
    labels = [cells.obs[key].astype(str) for cells in (one, other)]
    numbers = [column.value_counts() for column in labels]
    often = [set(counts.index[counts >= _FEWEST]) for counts in numbers]
    kept = [column.isin(often[0] & often[1]).to_numpy() for column in labels]
    real, made = (cells[rows, genes] for cells, rows in zip((one, other), kept, strict=True))
    names = tuple(column[rows].to_numpy() for column, rows in zip(labels, kept, strict=True))
    return gene_correlation(real.X, made.X, labels=(names[0], names[1]))


def lines(records: Sequence[Record]) -> list[str]:
    """Write each number, and what it is of its reference."""
    found, rows = rows_of(records), []
    for data_set in distinct(found, "data_set"):
        own = only(found, data_set=data_set)
        parts = [[mean(only(own, sample=sample), what) for what in ("slope", "r")] for sample in SAMPLES]
        real, generated, model, refitted = (np.array(part) for part in parts)
        cells = [f"{pair[0]:.2f}, {pair[1]:.2f}" for pair in (real, generated, generated / real, refitted / model)]
        rows.append([data_set, len(distinct(own, "seed")), f"{mean(own, 'n_fitted'):,.0f}", *cells])
    about = (
        "Slope and Pearson correlation of the gene-gene correlations of 200 genes within types of 10 cells or more "
        "with those of held-out cells, mean over seeds. *Part* is what generated cells have of what as many training "
        "cells have; *refitted* the same of a model that is refitted to as many cells of the first, with the first as "
        "the truth: what few training cells cost if the model is right."
    )
    header = ["data set", "seeds", "fitted", "training cells", "generated", "part", "refitted, part"]
    return [about, grid(header, rows)]
