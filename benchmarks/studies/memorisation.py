"""Memorised training cells: generated cells of rare types against the few real ones that a model was fitted to.

For each type with fewer than 30 training cells: how much nearer the nearest training cell of the type is than the
second (ratio; held-out cells of the type are the null), and how often a training cell is nearer than a held-out one
(record, with the null .5). Memorised cells have a ratio near 0 and a record near 1.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import spaces
from benchmarks.layout import grid
from benchmarks.models import model_of, read
from benchmarks.records import rows_of
from benchmarks.studies.rare_types import OURS, make_setting

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "memorisation"
title = "Memorised training cells of rare types"
summary = "Whether generated cells of types with few training cells are memorised ones."
unit = ("seed", "k")

DATA_SET = "pbmc3k"
FEWER_THAN = 30
SIZES = (10, 25)
_N_GENERATED = 300
_QUANTILE = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Set the seeds."""
    parser.set_defaults(seeds=[0, 1])


def run(context: Context) -> Iterator[Record]:
    """Measure each seed and number of training cells."""
    for seed, k in product(context.seeds, SIZES):
        yield from context.measure({"seed": seed, "k": k}, partial(measure, context, k=k, seed=seed))


def measure(context: Context, *, k: int, seed: int) -> list[dict[str, Any]]:
    """Compare generated cells of each rare type with its training cells; one row a type."""
    from scdiffuse.metrics import distance_to_closest_record, nearest_neighbour_ratio

    adata = read(DATA_SET, context)
    setting = make_setting(DATA_SET, adata, k=k, seed=seed)
    model = model_of(setting.fit, context)
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    train = spaces.log_normalise(adata[setting.train], model.genes)
    test = spaces.log_normalise(adata[setting.test], model.genes)
    components = spaces.Components.of(train)
    names, counts = np.unique(labels[setting.train], return_counts=True)
    found = []
    for label, n_train in zip(names, counts, strict=True):
        held_out = test[labels[setting.test] == label]
        if not 2 <= n_train < FEWER_THAN or not len(held_out):
            continue
        made = model.generate(_N_GENERATED, where={"cell_type": label}, seed=seed, progress=False)
        own = train[labels[setting.train] == label]
        parts = [components(cells) for cells in (own, held_out, spaces.log_normalise(made, model.genes))]
        about: dict[str, Any] = {"data_set": DATA_SET, "type": str(label), "n_train": int(n_train)}
        about |= {"n_held_out": len(held_out), "answer": OURS}
        scores = {
            "ratio": nearest_neighbour_ratio(*parts, quantile=_QUANTILE),
            "record": distance_to_closest_record(*parts),
        }
        for measure, score in scores.items():
            about |= {f"{measure}_{part}": float(value) for part, value in score._asdict().items()}
        found.append(about)
    return found


def lines(records: Sequence[Record]) -> list[str]:
    """Write both measures by type, and how many types memorise."""
    found, rows = rows_of(records), []
    for one in found:
        about = [one[key] for key in ("data_set", "k", "seed", "type", "n_train", "n_held_out")]
        for measure in ("ratio", "record"):
            value, low, high, null = (one[f"{measure}_{part}"] for part in ("value", "low", "high", "null"))
            about += [f"{value:.2f} ({low:.2f}-{high:.2f})", null]
        rows.append(about)
    header = ["data set", "K", "seed", "type", "cells trained on", "held out"]
    header += ["nearest over second nearest", "held-out cells", "nearer to a training cell", "null"]
    near = sum(one["ratio_high"] < one["ratio_null"] for one in found)
    memorised = sum(one["record_low"] > one["record_null"] for one in found)
    said = (
        f"{_N_GENERATED} generated cells of each type with fewer than {FEWER_THAN} training cells. The ratio is the "
        f"{_QUANTILE:.0%} quantile of the distance to the nearest training cell of the type over that to the second "
        "nearest, beside that of held-out cells; memorised cells have a ratio near 0. The fraction of cells that lie "
        "nearer to a training cell than to as many held-out ones has the null .5; memorised cells reach 1."
    )
    goals = (
        f"- Types whose generated cells lie nearer to training than to held-out cells: {memorised} of {len(found)}.\n"
        f"- Types of which they crowd about single training cells more than held-out ones do: {near} of {len(found)}."
    )
    return [said, grid(header, rows), goals]
