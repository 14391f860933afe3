"""How much of its start cell a trajectory keeps: the true start found among 100 cells, for each noise level kept."""

from __future__ import annotations

from functools import partial
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import spaces
from benchmarks.layout import REAL, axes_of, figure_of, goal, grid, mean, only, save
from benchmarks.models import Fit, model_of, read
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "start_cell"
title = "Start cell"
summary = "How much of its start cell a trajectory keeps, for each noise level kept."
unit = ("seed",)

Array = Any
DATA_SET = "kang_ifnb"
TARGET = {"condition": "stimulated"}
KEEPS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
TYPES = ("B", "CD14+Mono", "CD4T", "FCGR3A+Mono")
N_STARTS = 100
SLOT = "X_scdiffuse"
METHODS: dict[str, Any] = {"partial noising": "partial_noising", "ODE inversion": "inversion"}
FIGURE = "start_cell.png"


def ranks(made: Array, starts: Array) -> Array:
    """Find the place of each cell's true start among all starts ordered by distance; 0 is the nearest.

    Cell ``i`` comes from start ``i``; a tie counts half.
    """
    from scipy.spatial.distance import cdist

    distances = cdist(made, starts)
    own = np.diagonal(distances)[:, None]
    nearer, equal = (distances < own).sum(axis=1), (distances == own).sum(axis=1) - 1
    return nearer + equal / 2


def retrieval(made: Array, starts: Array) -> dict[str, float]:
    """Summarise ranks: fraction found first, and mean fraction of the other starts that lie farther (chance .5)."""
    found = ranks(made, starts)
    return {"first": float((found < 0.5).mean()), "ahead_of": float(1 - found.mean() / (len(starts) - 1))}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Set the seeds."""
    parser.set_defaults(seeds=[0, 1, 2])


def run(context: Context) -> Iterator[Record]:
    """Measure each seed."""
    for seed in context.seeds:
        yield from context.measure({"seed": seed}, partial(measure, context, seed))


def measure(context: Context, seed: int) -> list[dict[str, Any]]:
    """Take 100 control cells of one type at a time to stimulated ones under each noise level kept."""
    fit = Fit(name="all", data_set=DATA_SET, conditions=("condition", "cell_type"), seed=seed)
    model = model_of(fit, context)
    adata, rng = read(DATA_SET, context), np.random.default_rng(seed)
    logs = spaces.log_normalise(adata, model.genes)
    components = spaces.Components.of(logs)
    classifiers = [
        spaces.classifier(components(logs), adata.obs[key].astype(str).to_numpy()) for key in ("condition", "cell_type")
    ]
    found = []
    for label in TYPES:
        pool = np.flatnonzero(((adata.obs["condition"] == "control") & (adata.obs["cell_type"] == label)).to_numpy())
        starts = adata[rng.choice(pool, N_STARTS, replace=False)].copy()
        known = model.encode(starts), components(spaces.log_normalise(starts, model.genes))
        for (name_of_method, method), keep in product(METHODS.items(), KEEPS):
            made = model.trajectory(starts, TARGET, n_states=2, keep=keep, method=method, seed=seed, progress=False)
            last = made[made.obs["state"].to_numpy() == 1].copy()
            cells = components(spaces.log_normalise(last, model.genes))
            numbers = retrieval(last.obsm[SLOT][:, : known[0].shape[1]], known[0])
            numbers |= {f"{one}_counts": value for one, value in retrieval(model.encode(last), known[0]).items()}
            numbers |= {f"{one}_genes": value for one, value in retrieval(cells, known[1]).items()}
            numbers["arrived"] = float((classifiers[0].predict(cells) == TARGET["condition"]).mean())
            numbers["same_type"] = float((classifiers[1].predict(cells) == label).mean())
            found.append({"data_set": DATA_SET, "type": label, "keep": keep, "answer": name_of_method, **numbers})
        real = components(logs[pool])
        kept = float((classifiers[1].predict(real) == label).mean())
        found.append({"data_set": DATA_SET, "type": label, "keep": None, "answer": REAL, "same_type": kept})
    return found


def draw(records: Sequence[Record], folder: Path) -> None:
    """Draw retrieval, and what is kept and changed, against the noise level kept."""
    found = rows_of(records)
    figure, axes = axes_of(1, 2, size=(9.0, 3.6))
    lines = (
        (axes[0], "first", "first"),
        (axes[0], "ahead_of", "nearer than others"),
        (axes[1], "same_type", "type of the start"),
        (axes[1], "arrived", "stimulated"),
    )
    for (number, (axis, measure, label)), (style, method) in product(
        enumerate(lines), zip(("-", ":"), METHODS, strict=True)
    ):
        along = [mean(only(found, answer=method, keep=keep), measure) for keep in KEEPS]
        marks: dict[str, Any] = {"marker": "os^D"[number], "color": "black", "linewidth": 1, "markersize": 4}
        axis.plot(KEEPS, along, style, label=f"{label}, {method}", **marks)
    axes[0].axhline(1 / N_STARTS, linestyle="--", color="grey", linewidth=1, label="chance of first")
    axes[0].axhline(0.5, linestyle=":", color="grey", linewidth=1, label="chance of nearer")
    for axis, word in zip(axes, ("true start among 100 of its type, latents", "classified as"), strict=True):
        axis.set(xlabel="keep", ylabel=word, ylim=(-0.02, 1.02))
        axis.legend(frameon=False, fontsize=7)
    save(figure, folder / FIGURE)


def lines(records: Sequence[Record]) -> list[str]:
    """Write retrieval by noise level kept, and the goals."""
    found = rows_of(records)
    measures = ("first", "ahead_of", "first_counts", "ahead_of_counts", "ahead_of_genes", "same_type", "arrived")
    header = ["method", "keep", "first, latents", "nearer, latents", "first, counts", "nearer, counts"]
    rows: list[list[Any]] = []
    goals = []
    for method in METHODS:
        table = [[mean(only(found, answer=method, keep=keep), measure) for measure in measures] for keep in KEEPS]
        rows += [[method, keep, *row] for keep, row in zip(KEEPS, table, strict=True)]
        first, nearer = ([row[place] for row in table] for place in (0, 1))
        monotone = all(now <= after + 0.02 for along in (first, nearer) for now, after in pairwise(along))
        goals += [
            goal(f"{method}: found first at `keep` 1 (goal .9)", value=first[-1], met=first[-1] > 0.9),
            goal(f"{method}: nearer than others at `keep` 1 (goal .9)", value=nearer[-1], met=nearer[-1] > 0.9),
            goal(f"{method}: nearer at `keep` 0 (chance .5)", value=nearer[0], met=abs(nearer[0] - 0.5) <= 0.1),
            goal(f"{method}: neither falls by more than .02 along `keep`", value=float(monotone), met=monotone),
        ]
    rows.append(["chance", "", 1 / N_STARTS, 0.5, 1 / N_STARTS, 0.5, 0.5, "", ""])
    rows.append([REAL, *[""] * 6, mean(only(found, answer=REAL), "same_type"), ""])
    about = (
        f"`{DATA_SET}`: {N_STARTS} control cells of one type on trajectories to stimulated ones, for {len(TYPES)} "
        "types. The last state is looked up among the starts: how often the true one is first, and the fraction of the "
        "others that lie farther. In the latents of the trajectory, in latents of its counts encoded again (counts are "
        "drawn, which costs what a second sequencing would), and in components of genes."
    )
    return [
        about,
        grid([*header, "nearer, components", "type kept", "stimulated"], rows),
        "\n".join(goals),
        figure_of(FIGURE, title),
    ]
