"""How many cells a classifier needs to tell generated cells from real ones.

A model is fitted to a stated part of a data set. Classifiers learn from more and more of its cells and of real cells
that it never saw, and are scored on others. Two halves of the real cells, compared in the same way, are the first
reference. The second is a parametric bootstrap: a model is refitted to as many cells of the fitted one, and compared
with fresh cells of that; it shows what finite training costs by itself, at the price of one more fit. Other generators
learn from the same cells, and as many of theirs are compared with the same held-out ones.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from itertools import cycle, product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks import runs
from benchmarks.figures.comparison import OURS
from benchmarks.generators import GENERATORS
from benchmarks.layout import axes_of, distinct, figure_of, grid, only, save
from benchmarks.models import read
from benchmarks.records import rows_of
from benchmarks.study import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from anndata import AnnData
    from pandas import DataFrame

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse import CellGenerator, ModelConfig
    from scdiffuse.evaluation import Bootstrap

name = "power"
title = "How many cells a classifier needs"
summary = "AUC of classifiers against the cells they learn from, and how many they need to reach .55 and .60."
unit = ("data_set", "generator", "seed")

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A data set, how much of it is fitted, and under which conditions."""

    fraction: float
    conditions: tuple[str, ...] = ("cell_type",)


class FittedTwice(NamedTuple):
    """A fitted model, and what finite training costs it by itself."""

    fit: AnnData
    """Cells that the model was fitted to."""
    held_out: AnnData
    model: CellGenerator
    bootstrap: Bootstrap
    """Cells of the model, and of a model refitted to as many of its cells."""


