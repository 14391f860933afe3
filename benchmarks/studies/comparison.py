"""Generators compared: data sets x generators x seeds, each run in its own process, scored by the package."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks import runs
from benchmarks.data import DATA_SETS, MIN_CELLS_PER_GENE, MIN_CELLS_PER_LABEL
from benchmarks.figures.comparison import OURS, draw_costs, draw_scores
from benchmarks.generators import GENERATORS
from benchmarks.layout import figure_of, grid
from benchmarks.study import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "comparison"
title = "Generators compared"
summary = "Realism, biology, privacy and costs of ten generators on fourteen data sets."
unit = ("data_set", "generator", "seed")

REALISM = {
    "forest_genes_auc": "forest AUC, genes",
    "forest_counts_auc": "forest AUC, counts + library size",
    "boosting_genes_auc": "boosting AUC, genes",
    "boosting_counts_auc": "boosting AUC, counts + library size",
    "energy": "energy",
    "mmd": "MMD",
    "wasserstein2": "W2",
    "one_nn_accuracy": "1-NN",
}
"""Metric and column: whether a classifier two-sample test or a distance tells generated from real cells."""
BIOLOGY = {
    "zero_error": "zeros, error",
    "gene_correlation_slope": "gene-gene slope",
    "gene_correlation_r": "gene-gene r",
    "within_label_correlation_slope": "gene-gene slope within types",
    "within_label_correlation_r": "gene-gene r within types",
    "fold_change_slope": "fold-change slope",
    "fold_change_r": "fold-change r",
    "train_on_generated_f1": "F1, trained on generated",
    "nearest_neighbour_ratio": "neighbour ratio",
    "closest_record": "closer to training",
    "membership_distance": "membership AUC",
}
"""The same: what the cells are good for, and what they give away."""
LUO2024 = {
    "scc": "SCC",
    "pcc": "PCC",
    "mmd5": "MMD, 5 kernels",
    "ilisi": "LISI",
    "forest_auc_depth5": "forest AUC, tree depth 5",
    "knn_auc": "KNN AUC",
    "label_accuracy": "right cell type",
}
"""The same: metrics of Luo et al. 2024."""
PAGE = REALISM | BIOLOGY | LUO2024
MAIN = "forest_genes_auc"
"""The metric of the figures."""
FIGURES = {
    "two_sample.png": f"{PAGE[MAIN]}, held-out cells against generated ones: one mark a seed, dashed the "
    "real-vs-real reference. Left is better.",
    "cost.png": f"{PAGE[MAIN]} against CPU time of fitting and generating; mean over data sets and seeds. Baselines "
    "cost next to nothing and are left out.",
}
COLUMNS = (
    *unit,
    "n_fit",
    "n_held_out",
    "n_genes",
    "group",
    "metric",
    "better",
    "value",
    "reference",
    "normalised",
    "status",
)
_REFERENCE = "*real-vs-real reference*"
_BASELINES = [entry.name for entry in GENERATORS.values() if entry.baseline is not None]
_SHOWN = (
    "forest_genes_auc",
    "forest_counts_auc",
    "boosting_genes_auc",
    "within_label_correlation_slope",
    "within_label_correlation_r",
    "fold_change_slope",
)
_COSTS = {
    "fit_seconds": "fit, s",
    "fit_cpu_seconds": "fit, CPU s",
    "fit_peak_mib": "fit, peak MiB",
    "generate_seconds": "generate, s",
    "generate_cpu_seconds": "generate, CPU s",
    "generate_peak_mib": "generate, peak MiB",
    "generate_cells_per_second": "cells/s",
}
_ABOUT = f"""Each data set is split once: seed 0, stratified by the cell type, 60 % to fit, 20 % reference, 20 % held
out. Cells without a type are a type of their own. Types of fewer than {MIN_CELLS_PER_LABEL} cells are left out. Genes
are those seen in at least {MIN_CELLS_PER_GENE} cells of the fit part. A generator sees the fit part and makes one cell
for each held-out cell, of its type. `scdiffuse.evaluate` compares them with the held-out cells. Gene choice,
components and the real-vs-real reference come from the reference part. Values are means over seeds (of fitting,
generating and scoring), with the standard deviation over seeds behind `±`. The first row of every table is the
real-vs-real reference: other real cells in the place of generated ones. The four trivial generators are the baselines
of `scdiffuse.evaluate`, scored in the same process. Peers train until they
stop by themselves; the recipe of scDiffusion, which never does, had as many CPU seconds to fit (`--seconds`) as its
costs show. Costs are those of one process. Peak memory includes interpreter, libraries and the data."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which runs, and how long each may take."""
    parser.add_argument("--sets", nargs="+", choices=list(DATA_SETS), default=[], help="default: all but kang_ifnb")
    runs.add_arguments(parser, generators=(), timeout=1800.0)
    parser.add_argument("--cells", type=int, help="draw this many cells from each data set, for a trial")
    parser.add_argument("--suite", choices=("page", "quick", "full"), default="page", help="metrics to score")
    parser.set_defaults(seeds=[0, 1, 2])


