"""Trajectories from endocrine progenitors to two fates: do cells arrive, and do their markers rise along the states."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import spaces
from benchmarks.layout import REAL, axes_of, distinct, figure_of, goal, grid, mean, only, save
from benchmarks.models import WAYS, Fit, model_of, read, ways_in_words
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "branches"
title = "Branches"
summary = "Whether trajectories from one progenitor reach two fates, and raise their markers."
unit = ("seed",)

Array = Any
DATA_SET = "pancreas_endocrinogenesis"
START = "Ngn3 high EP"
FATES = ("Beta", "Alpha")
MARKERS = {"Beta": ("Ins1", "Ins2", "Iapp", "Pdx1"), "Alpha": ("Gcg", "Arx", "Ttr", "Peg10")}
OF_START = ("Neurog3", "Hes6")
FIGURE = "branches.png"
DRAWN = "ODE inversion"
N_STEPS = 10
_SPLITS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Set the seeds."""
    parser.set_defaults(seeds=[0, 1, 2])


def run(context: Context) -> Iterator[Record]:
    """Measure each seed."""
    for seed in context.seeds:
        yield from context.measure({"seed": seed}, partial(measure, context, seed))


def measure(context: Context, seed: int) -> list[dict[str, Any]]:
    """Follow trajectories to both fates; one row a fate and state, beside real cells of fate and start."""
    model = model_of(Fit(name="all", data_set=DATA_SET, conditions=("cell_type",), seed=seed), context)
    adata, genes = read(DATA_SET, context), model.genes
    logs, labels = spaces.log_normalise(adata, genes), adata.obs["cell_type"].astype(str).to_numpy()
    judges = [_judge(logs, labels, split) for split in range(_SPLITS)]
    starts = adata[labels == START].copy()
    found = []
    for fate in FATES:
        about = {"data_set": DATA_SET, "fate": fate}
        ends = [judge(logs[test][labels[test] == fate]) for judge, test in judges]
        expressed = _expression(logs[labels == fate], genes) | {
            f"start_{gene}": value for gene, value in _expression(logs[labels == START], genes).items()
        }
        arrived = float(np.mean([(end == fate).mean() for end in ends]))
        found.append(about | {"answer": REAL, "step": None, "arrived": arrived, **expressed})
        for way, settings in WAYS.items():
            made = model.trajectory(starts, {"cell_type": fate}, n_steps=N_STEPS, seed=seed, progress=False, **settings)
            cells, steps = spaces.log_normalise(made, genes), made.obs["step"].to_numpy(dtype=int)
            for step in np.unique(steps):
                here = cells[steps == step]
                shares = _shares([judge(here) for judge, _ in judges], fate)
                found.append(about | {"answer": way, "step": int(step), **shares, **_expression(here, genes)})
    return found


def _shares(named: list[Array], fate: str) -> dict[str, float]:
    """Average over classifiers how many cells they take for the fate, and for the start."""
    return {
        measure: float(np.mean([(one == label).mean() for one in named]))
        for measure, label in (("arrived", fate), ("as_start", START))
    }


def _judge(logs: Array, labels: Array, split: int) -> tuple[Any, Array]:
    """Train a classifier on half of the real cells; the other half tells how well it recognises."""
    train, test = spaces.halves(labels, seed=split)
    components = spaces.Components.of(logs[train])
    trained = spaces.classifier(components(logs[train]), labels[train])
    return (lambda cells: trained.predict(components(cells))), test


def _expression(logs: Array, genes: Array) -> dict[str, float]:
    """Average log expression of all markers that the model knows."""
    wanted = [gene for known in (*MARKERS.values(), OF_START) for gene in known]
    return {gene: float(logs[:, np.flatnonzero(genes == gene)[0]].mean()) for gene in wanted if gene in genes}


def draw(records: Sequence[Record], folder: Path) -> None:
    """Draw markers along the states, with those of real cells of the fate at the end."""
    found = rows_of(records)
    figure, axes = axes_of(1, len(FATES) + 1, size=(4.0 * (len(FATES) + 1), 3.6))
    for axis, fate in zip(axes, FATES, strict=False):
        mine = only(found, fate=fate, answer=DRAWN)
        real = only(found, fate=fate, answer=REAL)
        steps = sorted(distinct(mine, "step"))
        for number, gene in enumerate([*MARKERS[fate], OF_START[0]]):
            if gene not in mine[0]:
                continue
            along = [mean(only(mine, step=step), gene) for step in steps]
            (line,) = axis.plot(steps, along, marker="os^Dv"[number], markersize=3, linewidth=1, label=gene)
            axis.plot(steps[-1] + 0.6, mean(real, gene), "_", markersize=12, color=line.get_color())
        axis.set(
            title=f"{START} to {fate}", xlabel="state (bars: real cells of the fate)", ylabel="mean log expression"
        )
        axis.legend(frameon=False, fontsize=7)
    for fate, style in zip(FATES, ("-", "--"), strict=True):
        mine = only(found, fate=fate, answer=DRAWN)
        steps = sorted(distinct(mine, "step"))
        for measure, color in (("arrived", "black"), ("as_start", "grey")):
            along = [mean(only(mine, step=step), measure) for step in steps]
            word = f"as {fate}" if measure == "arrived" else f"as {START}, to {fate}"
            axes[-1].plot(steps, along, style, color=color, linewidth=1, label=word)
    axes[-1].set(xlabel="state", ylabel="classified as", ylim=(-0.02, 1.02))
    axes[-1].legend(frameon=False, fontsize=7)
    save(figure, folder / FIGURE)


def lines(records: Sequence[Record]) -> list[str]:
    """Write arrivals and markers, and the goals."""
    found = rows_of(records)
    rows, goals = [], []
    for fate, way in product(FATES, WAYS):
        mine = only(found, fate=fate, answer=way)
        steps = sorted(distinct(mine, "step"))
        first, last = only(mine, step=steps[0]), only(mine, step=steps[-1])
        real, arrived = only(found, fate=fate, answer=REAL), mean(last, "arrived")
        markers = [gene for gene in MARKERS[fate] if gene in mine[0]]
        levels = ", ".join(
            f"{gene} {mean(first, gene):.2f} to {mean(last, gene):.2f} (real {mean(real, gene):.2f})"
            for gene in markers
        )
        rows.append([fate, way, mean(first, "arrived"), arrived, mean(real, "arrived"), levels])
        rise = min(mean(last, gene) - mean(first, gene) for gene in markers)
        goals += [
            goal(f"{way}: arrive at {fate} (goal .9)", value=arrived, met=arrived > 0.9),
            goal(f"{way}: smallest rise of a marker of {fate}", value=rise, met=rise > 0),
        ]
    header = ["fate", "method", "classified as the fate at the first state", "at the last", "real held-out cells"]
    return [
        f"`{DATA_SET}` from {START} cells; {ways_in_words()}.",
        grid([*header, "markers, mean log expression"], rows),
        "\n".join(goals),
        figure_of(FIGURE, title),
    ]
