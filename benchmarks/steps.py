"""Quality against solver steps: ``python -m benchmarks.steps --data FOLDER --work FOLDER``.

All numbers of steps begin with the same noise and draw counts from the same streams, so that what differs between them
is the solver alone. Models are those of `benchmarks.main_job`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from benchmarks.control.tables import grid
from benchmarks.cost import machine, today
from benchmarks.data import DATA_SETS, data_folder, load, prepare
from benchmarks.generators._shared import log_normalise
from benchmarks.models import open_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes

    from scdiffusion import CellGenerator

STEPS_FILE, FIGURE_FILE = "steps.csv", "steps.png"
STEPS = (1, 2, 4, 8, 10, 16, 32, 100)
STUDENTS = (1, 2, 4)
DEFAULT, MOST = 10, 100
TOLERANCE = 0.02
ERROR = "root mean square distance to 100 steps, latents"
_KEY = "cell_type"
_COMPONENTS = 30
_FORESTS = 5
_HERE = Path(__file__).resolve().parent
_MARKERS = {"pbmc68k": "o", "pbmc3k": "s"}
_LINES = {"multistep": "-", "student": ":"}
Record = dict[str, Any]


class Judge:
    """Measures of generated cells against real ones."""

    def __init__(self, model: CellGenerator, real: AnnData) -> None:
        from sklearn.decomposition import PCA

        self._logs = log_normalise(real[:, model.genes].X).toarray()
        self._types = real.obs[_KEY].astype(str).to_numpy()
        self._components = PCA(_COMPONENTS, random_state=0).fit(self._logs)
        self._latents = encode(model, real)
        self.most: np.ndarray | None = None
        """Latents after the most steps."""

    def __call__(self, latents: np.ndarray, cells: AnnData) -> dict[str, float]:
        """Measure latents, shape ``(N, D + 1)``, and the counts drawn from them; `most` must be known."""
        from scdiffusion.metrics import discriminator_auc, energy_distance

        assert self.most is not None
        logs = log_normalise(cells.X).toarray()
        n = min(len(logs), len(self._logs))
        forests = [discriminator_auc(self._logs[:n], logs[:n], folds=3, seed=seed).auc for seed in range(_FORESTS)]
        drawn, real = (self._components.transform(one) for one in (logs, self._logs))
        types = cells.obs[_KEY].astype(str).to_numpy()
        apart = [logs[types == one].mean(axis=0) - self._logs[self._types == one].mean(axis=0) for one in set(types)]
        return {
            "energy distance, latents": float(energy_distance(latents, self._latents, unbiased=False)),
            "energy distance, genes": float(energy_distance(drawn, real, unbiased=False)),
            "root mean square error, means of types": float(np.sqrt(np.mean(np.square(apart)))),
            "forest AUC, genes": float(np.mean(forests)),
            ERROR: float(np.sqrt(np.mean((latents - self.most) ** 2))),
        }


def encode(model: CellGenerator, real: AnnData) -> np.ndarray:
    """Draw latents of real cells from their posterior, as the diffusion learnt them, shape ``(N, D + 1)``."""
    import torch
    from scipy import sparse

    from scdiffusion._core.random import cell_normals

    parts = model._fitted("encode")
    counts = sparse.csr_matrix(real[:, model.genes].X).astype(np.float32)
    mean, std = parts.from_posterior(parts.autoencoder.encode(counts), np.asarray(counts.sum(axis=1)).ravel())
    noise = torch.from_numpy(cell_normals(0, "posterior", np.arange(len(mean)), mean.shape[1]))
    return np.asarray(mean + std * noise)


def make(
    model: CellGenerator, types: pd.DataFrame, *, steps: int, seed: int, student: bool = False
) -> tuple[np.ndarray, AnnData]:
    """Generate latents and the cells drawn from them, one for each row of `types`."""
    import torch

    from scdiffusion._core.random import cell_normals
    from scdiffusion.diffusion import Euler, Multistep, condition_tensors, sample

    parts = model._fitted("generate")
    noise = torch.from_numpy(cell_normals(seed, "latent", np.arange(len(types)), len(parts.latent_mean)))
    conditions = condition_tensors(model.conditions.encode(types))
    taught = model._student
    network, solver = (taught.network, Euler()) if student and taught else (parts.denoiser, Multistep())
    latents = sample(network, noise, conditions, solver=solver, n_steps=steps).numpy()
    name: Literal["student", "multistep"] = "student" if student else "multistep"
    return latents, model.generate(where=types, steps=steps, solver=name, seed=seed, progress=False)


def measure(name: str, options: argparse.Namespace) -> list[Record]:
    """Measure all numbers of steps on one data set: cells of the types of the real ones, held out where there are."""
    import anndata

    model, data_set = open_model(name, work=options.work, data=options.data), DATA_SETS[name]
    if data_set.embedded:
        real = load(data_set, None)
    else:
        split = prepare(data_set, folder=options.data, work=options.work, max_cells=None)
        real = anndata.read_h5ad(split / "held_out.h5ad")
    types, judge, found = real.obs[[_KEY]].reset_index(drop=True), Judge(model, real), []
    ways = [(steps, False) for steps in sorted(STEPS, reverse=True)] + [(steps, True) for steps in options.students]
    most: dict[int, np.ndarray] = {}
    for steps, student in ways:
        if student:
            model.distill(n_steps=steps, progress=False)
        for seed in options.seeds:
            latents, cells = make(model, types, steps=steps, seed=seed, student=student)
            judge.most = most.setdefault(seed, latents)
            shared = {"data_set": name, "seed": seed, "steps": steps, "cells": len(types)}
            shared["solver"] = "student" if student else "multistep"
            found += [{**shared, "metric": metric, "value": value} for metric, value in judge(latents, cells).items()]
            sys.stdout.write(f"{found[-1]}\n")
            sys.stdout.flush()
    return found


def section(results: Path) -> str:
    """Write the section of the results page; nothing before the first measurement."""
    path = results / STEPS_FILE
    if not path.exists():
        return ""
    table = pd.read_csv(path)
    wide = table.pivot_table(index=["data_set", "metric", "solver"], columns="steps", values="value", sort=False)
    wide = wide[sorted(wide.columns)]
    rows = [[*tuple(names), *map(float, values)] for names, values in zip(wide.index, wide.to_numpy(), strict=True)]
    plain = table[(table["solver"] == "multistep") & (table["metric"] != ERROR)]
    offs, beyond = [], []
    for (data_set, metric), of_metric in plain.groupby(["data_set", "metric"], sort=False):
        mean, error = _off(of_metric)
        offs.append(f"{data_set}, {metric}: {mean:+.1%} (standard error {error:.1%})")
        if abs(mean) - 2 * np.nan_to_num(error) > TOLERANCE:
            beyond.append(f"{data_set}, {metric}")
    said = (
        f"The default of {DEFAULT} steps against {MOST}: {'; '.join(offs)}. Beyond {TOLERANCE:.0%} by more than twice "
    )
    said += f"the standard error: {'; '.join(beyond) or 'none'}."
    seeds = ", ".join(f"{name}: {n}" for name, n in table.groupby("data_set", sort=False)["seed"].nunique().items())
    about = (
        f"`python -m benchmarks.steps`, on {table['machine'].iloc[0]}, {table['date'].iloc[0]}, means over seeds "
        f"({seeds}). Same noise and same streams of counts for all numbers of steps."
    )
    header = ("data set", "metric", "solver", *(f"{steps:g} steps" for steps in wide.columns))
    return "\n\n".join(["## Quality against solver steps", about, grid(header, rows), said])


def _off(of_metric: pd.DataFrame) -> tuple[float, float]:
    """Compare the default with the most steps, seed by seed: mean of the relative difference, and its error."""
    by_seed = of_metric.pivot_table(index="seed", columns="steps", values="value")
    off = by_seed[DEFAULT] / by_seed[MOST] - 1.0
    return float(off.mean()), float(off.std(ddof=1) / np.sqrt(len(off))) if len(off) > 1 else float("nan")


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw one panel a metric; grey where a value lies within the tolerance of the most steps."""
    from matplotlib.figure import Figure

    metrics = list(table["metric"].unique())
    figure = Figure(figsize=(3.6 * len(metrics), 3.4), layout="constrained")
    axes: Sequence[Axes] = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axis, metric in zip(axes, metrics, strict=True):
        for (name, solver), of_set in table[table["metric"] == metric].groupby(["data_set", "solver"], sort=False):
            means = of_set.groupby("steps")["value"].mean()
            means = means[means > 0] if metric == ERROR else means
            axis.plot(
                means.index,
                means,
                marker=_MARKERS[str(name)],
                linestyle=_LINES[str(solver)],
                color="black",
                fillstyle="none" if solver == "multistep" else "full",
                label=f"{name}, {solver}",
            )
            if metric != ERROR and solver == "multistep":
                last = float(means[MOST])
                axis.axhspan((1 - TOLERANCE) * last, (1 + TOLERANCE) * last, color="0.85", zorder=0)
        axis.set_xscale("log", base=2)
        axis.set_xticks(STEPS, [str(steps) for steps in STEPS])
        axis.set(
            xlabel="steps of the solver, one call each", title=metric, yscale="log" if metric == ERROR else "linear"
        )
        axis.title.set_fontsize(9)
    axes[0].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the data sets asked for, keeping the rows of others, and draw all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=_HERE / "work" / "main_job", help="folder of fitted models")
    parser.add_argument("--sets", nargs="+", default=list(_MARKERS), choices=list(_MARKERS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--students", type=int, nargs="*", default=list(STUDENTS), help="steps of students")
    parser.add_argument("--out", type=Path, default=_HERE / "results")
    options = parser.parse_args(argv)
    options.data, options.work = data_folder(options.data), options.work.resolve()
    path = options.out / STEPS_FILE
    for name in options.sets:
        new = pd.DataFrame(measure(name, options)).assign(machine=machine(), date=today())
        kept = pd.read_csv(path) if path.exists() else pd.DataFrame({"data_set": []})
        pd.concat([kept[kept["data_set"] != name], new], ignore_index=True).to_csv(path, index=False)
    draw(pd.read_csv(path), options.out / FIGURE_FILE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