def settings_of(context: Context) -> runs.Settings:
    """Read the settings of all runs from the command line."""
    options = context.options
    return runs.Settings(
        work=context.work,
        data=context.data,
        max_cells=options.cells,
        n_threads=options.threads,
        timeout=options.timeout,
        seconds=options.seconds,
        suite="quick" if options.suite == "page" else options.suite,
        metrics=tuple(PAGE) if options.suite == "page" else None,
        overwrite=options.overwrite,
    )


def run(context: Context) -> Iterator[Record]:
    """Carry out the runs that are not done, and score those of one data set and seed together."""
    settings, options = settings_of(context), context.options
    planned = runs.plan(options.sets, options.generators, options.seeds)
    if context.data is None:
        say("No folder of data sets: only bundled example data are taken.")
        planned = [one for one in planned if one.data_set.bundled]
    waiting = [one for one in planned if options.overwrite or not context.store.is_done(one.settings(settings))]
    say(f"{len(planned)} runs, {len(planned) - len(waiting)} of them already done")
    for _, group in groupby(waiting, key=lambda one: (one.seed, one.data_set.name)):
        together = list(group)
        for one in together:
            say(f"{one}: {runs.carry_out(one, settings)}")
        say(f"{together[0].data_set.name} seed {together[0].seed}: {runs.score(together, settings)}")
        yield from _records(together, settings, context)


def _records(together: Sequence[runs.Run], settings: runs.Settings, context: Context) -> Iterator[Record]:
    baselines: dict[str, runs.Values] = {}
    for one in together:
        values = runs.values_of(one, settings)
        if values is not None:
            yield context.store.record(one.settings(settings), values)
        baselines |= dict(runs.values_of_baselines(one, settings))
    shared = together[0].settings(settings) | {"options": {}, "seconds": None}
    for baseline, values in baselines.items():
        yield context.store.record(shared | {"generator": baseline}, values)


def table_of(records: Iterable[Record]) -> pd.DataFrame:
    """Lay out a row for each data set, generator, seed and metric."""
    rows = []
    for record in records:
        shared: dict[str, Any] = {key: record.settings[key] for key in unit}
        shared |= {key: value for key, value in record.values.items() if key != "metrics"}
        rows += [shared | one for one in record.values["metrics"] or [{}]]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in ("value", "reference", "normalised"):
        table[column] = pd.to_numeric(table[column])
    order = {key: place for place, key in enumerate((*DATA_SETS, *GENERATORS))}
    ordered = table.sort_values(list(unit), kind="stable", key=lambda keys: keys.map(lambda key: order.get(key, key)))
    return ordered.reset_index(drop=True)