CASES = {
    "kang_ctrl_8donors": Case(0.35, ("cell_type", "donor")),
    "malaria_pberghei": Case(0.4),
    "onek1k_40donors": Case(0.4),
    "pbmc10k_cite": Case(0.4),
    "a549_multiome": Case(0.5),
    "worm_embryo": Case(0.5),
}
CLASSIFIERS = ("forest", "logistic", "boosting", "network")
SPACES = ("genes", "depth")
SIZES = (250, 500, 1000, 2000)
BOOTSTRAP = "bootstrap"
SAMPLES = {"generated": "generated", "real": "real-vs-real", BOOTSTRAP: "bootstrap"}
FIGURE = "power.png"
GOAL_SIZE, GOALS = 2000, {"genes": 0.05, "depth": 0.03}
_MOST_GENERATED = 8000
_MIN_CELLS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the data sets, sizes, classifiers, generators, and the second reference."""
    parser.add_argument("--sets", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="cells a side to learn from")
    parser.add_argument("--classifiers", nargs="+", choices=CLASSIFIERS, default=list(CLASSIFIERS))
    parser.add_argument("--spaces", nargs="+", choices=("genes", "counts", "depth"), default=list(SPACES))
    runs.add_arguments(parser, generators=(OURS,), timeout=3600.0)
    parser.add_argument("--bootstrap", action="store_true", help="refit a model to cells of the fitted one")
    parser.set_defaults(seeds=[0, 1, 2])


def run(context: Context) -> Iterator[Record]:
    """Fit and measure each generator, data set and seed."""
    for generator in context.options.generators:
        if generator == OURS:
            yield from context.measure_sets(measure, generator=OURS, bootstrap=context.options.bootstrap)
        else:
            yield from context.measure_sets(partial(measure_peer, generator=generator), generator=generator)


def measure(context: Context, data_set: str, *, seed: int) -> list[Row]:
    """Fit one model and measure its curve; one row for each point."""
    from scdiffuse.evaluation import parametric_bootstrap

    case, options = CASES[data_set], context.options
    fit, held_out = divide(read(data_set, context), case, seed=seed)
    refit = partial(fit_model, case=case, device=options.device, seed=seed)
    begin = time.process_time()
    model = refit(fit)
    common: Row = {"fit_seconds": time.process_time() - begin, "n_fitted": fit.n_obs, "n_genes": fit.n_vars}
    n_cells = min(held_out.n_obs, _MOST_GENERATED)
    generated = model.generate(n_cells, seed=seed, progress=False)
    curve = partial(_curve, context, fit=fit, by=case.conditions[0], seeds=(seed,))
    rows: list[Any] = curve(held_out, generated).to_dict("records")
    if options.bootstrap:
        drawn = parametric_bootstrap(model, refit, n_fit=fit.n_obs, n_cells=n_cells, seed=seed + 1000)
        table = curve(drawn.truth, drawn.refitted)
        own = table[table["sample"] == "generated"].assign(sample=BOOTSTRAP)
        rows += own.to_dict("records")
    return [common | row for row in rows]


def measure_peer(context: Context, data_set: str, *, generator: str, seed: int) -> list[Row]:
    """Fit another generator to the cells of `measure`, with the first condition; rows of its cells alone."""
    import anndata

    case, entry = CASES[data_set], GENERATORS[generator]
    fit, held_out = divide(read(data_set, context), case, seed=seed)
    folder = context.work / name / data_set / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    fit.write_h5ad(folder / "fit.h5ad")
    held_out.write_h5ad(folder / "held_out.h5ad")
    settings = runs.Settings(
        work=context.work,
        n_threads=context.options.threads,
        timeout=context.options.timeout,
        seconds=context.options.seconds,
        n_cells=min(held_out.n_obs, _MOST_GENERATED),
    )
    key = case.conditions[0]
    found = runs.generate(entry, folder, settings, condition_keys=[key], seed=seed, to=folder / generator)
    if found["status"] != "done":
        say(f"{data_set} {generator} seed {seed}: {found['status']}, {found['reason']}")
        return []
    generated = anndata.read_h5ad(folder / generator / runs.CELLS_FILE)
    table = _curve(context, held_out, generated, fit=fit, by=key, seeds=(seed,))
    about = {"fit_seconds": found["cost"]["fit"]["cpu_seconds"], "n_fitted": fit.n_obs, "n_genes": fit.n_vars}
    rows: list[Any] = table[table["sample"] == "generated"].to_dict("records")
    return [about | row for row in rows]


def _curve(context: Context, held_out: AnnData, generated: AnnData, **about: Any) -> DataFrame:  # noqa: ANN401 - of `power_curve`
    from scdiffuse.evaluation import power_curve

    options = context.options
    asked = {"sizes": options.sizes, "classifiers": options.classifiers, "spaces": options.spaces}
    return power_curve(held_out, generated, **asked, **about)


def divide(adata: AnnData, case: Case, *, seed: int) -> tuple[AnnData, AnnData]:
    """Split a data set into cells to fit and held-out ones, stratified by the first condition."""
    import scdiffuse

    key = case.conditions[0]
    labels = adata.obs[key].astype(str)
    known = adata[(adata.obs[key].notna() & (labels.map(labels.value_counts()) >= _MIN_CELLS)).to_numpy()].copy()
    fit, _, held_out = scdiffuse.split(known, by=key, fractions=(case.fraction, 0.0, 1 - case.fraction), seed=seed)
    seen = np.asarray((fit.X > 0).sum(axis=0)).ravel() > 0
    return fit[:, seen].copy(), held_out[:, seen].copy()


def fit_model(
    cells: AnnData, *, case: Case, device: str, seed: int, config: ModelConfig | None = None
) -> CellGenerator:
    """Fit, with the settings that a user gets unless others are given."""
    from scdiffuse import CellGenerator

    model = CellGenerator(cells, conditions=list(case.conditions), config=config)
    return model.fit(seed=seed, device=device, progress=False)


def fit_twice(adata: AnnData, case: Case, *, device: str, seed: int) -> FittedTwice:
    """Fit a model to a part of the cells, and a second one to cells of the first; as many as are held out of either."""
    from scdiffuse.evaluation import parametric_bootstrap

    fit, held_out = divide(adata, case, seed=seed)
    refit = partial(fit_model, case=case, device=device, seed=seed)
    model = refit(fit)
    drawn = parametric_bootstrap(model, refit, n_fit=fit.n_obs, n_cells=held_out.n_obs, seed=seed + 1000)
    return FittedTwice(fit, held_out, model, drawn)


def summaries(found: Sequence[Row]) -> list[Row]:
    """Average each curve over seeds, and find how many cells reach .55 and .60; one row for each curve."""
    from scdiffuse.metrics import cells_needed

    made = []
    for data_set, space, classifier, generator in product(
        *(distinct(found, key) for key in ("data_set", "space", "classifier", "generator"))
    ):
        rows = only(found, data_set=data_set, space=space, classifier=classifier, generator=generator)
        if not rows:
            continue
        one: Row = {"data_set": data_set, "space": space, "classifier": classifier, "generator": generator}
        one |= {"n_fitted": rows[0]["n_fitted"], "seeds": len({row["seed"] for row in rows})}
        for sample in SAMPLES:
            own = only(rows, sample=sample)
            one[sample] = {size: _mean_at(own, size) for size in _sizes(own)}
        own = only(rows, sample="generated")
        cells, aucs = [row["n_cells"] for row in own], [row["auc"] for row in own]
        for target in (0.55, 0.60):
            one[f"to_{target:.2f}"] = cells_needed(cells, aucs, target=target)
        made.append(one)
    return made


def _sizes(rows: Sequence[Row]) -> list[int]:
    return sorted({row["n_cells"] for row in rows})


def _mean_at(rows: Sequence[Row], size: int) -> float:
    return float(np.mean([row["auc"] for row in rows if row["n_cells"] == size]))


def lines(records: Sequence[Record]) -> list[str]:
    """Write AUC by cells learnt from, and the cells that a classifier needs."""
    found = summaries(rows_of(records))
    sizes = [size for size in SIZES if any(size in one["generated"] for one in found)]
    counted = [f"{size:,}" for size in sizes]
    header = ["data set", "fitted", "features", "classifier", "generator", *counted, "most", "to .55", "to .60"]
    rows = []
    for one in found:
        most = max(one["generated"])
        cells = [_cell(one, size) for size in sizes]
        needs = [_needed(one, key) for key in ("to_0.55", "to_0.60")]
        about_fit = [one["data_set"], f"{one['n_fitted']:,}", one["space"], one["classifier"], one["generator"]]
        rows.append([*about_fit, *cells, f"{one['generated'][most]:.3f} at {most:,}", *needs])
    about = (
        "AUC of a classifier that learns from so many generated and as many held-out real cells, scored on others; in "
        "brackets two halves of the real cells and, where it was measured, after a semicolon the parametric bootstrap. "
        "Mean over seeds, each with a fit of its own. Other generators learn from the same cells, with the cell type, "
        "and train until they stop by themselves. The last columns are the cells a side that a classifier needs: "
        "the headline number. A dash means that it does not get there within eight times the cells measured. "
        "The figure shows the strongest classifier of each."
    )
    return [about, figure_of(FIGURE, title), grid(header, rows), *_goals(found)]


def _goals(found: Sequence[Row]) -> list[str]:
    """Say how far each classifier is above the higher reference, at the cells of the goal."""
    said = []
    for space, most in GOALS.items():
        gaps = {
            f"{one['data_set']}, {one['classifier']}": one["generated"][GOAL_SIZE] - max(beside)
            for one in only(found, space=space, generator=OURS)
            if (beside := [one[sample][GOAL_SIZE] for sample in ("real", BOOTSTRAP) if GOAL_SIZE in one[sample]])
        }
        if gaps:
            words = ", ".join(f"{name} {gap:.3f}{'' if gap <= most else ' **missed**'}" for name, gap in gaps.items())
            at = f"{GOAL_SIZE:,} cells a side, {space} (goal {most})"
            said.append(f"- AUC above the higher reference, {at}: {words}.")
    return ["\n".join(said)] if said else []


def _cell(one: Row, size: int) -> str:
    value = one["generated"].get(size)
    if value is None:
        return ""
    beside = [one[sample].get(size) for sample in ("real", BOOTSTRAP)]
    if one["generator"] != OURS:
        return f"{value:.3f}"
    return f"{value:.3f} ({'; '.join('' if other is None else f'{other:.3f}' for other in beside).rstrip('; ')})"


def _needed(one: Row, key: str) -> str:
    n_cells, fewest = one[key], min(one["generated"])
    if n_cells <= fewest:
        return f"≤ {fewest:,}"
    return f"{n_cells:,.0f}" if math.isfinite(n_cells) else "-"


def draw(records: Sequence[Record], folder: Path) -> None:
    """Draw the strongest classifier in each space, with the references; on genes, that of other generators too."""
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    found = summaries(rows_of(records))
    sets = distinct(found, "data_set")
    n_columns = min(3, len(sets))
    n_rows = -(-len(sets) // n_columns)
    figure, axes = axes_of(n_rows, n_columns, size=(3.6 * n_columns, 2.8 * n_rows + 0.5))
    shown: Row = {}
    for axis, data_set in zip(axes, sets, strict=False):
        for generator, space, sample, style in _curves(found):
            curves = only(found, data_set=data_set, space=space, generator=generator)
            curve = sorted(_strongest(curves)[sample].items()) if curves else []
            if curve:
                label = f"{SAMPLES[sample] if generator == OURS else generator}, {space}"
                (shown[label],) = axis.plot(*zip(*curve, strict=True), **style)
        axis.set(xscale="log", xlabel="cells a side learnt from", ylabel="AUC", title=data_set)
        axis.xaxis.set(major_locator=FixedLocator(SIZES), minor_locator=NullLocator())
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.axhline(0.5, color="k", lw=0.6, ls=":")
    figure.legend(shown.values(), shown, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    save(figure, folder / FIGURE)


def _curves(found: Sequence[Row]) -> Iterator[tuple[str, str, str, Row]]:
    """Yield generator, space, sample and style of the curves of a panel."""
    colours = {"generated": "#D55E00", "real": "#8A8A8A", BOOTSTRAP: "#0072B2"}
    for space, line in zip(distinct(found, "space"), ("-", "--", ":"), strict=False):
        for sample, colour in colours.items():
            yield OURS, space, sample, {"ls": line, "marker": "o", "ms": 3, "color": colour}
    others = [generator for generator in distinct(found, "generator") if generator != OURS]
    for generator, colour in zip(others, cycle(("#009E73", "#CC79A7", "#B59F00", "#000000")), strict=False):
        yield generator, SPACES[0], "generated", {"lw": 0.9, "marker": "x", "ms": 3, "color": colour}


def _strongest(curves: Sequence[Row]) -> Row:
    return max(curves, key=lambda one: one["generated"][max(one["generated"])])
