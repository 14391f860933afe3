"""What it gains to start at gene programmes: weak programmes, correlations within types, and classifiers' AUC."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import spaces
from benchmarks.data import DATA_SETS
from benchmarks.layout import distinct, grid, mean, only
from benchmarks.records import rows_of
from benchmarks.studies.corrections import Case, cells_of, divide, fit_and_generate, two_sample

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "gene_programmes"
title = "Start at gene programmes"
summary = "What a start of loadings at gene programmes gains, on six data sets."
unit = ("data_set", "seed", "is_on")

Row = dict[str, Any]
SETS = ("pbmc3k", "mouse_gut_organs", "kang_ctrl_8donors", "a549_multiome", "worm_embryo", "embryo_deng")
MEASURES = {
    "elbo": "negative ELBO of held-out cells, nats",
    "programmes": "variance along programmes, of the real one",
    "slope": "slope of gene-gene correlations within types",
    "r": "r of the same",
    "forest": "random forest AUC, genes",
    "logistic": "logistic regression AUC, genes",
    "library": "random forest AUC, library size features",
}
_SEEDS = 3
_PROGRAMMES = slice(3, 20)  # the strongest are found from any start


def within_types(fit: AnnData, held: AnnData, made: AnnData, *, key: str) -> dict[str, float]:
    """Compare what genes do together within types: correlations, and variances along programmes of the fitted cells."""
    from sklearn.decomposition import PCA

    from scdiffuse.metrics import gene_correlation

    genes, cells = made.var_names.to_numpy(), (fit, held, made)
    names = [one.obs[key].astype(str).to_numpy() for one in cells]
    logs = [spaces.log_normalise(one, genes) for one in cells]
    for values, labels in zip(logs, names, strict=True):
        for label in set(labels):
            values[labels == label] -= values[labels == label].mean(axis=0)
    components = PCA(_PROGRAMMES.stop, random_state=0).fit(logs[0]).components_[_PROGRAMMES]
    real, ours = ((values @ components.T).var(axis=0) for values in logs[1:])
    line = gene_correlation(held[:, genes].X, made.X, labels=(names[1], names[2]))
    return {"programmes": float(np.mean(ours / real)), "slope": float(line.slope), "r": float(line.r)}


def measure(context: Context, data_set: str, seed: int, *, is_on: bool) -> Row:
    """Fit with or without the start, and compare generated cells with held-out ones."""
    from dataclasses import replace

    from benchmarks import inside
    from scdiffuse import ModelConfig

    keys = list(DATA_SETS[data_set].condition_keys)
    fit, held, _ = divide(cells_of(data_set, context), Case(tuple(keys), None), seed=seed)
    config = ModelConfig()
    config = replace(config, autoencoder=replace(config.autoencoder, programme_start=is_on))
    model, held, made = fit_and_generate(fit, held, keys, config=config, seed=seed)
    found = {task: 0.5 + distance for task, distance in two_sample(held, made).items()}
    found |= within_types(fit, held, made, key=keys[0])
    return found | {"elbo": -inside.elbo_of(model, held), "n_fit": fit.n_obs, "n_held_out": held.n_obs}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Choose data sets."""
    parser.set_defaults(seeds=list(range(_SEEDS)))
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS), help="data sets")


def run(context: Context) -> Iterator[Record]:
    """Measure each data set and seed, with the start and without it."""
    for seed in context.seeds:
        for data_set in context.options.sets:
            for is_on in (False, True):
                settings = {"data_set": data_set, "seed": seed, "is_on": is_on}
                yield from context.measure(settings, partial(measure, context, data_set, seed, is_on=is_on))


def lines(records: Sequence[Record]) -> list[str]:
    """Write each measure with the start, and without it in brackets."""
    rows = rows_of(records)
    if not rows:
        return []
    table: list[list[object]] = []
    for data_set in distinct(rows, "data_set"):
        here = only(rows, data_set=data_set)
        with_it, without = (only(here, is_on=is_on) for is_on in (True, False))
        pairs = (f"{mean(with_it, one):.3f} ({mean(without, one):.3f})" for one in MEASURES)
        numbers = (f"{mean(here, one):,.0f}" for one in ("n_fit", "n_held_out"))
        table.append([data_set, *numbers, len(with_it), *pairs])
    about = (
        "Generated cells of a fit whose loadings start at gene programmes; without that in brackets. The "
        f"variance of generated cells along principal components {_PROGRAMMES.start + 1} to {_PROGRAMMES.stop} of the "
        "fitted cells, within types, is given as a part of that of held-out cells, which the correlations are "
        "compared with too. An AUC below .5 counts as one above it."
    )
    return [about, grid(["data set", "cells fitted", "cells a side", "seeds", *MEASURES.values()], table)]
