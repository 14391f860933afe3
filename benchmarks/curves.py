"""Realism against the number of cells and of genes fitted: ``python -m benchmarks.curves --data FOLDER``.

For each size a model is fitted; generated cells, and reconstructions of the cells it was fitted to, are held against
real cells that no model saw. What separates the two is the diffusion's share of the error.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anndata
import numpy as np

from benchmarks.data import DATA_SETS, PARTS, data_folder, prepare

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from scdiffusion import CellGenerator
    from scdiffusion.evaluation import Benchmark

RESULTS = Path(__file__).resolve().parent / "results"
METRICS = {
    "forest_genes_auc": "forest AUC, genes",
    "forest_counts_auc": "forest AUC, counts + depth",
    "boosting_genes_auc": "boosting AUC, genes",
}
KEY = "cell_type"
ALONG = {"cells": ("kang_ctrl_8donors", (300, 1000, 3000, 12_000)), "genes": ("pbmc3k", (500, 2000, 20_000))}
GENERATED, RECONSTRUCTED = "generated", "reconstructed"
Record = dict[str, str | int | float]


def main() -> None:
    """Fit and score each size, and keep every record as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=Path(__file__).resolve().parent / "work")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    path = RESULTS / "curves.json"
    records: list[Record] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    known = {(one["along"], one["asked"], one["seed"]) for one in records}
    for seed in given.seeds:
        for along, (name, sizes) in ALONG.items():
            split = prepare(DATA_SETS[name], folder=data_folder(given.data), work=given.work, max_cells=None)
            parts = {part: anndata.read_h5ad(split / f"{part}.h5ad") for part in PARTS}
            for size in sizes:
                if (along, size, seed) not in known:
                    common: Record = {"data_set": name, "along": along, "asked": size, "seed": seed}
                    records.extend(common | one for one in study(parts, along=along, size=size, seed=seed))
                    path.write_text(json.dumps(records, indent=1), encoding="utf-8")
    draw(records, RESULTS / "curves.png")


def study(parts: dict[str, AnnData], *, along: str, size: int, seed: int) -> list[Record]:
    """Fit one size and score generated and reconstructed cells."""
    from scdiffusion import CellGenerator
    from scdiffusion.evaluation import Benchmark

    fit, reference, held_out = (parts[part] for part in PARTS)
    if along == "cells":
        fit = fewer_cells(fit, size, seed=seed)
    else:
        genes = most_expressed(fit, size)
        fit, reference, held_out = fit[:, genes].copy(), reference[:, genes].copy(), held_out[:, genes].copy()
    begin = time.process_time()
    model = CellGenerator(fit, conditions=[KEY]).fit(seed=seed, progress=False)
    common: Record = {"n_cells": fit.n_obs, "n_genes": len(model.genes), "seconds": time.process_time() - begin}
    judge = Benchmark(
        held_out, reference=reference, train=fit, by=KEY, metrics=list(METRICS), seed=seed, progress=False
    )
    known = held_out.obs[KEY].isin(model.conditions.categorical[KEY])
    obs = held_out.obs.loc[known, [KEY]].reset_index(drop=True)
    made = {
        GENERATED: model.generate(where=obs, seed=seed, progress=False),
        RECONSTRUCTED: reconstruct(model, fit, obs, seed=seed),
    }
    return [common | {"cells": name} | scores(judge, cells) for name, cells in made.items()]


def fewer_cells(fit: AnnData, size: int, *, seed: int) -> AnnData:
    """Draw some of the cells; labels that are left with a single one are left out."""
    rows = np.random.default_rng(seed).permutation(fit.n_obs)[:size]
    some = fit[np.sort(rows)]
    counts = some.obs[KEY].value_counts()
    return some[some.obs[KEY].map(counts).to_numpy() > 1].copy()


def most_expressed(fit: AnnData, size: int) -> np.ndarray:
    """Return the positions of the genes with the most counts."""
    return np.sort(np.argsort(-np.asarray(fit.X.sum(axis=0)).ravel())[:size])


def reconstruct(model: CellGenerator, fit: AnnData, obs: pd.DataFrame, *, seed: int) -> AnnData:
    """Draw anew, from its own posterior, a fitted cell for each row of `obs`, of its type."""
    import torch

    from scdiffusion._core.random import cell_keys, cell_normals

    labels, rng = fit.obs[KEY].to_numpy(), np.random.default_rng(seed)
    rows = np.array([rng.choice(np.flatnonzero(labels == label)) for label in obs[KEY]])
    counts = fit[rows, model.genes].X.tocsr().astype(np.float32)
    autoencoder, cells = model._fitted("reconstruct").autoencoder, np.arange(len(rows))
    posterior = autoencoder.encode(counts)
    noise = torch.from_numpy(cell_normals(seed, "reconstruction", cells, posterior.mean.shape[1]))
    sizes = np.asarray(counts.sum(axis=1)).ravel().astype(np.int64)
    drawn = autoencoder.decode(posterior.mean + posterior.std * noise, sizes, cell_keys(seed, "reconstruction", cells))
    return anndata.AnnData(drawn, obs=obs.set_axis(obs.index.astype(str)), var=fit[:, model.genes].var[[]])


def scores(judge: Benchmark, cells: AnnData) -> Record:
    """Score cells; the floor goes with each value."""
    found = judge.score(cells).metrics
    values: Record = {}
    for name in METRICS:
        values |= {name: float(found[name]["value"]), f"{name}_floor": float(found[name]["floor"])}
    return values


def section(results: Path = RESULTS) -> str:
    """Write the part of the results page; empty before the first run."""
    path = results / "curves.json"
    if not path.exists():
        return ""
    records: list[Record] = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        "| data set | cells | genes | seed | cells come from | " + " | ".join(METRICS.values()) + " | fit, CPU s |",
        "|---" * (len(METRICS) + 6) + "|",
    ]
    for one in records:
        values = " | ".join(f"{one[name]:.3f} ({one[f'{name}_floor']:.3f})" for name in METRICS)
        facts = f"| {one['data_set']} | {one['n_cells']:,} | {one['n_genes']:,} | {one['seed']} | {one['cells']}"
        lines.append(f"{facts} | {values} | {one['seconds']:.0f} |")
    about = (
        "`python -m benchmarks.curves --data FOLDER`. Held-out cells against generated ones, and against cells drawn "
        "anew from the latents of fitted ones, which shows what the autoencoder alone costs; floors in brackets."
    )
    return "\n".join(["## Realism against cells and genes", "", about, "", "![](results/curves.png)", "", *lines, ""])


def draw(records: list[Record], path: Path) -> None:
    """Draw both curves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    name, title = next(iter(METRICS.items()))
    for axis, (along, (data_set, _)) in zip(figure.subplots(1, len(ALONG), sharey=True), ALONG.items(), strict=True):
        for kind, marker in ((GENERATED, "o"), (RECONSTRUCTED, "^")):
            rows = sorted(
                (one[f"n_{along}"], one[name], one[f"{name}_floor"])
                for one in records
                if (one["along"], one["cells"]) == (along, kind)
            )
            axis.plot([row[0] for row in rows], [row[1] for row in rows], marker=marker, label=kind)
            if kind == GENERATED:
                axis.plot([row[0] for row in rows], [row[2] for row in rows], "k--", label="floor, real against real")
        axis.set(xscale="log", xlabel=f"{along} fitted, {data_set}", ylabel=title)
        axis.set_xticks([row[0] for row in rows], [f"{row[0]:,}" for row in rows])
        axis.minorticks_off()
        axis.legend(frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
