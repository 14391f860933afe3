"""Variety of rare cell types: generated cells against as many real ones that no model was fitted to.

The cells are those of the comparison. For each rare type, a classifier that learns all types from the training cells
assigns a type to each cell: generated cells that are more typical than real ones get the right one more often. Coverage
is the fraction of real cells that have a generated one in their neighbourhood; the reference is that of other real
cells, in the same numbers, over random halves.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import runs, spaces
from benchmarks.data import DATA_SETS, PARTS, UNLABELLED, prepare
from benchmarks.generators import GENERATORS
from benchmarks.layout import grid, mean, only
from benchmarks.records import rows_of
from benchmarks.studies.comparison import PAGE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "rare_variety"
title = "Variety of rare cell types"
summary = "Whether generated cells of rare types are as varied as real ones."
unit = ("data_set", "seed")

SETS = (
    "pbmc3k",
    "kang_ctrl_8donors",
    "mouse_gut_organs",
    "malaria_pberghei",
    "pancreas_endocrinogenesis",
    "pbmc10k_cite",
    "pbmc1k_v3",
    "worm_embryo",
)
MOST_TRAINED = 100
_FEWEST_REAL = 16  # held-out cells, which are halved
_N_HALVES = 50
_MOST_MORE = 0.1

Row = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the data sets, and set the seeds."""
    parser.add_argument("--sets", nargs="+", choices=list(DATA_SETS), default=list(SETS))
    parser.set_defaults(seeds=[0, 1, 2])


def run(context: Context) -> Iterator[Record]:
    """Measure each data set and seed."""
    for seed in context.seeds:
        for data_set in context.options.sets:
            yield from context.measure({"data_set": data_set, "seed": seed}, partial(measure, context, data_set, seed))


def measure(context: Context, data_set: str, seed: int) -> list[Row]:
    """Make the cells of the comparison, unless they are there, and measure each rare type; one row a type."""
    import anndata

    # Metrics are named, so that these are the runs of the comparison.
    settings = runs.Settings(
        work=context.work, data=context.data, n_threads=context.options.threads, metrics=tuple(PAGE)
    )
    one = runs.Run(DATA_SETS[data_set], GENERATORS["ours"], seed)
    split = prepare(one.data_set, folder=context.data, work=context.work, max_cells=None)
    runs.carry_out(one, settings)
    cells = {part: anndata.read_h5ad(split / f"{part}.h5ad") for part in PARTS}
    cells["generated"] = anndata.read_h5ad(one.folder(settings) / runs.CELLS_FILE)
    key = one.data_set.condition_keys[0]
    labels = {part: adata.obs[key].astype(str).to_numpy() for part, adata in cells.items()}
    logs = {part: spaces.log_normalise(adata, cells["fit"].var_names) for part, adata in cells.items()}
    components = spaces.Components.of(logs["fit"])
    placed = {part: components(values) for part, values in logs.items()}
    classifier = spaces.classifier(placed["fit"], labels["fit"], seed=seed)
    found = []
    for label, n_trained in zip(*np.unique(labels["fit"], return_counts=True), strict=True):
        real = np.concatenate([placed[part][labels[part] == label] for part in ("reference", "held_out")])
        made = placed["generated"][labels["generated"] == label]
        is_rare = n_trained <= MOST_TRAINED and label != UNLABELLED
        if not is_rare or len(real) < _FEWEST_REAL or len(made) < len(real) // 2:
            continue
        about: Row = {"type": str(label), "n_trained": int(n_trained), "n_real": len(real), "n_generated": len(made)}
        about["right_type_real"] = _right_type(classifier, real, label)
        about["right_type_generated"] = _right_type(classifier, made, label)
        found.append(about | _coverage(real, made, seed=seed))
    return found


def _right_type(classifier: Any, cells: spaces.Array, label: str) -> float:  # noqa: ANN401 - of scikit-learn
    return float((classifier.predict(cells) == label).mean())


def _coverage(real: spaces.Array, made: spaces.Array, *, seed: int) -> Row:
    """Cover random halves of the real cells by the other halves, and by as many generated cells."""
    from scdiffuse.metrics import precision_recall_density_coverage

    rng, n = np.random.default_rng(seed), len(real) // 2
    by_real, by_made = [], []
    for _ in range(_N_HALVES):
        order = rng.permutation(len(real))
        covered, others = real[order[:n]], real[order[n : 2 * n]]
        drawn = made[rng.permutation(len(made))[:n]]
        by_real.append(precision_recall_density_coverage(covered, others).coverage)
        by_made.append(precision_recall_density_coverage(covered, drawn).coverage)
    low, high = np.quantile(by_real, [0.025, 0.975])
    return {
        "coverage_real": float(np.mean(by_real)),
        "coverage_low": float(low),
        "coverage_high": float(high),
        "coverage_generated": float(np.mean(by_made)),
    }


def lines(records: Sequence[Record]) -> list[str]:
    """Write both measures by type, mean over seeds, and how many types meet the goals."""
    found, rows, met = rows_of(records), [], {"right_type": 0, "covered": 0}
    for data_set, label in dict.fromkeys((one["data_set"], one["type"]) for one in found):
        of = only(found, data_set=data_set, type=label)
        values = {key: mean(of, key) for key in of[0] if key.startswith(("right_type", "coverage"))}
        met["right_type"] += values["right_type_generated"] <= values["right_type_real"] + _MOST_MORE
        met["covered"] += values["coverage_generated"] >= values["coverage_low"]
        rows.append([
            data_set, label, of[0]["n_trained"], of[0]["n_real"], len(of),
            values["right_type_generated"], values["right_type_real"], values["coverage_generated"],
            f"{values['coverage_real']:.2f} ({values['coverage_low']:.2f}-{values['coverage_high']:.2f})",
        ])  # fmt: skip
    header = ["data set", "type", "cells trained on", "real cells", "seeds"]
    header += ["right type: generated", "real", "coverage: generated", "other real cells"]
    said = (
        f"Types with at most {MOST_TRAINED} training cells, and at least {_FEWEST_REAL} other real ones. Right type: "
        "by a logistic regression of 30 principal components that learnt all types from the training cells. Coverage: "
        "half of the real cells, covered by the other half or by as many generated cells; mean of "
        f"{_N_HALVES} halves, with the interval of single halves."
    )
    goals = (
        f"- Types whose cells are assigned the right type no more than .1 more often than real ones: "
        f"{met['right_type']} of {len(rows)}.\n"
        f"- Types whose coverage is within the interval of other real cells, or above: {met['covered']} of {len(rows)}."
    )
    return [said, grid(header, rows), goals]
