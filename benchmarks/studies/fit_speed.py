"""CPU seconds to equal quality.

scVI trains until its own early stopping; what counts is the CPU time up to its best validation ELBO. The original's
recipe is held to a budget. We fit with an eightieth of our steps, a fortieth and so on, each a fit of its own, and the
cheapest fit that is at least as good as the peer on every measure is compared with it. All run on the same cells and
genes, one thread each, one after the other.
"""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np

from benchmarks import runs
from benchmarks.data import DATA_SETS
from benchmarks.generators import GENERATORS, Entry
from benchmarks.layout import grid
from benchmarks.models import read_parts
from benchmarks.records import rows_of
from benchmarks.spaces import log_normalise
from benchmarks.study import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "fit_speed"
title = "CPU seconds to equal quality"
summary = "How many CPU seconds peers need for the quality of our cheapest fit as good."
unit = ("data_set", "seed")

Row = dict[str, Any]
REFERENCE = "real-vs-real reference"
EFFORTS = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 1.0)
SCVI, ORIGINAL = "scvi-posterior", "original"
GOALS = {SCVI: 5.0, ORIGINAL: 50.0}
MEASURES = ("forest", "energy")
"""AUC of a forest on genes, and energy distance on 30 principal components; lower is better in both."""
_COMPONENTS = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add data sets and the budget."""
    parser.add_argument("--sets", nargs="+", default=["pbmc3k"], choices=list(DATA_SETS))
    parser.add_argument("--seconds", type=float, default=600.0, help="CPU seconds of the original's recipe")


def run(context: Context) -> Iterator[Record]:
    """Measure each data set and seed."""
    seconds = context.options.seconds
    yield from context.measure_sets(partial(measure, seconds=seconds), seconds=seconds)


def entries(seconds: float) -> list[Entry]:
    """List the fits: ours by effort, scVI without a budget, the original's recipe with one."""
    ours = [
        Entry(name=f"ours-{effort:g}", target="ours:Ours", about="", options={"effort": effort}) for effort in EFFORTS
    ]
    peers = [
        Entry(name=f"{SCVI}-to-its-end", target=GENERATORS[SCVI].target, about="", environment="peers"),
        Entry(
            name=f"{ORIGINAL}-{seconds:g}", target=GENERATORS[ORIGINAL].target, about="", options={"seconds": seconds}
        ),
    ]
    return ours + peers


class Measures:
    """Measures of cells against held-out ones, on components of cells that are on neither side.

    The components vary more in the cells that they were found in than in any others, which would set these apart.
    """

    def __init__(self, held_out: AnnData, reference: AnnData) -> None:
        from sklearn.decomposition import PCA

        self._held = log_normalise(held_out)
        self._components = PCA(_COMPONENTS, random_state=0).fit(log_normalise(reference))

    def __call__(self, cells: AnnData) -> dict[str, float]:
        """Measure generated cells, or other real ones."""
        from scdiffuse.metrics import energy_distance, two_sample_auc

        logs = log_normalise(cells)
        n = min(len(logs), len(self._held))
        aucs = [two_sample_auc(logs[:n], self._held[:n], folds=3, seed=seed, n_jobs=1).auc for seed in range(3)]
        found = energy_distance(self._components.transform(logs), self._components.transform(self._held))
        return {"forest": float(np.mean(aucs)), "energy": float(found)}


def equal_quality(ours: Sequence[Row], peer: Row) -> Row | None:
    """Find our cheapest fit that is at least as good as a peer's on every measure."""
    as_good = [fit for fit in ours if all(fit[measure] <= peer[measure] for measure in MEASURES)]
    return min(as_good, key=lambda one: one["cpu_seconds"]) if as_good else None


def measure(context: Context, data_set: str, *, seed: int, seconds: float) -> list[Row]:
    """Carry out all fits on one data set and compare their cells with held-out ones."""
    parts = read_parts(data_set, context)
    measures = Measures(parts["held_out"], parts["reference"])
    anew = context.options.overwrite
    settings = runs.Settings(work=context.work, data=context.data, timeout=7200.0, overwrite=anew)
    fit, n = parts["fit"], min(parts["fit"].n_obs, parts["held_out"].n_obs)
    others = fit[np.random.default_rng(0).choice(fit.n_obs, n, replace=False)]
    found: list[Row] = [{"fit": REFERENCE, "cpu_seconds": None} | measures(others)]
    for entry in entries(seconds):
        run = runs.Run(DATA_SETS[data_set], entry, seed)
        say(f"{run}: {runs.carry_out(run, settings)}")
        folder = run.folder(settings)
        done = runs.read_run(folder)
        if done is None or done["status"] != "done":
            continue
        cost = done["cost"]
        spent = cost["notes"].get("cpu_seconds_to_best", cost["fit"]["cpu_seconds"])
        found.append({"fit": entry.name, "cpu_seconds": spent} | measures(anndata.read_h5ad(folder / runs.CELLS_FILE)))
    ours = [one for one in found if one["fit"].startswith("ours")]
    for one in found:
        if one["fit"].startswith(tuple(GOALS)) and (match := equal_quality(ours, one)) is not None:
            one["ratio"] = one["cpu_seconds"] / match["cpu_seconds"]
    return found


def lines(records: Sequence[Record]) -> list[str]:
    """Write every fit, and the median ratio of each peer beside its goal."""
    found = rows_of(records)
    header = ("data set", "seed", "fit", "CPU s", "forest AUC, genes", "energy distance", "times our cheapest as good")
    rows = [
        [*(one[key] for key in ("data_set", "seed", "fit", "cpu_seconds", *MEASURES)), one.get("ratio")]
        for one in found
    ]
    goals = []
    for peer, goal in GOALS.items():
        ratios = [one["ratio"] for one in found if one["fit"].startswith(peer) and "ratio" in one]
        if ratios:
            goals.append(f"- {peer}: median ratio {median(ratios):.1f} over {len(ratios)} fits; goal {goal:g}.")
    about = (
        "CPU seconds of one thread. `ours-0.1` is a fit with a tenth of the default steps. For scVI the seconds up to "
        "its best validation ELBO count, not those of the epochs it then waits. The ratio is its seconds over those of "
        "our cheapest fit as good in both measures."
    )
    return [about, grid(header, rows), "\n".join(goals)]
