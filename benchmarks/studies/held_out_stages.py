"""Trajectories from four cells to the late blastocyst, through stages held out of the fit."""

from __future__ import annotations

import warnings
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import spaces
from benchmarks.layout import REAL, goal, grid, mean, only
from benchmarks.models import METHODS, Fit, methods_in_words, model_of, read
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "held_out_stages"
title = "Held-out stages"
summary = "Embryonic stages that a trajectory passes though no training cell has them."
unit = ("seed",)

Array = Any
DATA_SET = "embryo_deng"
START, END = "4cell", "lateblast"
STAGES = ("4cell", "8cell", "16cell", "earlyblast", "midblast", "lateblast")
HELD_OUT = (("8cell",), ("16cell", "midblast"))
N_STATES = 11


def fit_of(adata: AnnData, held_out: tuple[str, ...], seed: int) -> Fit:
    """Describe the fit on embryonic cells without some stages."""
    untimed = adata.obs["time"].isna() | adata.obs["cell_type"].isin(held_out)
    rows = np.flatnonzero(~untimed.to_numpy()).astype(np.int64)
    return Fit(name="no_" + "_".join(held_out), data_set=DATA_SET, continuous=("time",), rows=rows, seed=seed)


def in_order(passed: Sequence[int], must: Sequence[int]) -> bool:
    """Tell whether stages never go back along the states, and those that must be passed are among them."""
    return all(now <= after for now, after in pairwise(passed)) and set(must) <= set(passed)


def nearest_stages(cells: Array, states: Array, *, real: Array, stages: Array) -> list[int]:
    """Find for each state the stage whose mean cell lies nearest to the mean cell."""
    known = np.unique(stages)
    stage_means = np.stack([real[stages == stage].mean(axis=0) for stage in known])
    means = np.stack([cells[states == state].mean(axis=0) for state in np.unique(states)])
    nearest = np.linalg.norm(means[:, None] - stage_means[None], axis=2).argmin(axis=1)
    return [int(known[place]) for place in nearest]


def interpolate(starts: Array, ends: Array, *, seed: int) -> tuple[Array, Array]:
    """Interpolate on straight lines from each start to a random end."""
    rng = np.random.default_rng(seed)
    chosen = ends[rng.integers(len(ends), size=len(starts))]
    states = np.repeat(np.arange(N_STATES), len(starts))
    fraction = (states / (N_STATES - 1))[:, None]
    return (1 - fraction) * np.tile(starts, (N_STATES, 1)) + fraction * np.tile(chosen, (N_STATES, 1)), states


def pseudotime(cells: Array, real: Array, *, root: int) -> Array:
    """Compute the diffusion pseudotime of cells among real ones, from a real root; of the latter if there are none."""
    import anndata
    import scanpy

    joint = anndata.AnnData(np.concatenate([real, cells]).astype(np.float32))  # no cell twice: it has no distance
    joint.uns["iroot"] = root
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scanpy.pp.neighbors(joint, n_neighbors=15, use_rep="X", random_state=0)
        scanpy.tl.diffmap(joint, random_state=0)
        scanpy.tl.dpt(joint)
    return joint.obs["dpt_pseudotime"].to_numpy()[len(real) if len(cells) else 0 :]


def score(cells: Array, states: Array, *, real: Array, stages: Array, must: Sequence[int]) -> dict[str, Any]:
    """Score one method: the stages it passes, and how it runs along diffusion pseudotime."""
    from scipy.stats import spearmanr

    passed = nearest_stages(cells, states, real=real, stages=stages)
    root = int(np.flatnonzero(stages == stages.min())[0])
    times = pseudotime(cells[:0] if cells is real else cells, real, root=root)
    finite = np.isfinite(times)
    mean_times = [float(times[(states == state) & finite].mean()) for state in np.unique(states)]
    return {
        "passed": " ".join(STAGES[stage] for stage in dict.fromkeys(passed)),
        "in_order": in_order(passed, must),
        "spearman": float(spearmanr(states[finite], times[finite]).statistic),
        "spearman_of_means": float(spearmanr(np.unique(states), mean_times).statistic),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Set the seeds."""
    parser.set_defaults(seeds=[0, 1, 2])


def run(context: Context) -> Iterator[Record]:
    """Measure each seed."""
    for seed in context.seeds:
        yield from context.measure({"seed": seed}, partial(measure, context, seed))


def measure(context: Context, seed: int) -> list[dict[str, Any]]:
    """Follow trajectories through each gap; one row each and method."""
    whole, found = read(DATA_SET, context), []
    for held_out in HELD_OUT:
        model = model_of(fit_of(whole, held_out, seed), context)
        adata = whole[whole.obs["cell_type"].isin(STAGES).to_numpy()]
        stages = adata.obs["cell_type"].map({stage: at for at, stage in enumerate(STAGES)}).to_numpy(dtype=int)
        logs = spaces.log_normalise(adata, model.genes)
        components = spaces.Components.of(logs, n=20)
        real, must = components(logs), [STAGES.index(stage) for stage in held_out]
        starts = adata[stages == STAGES.index(START)].copy()
        end = {"time": float(adata.obs.loc[adata.obs["cell_type"] == END, "time"].iloc[0])}
        trajectories = {
            method: model.trajectory(starts, end, n_states=N_STATES, seed=seed, progress=False, **settings)
            for method, settings in METHODS.items()
        }
        methods = {
            method: (components(spaces.log_normalise(made, model.genes)), made.obs["state"].to_numpy(dtype=int))
            for method, made in trajectories.items()
        } | {
            "straight lines": interpolate(
                real[stages == STAGES.index(START)], real[stages == STAGES.index(END)], seed=seed
            ),
            REAL: (real, stages),
        }
        about = {"data_set": DATA_SET, "without": " + ".join(held_out)}
        for one, (cells, states) in methods.items():
            numbers = score(cells, states, real=real, stages=stages, must=must)
            found.append(about | {"answer": one, **numbers})
    return found


def lines(records: Sequence[Record]) -> list[str]:
    """Write the stages that each method passes, and the goals."""
    found = rows_of(records)
    header = ["held out", "seed", "method", "nearest stages along the states", "in order, through what was held out"]
    rows = []
    for one in found:
        named = [one["without"], one["seed"], one["answer"], one["passed"].replace(" ", " - ")]
        rows.append([*named, "yes" if one["in_order"] else "no", one["spearman"], one["spearman_of_means"]])
    goals = []
    for method in METHODS:
        ours = only(found, answer=method)
        order, spearman = mean(ours, "in_order"), mean(ours, "spearman")
        goals += [
            goal(f"{method}: fraction in order through the held-out stages (goal 1)", value=order, met=order == 1.0),
            goal(f"{method}: Spearman of state and pseudotime (goal .95)", value=spearman, met=spearman >= 0.95),
        ]
    about = (
        f"`{DATA_SET}`: from real 4-cell cells to the time of the late blastocyst; {methods_in_words()}. Diffusion "
        "pseudotime is that of all real cells together with those of the method. The row *real cells* has the stage in "
        "place of the state, and the pseudotime of real cells alone: what it is worth on these few."
    )
    return [about, grid([*header, "Spearman of cells", "of means of states"], rows), "\n".join(goals)]