def lines(records: Sequence[Record]) -> list[str]:
    """Write all tables of the comparison."""
    table = table_of(records)
    if table.empty:
        return []
    n_runs = len(table[list(unit)].drop_duplicates())
    parts = [_ABOUT, f"{n_runs} runs.", _missing(table), *_ours(table), *_generators(), *_by_data_set(table)]
    parts += _overview(table)
    for data_set in table["data_set"].unique():
        parts += _data_set(table[table["data_set"] == data_set])
    parts += [*_costs(table), *_failures(table), "#### Figures"]
    for file, caption in FIGURES.items():
        parts += [figure_of(file, caption), caption]
    return [part for part in parts if part]


def _missing(table: pd.DataFrame) -> str:
    """Name what was not scored: whole data sets, and generators that lack some of their seeds."""
    scored = table[table["metric"] == MAIN].drop_duplicates(list(unit))
    most = scored["seed"].nunique()
    sizes = scored.groupby(["data_set", "generator"]).size()
    found = []
    for data_set in DATA_SETS:
        seeds = {entry: int(sizes.get((data_set, entry), 0)) for entry in GENERATORS}
        short = [f"`{entry}` ({n} of {most})" for entry, n in seeds.items() if n < most]
        if not any(seeds.values()):
            found.append(f"- {data_set}: not scored yet")
        elif short:
            found.append(f"- {data_set}: fewer seeds than elsewhere for {', '.join(short)}")
    return "Missing so far:\n\n" + "\n".join(found) if found else ""


def _ours(table: pd.DataFrame) -> list[str]:
    """One row for each data set that ours was scored on, means over seeds, the reference in brackets."""
    scored = table[(table["generator"] == OURS) & table["metric"].isin(_SHOWN)]
    if scored.empty:
        return []
    rows = []
    for data_set in scored["data_set"].unique():
        own = scored[scored["data_set"] == data_set]
        values = own.groupby("metric")[["value", "reference"]].mean()
        pairs = values.reindex(_SHOWN)[["value", "reference"]].to_numpy()
        cells = ["" if math.isnan(value) else f"{_number(value)} ({_number(other)})" for value, other in pairs]
        first = own.iloc[0]
        rows.append([data_set, f"{first['n_fit']:,}", f"{first['n_held_out']:,}", own["seed"].nunique(), *cells])
    header = ["data set", "cells fitted", "cells a side", "seeds", *(PAGE[one] for one in _SHOWN)]
    words = "Generated cells of scdiffuse; other real cells in their place in brackets."
    return ["#### scdiffuse on every data set", words, grid(header, rows)]


def _generators() -> list[str]:
    return ["#### Generators", "\n".join(f"- `{entry.name}`: {entry.about}" for entry in GENERATORS.values())]


def _by_data_set(table: pd.DataFrame) -> list[str]:
    """Lay out the main metric of each generator by data set, and its mean beside those of ours and of real cells."""
    scored = table[(table["metric"] == MAIN) & ~table["generator"].isin(_BASELINES)]
    if OURS not in set(scored["generator"]):
        return []
    values = scored.groupby(["data_set", "generator"], sort=False)["value"].mean().unstack()
    values["real"] = scored.groupby("data_set")["reference"].mean()
    rows: list[list[object]] = []
    for generator in _in_order(values.columns.drop("real")):
        own = values[values[generator].notna()]
        means = own[[generator, OURS, "real"]].mean()
        rows.append(
            [f"`{generator}`", len(own), *map(_number, means.tolist()), *map(_number, values[generator].tolist())]
        )
    words = f"{PAGE[MAIN]}, mean over seeds. Means are over the data sets that a generator was scored on."
    header = ["generator", "data sets", "mean", "scdiffuse on these", "real cells on these", *values.index]
    return [f"#### {PAGE[MAIN]}, by data set", words, grid(header, rows)]


