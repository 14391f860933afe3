"""Trajectories from endocrine progenitors to two fates: do cells arrive, and do their markers rise along the states."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import spaces
from benchmarks.layout import REAL, axes_of, distinct, figure_of, goal, grid, mean, only, save
from benchmarks.models import METHODS, Fit, methods_in_words, model_of, read
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
N_STATES = 10
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
    classifiers = [_classifier(logs, labels, split) for split in range(_SPLITS)]
    starts = adata[labels == START].copy()
    found = []
    for fate in FATES:
        about: dict[str, Any] = {"data_set": DATA_SET, "fate": fate}
        ends = [classify(logs[test][labels[test] == fate]) for classify, test in classifiers]
        expressed = _expression(logs[labels == fate], genes) | {
            f"start_{gene}": value for gene, value in _expression(logs[labels == START], genes).items()
        }
        arrived = float(np.mean([(end == fate).mean() for end in ends]))
        found.append(about | {"answer": REAL, "state": None, "arrived": arrived, **expressed})
        for method, settings in METHODS.items():
            made = model.trajectory(
                starts, {"cell_type": fate}, n_states=N_STATES, seed=seed, progress=False, **settings
            )
            cells, states = spaces.log_normalise(made, genes), made.obs["state"].to_numpy(dtype=int)
            for state in np.unique(states):
                here = cells[states == state]
                named = _fractions([classify(here) for classify, _ in classifiers], fate)
                found.append(about | {"answer": method, "state": int(state), **named, **_expression(here, genes)})
    return found


def _fractions(named: list[Array], fate: str) -> dict[str, float]:
    """Average over classifiers how many cells they take for the fate, and for the start."""
    return {
        measure: float(np.mean([(one == label).mean() for one in named]))
        for measure, label in (("arrived", fate), ("as_start", START))
    }


def _classifier(logs: Array, labels: Array, split: int) -> tuple[Any, Array]:
    """Train a classifier on half of the real cells; the other half tests it."""
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
        states = sorted(distinct(mine, "state"))
        for number, gene in enumerate([*MARKERS[fate], OF_START[0]]):
            if gene not in mine[0]:
                continue
            along = [mean(only(mine, state=state), gene) for state in states]
            (line,) = axis.plot(states, along, marker="os^Dv"[number], markersize=3, linewidth=1, label=gene)
            axis.plot(states[-1] + 0.6, mean(real, gene), "_", markersize=12, color=line.get_color())
        axis.set(
            title=f"{START} to {fate}", xlabel="state (bars: real cells of the fate)", ylabel="mean log expression"
        )
        axis.legend(frameon=False, fontsize=7)
    for fate, style in zip(FATES, ("-", "--"), strict=True):
        mine = only(found, fate=fate, answer=DRAWN)
        states = sorted(distinct(mine, "state"))
        for measure, color in (("arrived", "black"), ("as_start", "grey")):
            along = [mean(only(mine, state=state), measure) for state in states]
            word = f"as {fate}" if measure == "arrived" else f"as {START}, to {fate}"
            axes[-1].plot(states, along, style, color=color, linewidth=1, label=word)
    axes[-1].set(xlabel="state", ylabel="classified as", ylim=(-0.02, 1.02))
    axes[-1].legend(frameon=False, fontsize=7)
    save(figure, folder / FIGURE)


def lines(records: Sequence[Record]) -> list[str]:
    """Write arrivals and markers, and the goals."""
    found = rows_of(records)
    rows, goals = [], []
    for fate, method in product(FATES, METHODS):
        mine = only(found, fate=fate, answer=method)
        states = sorted(distinct(mine, "state"))
        first, last = only(mine, state=states[0]), only(mine, state=states[-1])
        real, arrived = only(found, fate=fate, answer=REAL), mean(last, "arrived")
        markers = [gene for gene in MARKERS[fate] if gene in mine[0]]
        means = ", ".join(
            f"{gene} {mean(first, gene):.2f} to {mean(last, gene):.2f} (real {mean(real, gene):.2f})"
            for gene in markers
        )
        rows.append([fate, method, mean(first, "arrived"), arrived, mean(real, "arrived"), means])
        rise = min(mean(last, gene) - mean(first, gene) for gene in markers)
        goals += [
            goal(f"{method}: arrive at {fate} (goal .9)", value=arrived, met=arrived > 0.9),
            goal(f"{method}: smallest rise of a marker of {fate}", value=rise, met=rise > 0),
        ]
    header = ["fate", "method", "classified as the fate at the first state", "at the last", "real held-out cells"]
    return [
        f"`{DATA_SET}` from {START} cells; {methods_in_words()}.",
        grid([*header, "markers, mean log expression"], rows),
        "\n".join(goals),
        figure_of(FIGURE, title),
    ]