def _overview(table: pd.DataFrame) -> list[str]:
    """Median score by group of metrics, over all data sets, metrics and seeds."""
    scored = table[table["normalised"].notna()]
    if scored.empty:
        return []
    medians = scored.groupby(["generator", "group"])["normalised"].median().unstack()
    medians = medians.loc[_in_order(medians.index)]
    rows = [[f"`{one}`", *map(_number, medians.loc[one])] for one in medians.index]
    words = (
        "1 is as close to held-out cells as the real-vs-real reference, 0 is the best trivial baseline (for privacy: "
        "the baseline of memorised training cells), below 0 is worse. Median over data sets, metrics of the group, and "
        "seeds."
    )
    return ["#### Normalised score by group", words, grid(["generator", *medians.columns], rows)]


def _data_set(table: pd.DataFrame) -> list[str]:
    first = table.iloc[0]
    sizes = f"{first['n_fit']:,} cells to fit, {first['n_held_out']:,} held out, {first['n_genes']:,} genes."
    held = set(table["metric"])
    chosen = [{one: word for one, word in columns.items() if one in held} for columns in (REALISM, BIOLOGY, LUO2024)]
    grids = [_scores(table, columns) for columns in chosen if columns]
    return [f"#### {first['data_set']}", sizes, *grids] if grids else []


def _scores(table: pd.DataFrame, columns: dict[str, str]) -> str:
    """Lay out some metrics of one data set, the real-vs-real reference above all generators."""
    references = table.drop_duplicates(["seed", "metric"]).groupby("metric")["reference"].agg(["mean", "std"])
    rows = [[_REFERENCE, *(_spread(references, metric) for metric in columns)]]
    for generator in _in_order(table["generator"].unique()):
        values = table[table["generator"] == generator].groupby("metric")["value"].agg(["mean", "std"])
        if values.index.isin(list(columns)).any():
            rows.append([f"`{generator}`", *(_spread(values, metric) for metric in columns)])
    return grid(["generator", *columns.values()], rows)


def _costs(table: pd.DataFrame) -> list[str]:
    costs = table[(table["group"] == runs.COST_GROUP) & table["metric"].isin(list(_COSTS))]
    if costs.empty:
        return []
    means = costs.groupby(["data_set", "generator", "metric"], sort=False)["value"].mean().unstack()
    means = means[[one for one in _COSTS if one in means]]
    rows = [[data_set, f"`{one}`", *map(_number, means.loc[(data_set, one)])] for data_set, one in means.index]
    return ["#### Costs", grid(["data set", "generator", *(_COSTS[str(one)] for one in means)], rows)]


def _failures(table: pd.DataFrame) -> list[str]:
    ended = table[~table["status"].isin(["done", runs.BASELINE])].drop_duplicates(list(unit))
    if ended.empty:
        return []
    rows = [
        [one.data_set, f"`{one.generator}`", one.seed, str(one.status).replace("|", "/")]
        for one in ended.itertuples(index=False)
    ]
    return ["#### Runs without scores", grid(["data set", "generator", "seed", "why"], rows)]


def _in_order(names: Iterable[str]) -> list[str]:
    known = list(GENERATORS)
    return sorted(names, key=lambda one: known.index(one) if one in known else len(known))


def _spread(values: pd.DataFrame, metric: str) -> str:
    if metric not in values.index:
        return ""
    mean, deviation = float(values["mean"][metric]), float(values["std"][metric])
    return _number(mean) if math.isnan(deviation) else f"{_number(mean)} ± {_number(deviation)}"


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}"


def draw(records: Sequence[Record], folder: Path) -> None:
    """Draw the main metric by generator, and against costs."""
    table = table_of(records)
    if (table["metric"] == MAIN).any():
        scores, costs = FIGURES
        draw_scores(table, folder / scores, metric=MAIN, title=PAGE[MAIN], names=list(GENERATORS))
        draw_costs(table, folder / costs, metric=MAIN, title=PAGE[MAIN], unit=unit)
