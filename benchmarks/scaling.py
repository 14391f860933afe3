"""What fitting and generating cost against cells, genes and counts: ``python -m benchmarks.scaling``.

Times single steps of both networks and the generation of cells on simulated sparse counts over a grid of sizes, fits
a law with few terms to them, and holds the law against sizes that it has not seen. `docs/scaling.md` builds on it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.clock import clocked
from benchmarks.control.tables import grid
from benchmarks.cost import machine, today
from benchmarks.floor import measure_rates, work_of_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from scdiffusion import CellGenerator

SCALING_FILE, RUNS_FILE = "scaling.json", "runs.csv"
_HERE = Path(__file__).resolve().parent
_N_CELLS = 1_500
_N_GENERATED = 1_024
_N_STEPS, _N_WARM = 16, 4


@dataclass(frozen=True)
class Size:
    """One point of the grid."""

    genes: int
    found: int
    """Genes found in a cell."""
    batch: int


@dataclass(frozen=True)
class Fitted:
    """A fit that the benchmark has timed: cells, genes, and genes found in a cell."""

    data_set: str
    cells: int
    genes: int
    found: int


FITTED = (Fitted("pbmc3k", 1_619, 10_136, 834), Fitted("kang_ctrl_8donors", 7_357, 1_287, 349))
GRID = [Size(genes, found, batch) for genes in (1_000, 4_000, 16_000) for found in (200, 800) for batch in (64, 256)]
UNSEEN = [Size(2_000, 400, 128), Size(10_000, 1_500, 128)]
TERMS = {
    "step": "a step",
    "step_genes": "a step and 1,000 genes",
    "cells": "a cell",
    "cells_found": "a cell and 1,000 found genes",
    "cells_genes": "a cell and 1,000 genes",
}


def simulate(size: Size, n_cells: int = _N_CELLS) -> AnnData:
    """Draw cells in which each gene is found as often as any other, with small counts."""
    import anndata
    import pandas as pd
    from scipy import sparse

    rng = np.random.default_rng(0)
    indices = np.concatenate([np.sort(rng.permutation(size.genes)[: size.found]) for _ in range(n_cells)])
    starts = np.arange(n_cells + 1) * size.found
    counts = sparse.csr_matrix((1 + rng.poisson(0.5, indices.size), indices, starts), shape=(n_cells, size.genes))
    obs = pd.DataFrame({"label": pd.Categorical(rng.integers(0, 5, n_cells).astype(str))})
    obs.index = obs.index.astype(str)
    return anndata.AnnData(counts.astype(np.float32), obs=obs)


def measure(size: Size) -> dict[str, Any]:
    """Time a step of each network, and the generation of a cell, in seconds."""
    cells = simulate(size)
    with clocked(time.process_time) as taken:
        model = _fit(cells, size)
    per_step = {stage: median(steps.seconds[_N_WARM:]) for stage, steps in taken.items()}
    model.generate(64, seed=0, progress=False)
    before = time.process_time()
    model.generate(_N_GENERATED, seed=0, library_size=int(1.5 * size.found), progress=False)
    generated = (time.process_time() - before) / _N_GENERATED
    about: dict[str, Any] = {"genes": size.genes, "found": size.found, "batch": size.batch}
    rates = measure_rates()
    for stage, work in work_of_steps(model, found=size.found, batch=size.batch).items():
        about[f"{stage}_floor"] = work.seconds(rates)
    return about | per_step | {"generate": generated, "assemble": _assemble(cells, size)}


def terms(records: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
    """Lay out what a step of the autoencoder may cost for, shape ``(n, 5)``, as in `TERMS`."""
    genes, found, batch = (np.array([one[key] for one in records], float) for key in ("genes", "found", "batch"))
    ones = np.ones(len(records))
    return np.stack([ones, genes / 1e3, batch, batch * found / 1e3, batch * genes / 1e3], axis=1)


def law(records: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Fit the seconds of a step of the autoencoder; relative errors count, and no term is negative."""
    from scipy.optimize import nnls

    seconds = np.array([one["autoencoder"] for one in records])
    weights, _ = nnls(terms(records) / seconds[:, None], np.ones(len(records)))
    return dict(zip(TERMS, weights.tolist(), strict=True))


def predict(found: dict[str, float], record: dict[str, Any]) -> float:
    """Return the seconds of a step by the law."""
    return float(terms([record])[0] @ np.array([found[name] for name in TERMS]))


def predict_fit(held: dict[str, Any], fitted: Fitted) -> float:
    """Return the processor seconds of a whole fit with default settings that never stops early."""
    from scdiffusion.model import ModelConfig

    config = ModelConfig()
    n = round((1 - config.validation_share) * fitted.cells)
    first, second = config.autoencoder_training, config.diffusion_training
    size = {"genes": fitted.genes, "found": fitted.found, "batch": first.n_batch(n)}
    batches = np.array([one["batch"] for one in held["grid"]], float)
    slope, start = np.polyfit(batches, [one["diffusion"] for one in held["grid"]], 1)
    diffusion = start + slope * second.n_batch(n)
    return first.n_steps(n) * predict(held["law"], size) + second.n_steps(n) * float(diffusion)


def section(results: Path) -> str:
    """Write the section of the results page; nothing before the first measurement."""
    path = results / SCALING_FILE
    if not path.exists():
        return ""
    held = json.loads(path.read_text(encoding="utf-8"))
    costs = [(TERMS[name], f"{1e6 * value:.1f}") for name, value in held["law"].items()]
    header = (
        "genes",
        "found in a cell",
        "cells a step",
        "measured, ms",
        "by the law, ms",
        "diffusion step, ms",
        "gathered and thinned, us a cell",
        "cells generated/s",
    )
    rows = [
        (
            *(one[key] for key in ("genes", "found", "batch")),
            *(f"{1e3 * seconds:.1f}" for seconds in (one["autoencoder"], predict(held["law"], one), one["diffusion"])),
            f"{1e6 * one['assemble']:.0f}",
            f"{1 / one['generate']:,.0f}",
        )
        for one in held["unseen"]
    ]
    about = (
        f"`python -m benchmarks.scaling`, one thread of {held['machine']}, {held['date']}, simulated counts. A step of "
        f"the autoencoder costs the sum of these, fitted to {len(held['grid'])} sizes:"
    )
    check = "Sizes that the law was not fitted to; beside them a step of the diffusion and cells generated a second:"
    parts = ["## Cost against size", about, grid(("microseconds for", ""), costs), check, grid(header, rows)]
    return "\n\n".join([*parts, *_floors(held), *_whole_fits(held, results)])


def _floors(held: dict[str, Any]) -> list[str]:
    """Set steps beside the least time that they can take."""
    stages = ("autoencoder", "diffusion")
    if f"{stages[0]}_floor" not in held["grid"][0]:
        return []
    rows = []
    for one in sorted((*held["grid"], *held["unseen"]), key=lambda one: (one["genes"], one["found"], one["batch"])):
        row: list[object] = [one[key] for key in ("genes", "found", "batch")]
        for stage in stages:
            row += [f"{1e3 * one[f'{stage}_floor']:.1f}", f"{one[f'{stage}_floor'] / one[stage]:.0%}"]
        rows.append(row)
    told = (
        "The least time of a step, its products at the rate of a large one and its bytes at that of a large copy on "
        "the same thread (what is counted stands in `benchmarks/floor.py`), and the share of it in the measured one:"
    )
    sizes = ("genes", "found in a cell", "cells a step")
    header = [*sizes, *(word for stage in stages for word in (f"{stage}, least ms", "share"))]
    return [told, grid(header, rows)]


def _whole_fits(held: dict[str, Any], results: Path) -> list[str]:
    """Hold the law against whole fits that the table of runs has timed."""
    import pandas as pd

    if not (results / RUNS_FILE).exists():
        return []
    runs = pd.read_csv(results / RUNS_FILE)
    ours = (
        runs[(runs["generator"] == "ours") & (runs["metric"] == "fit_cpu_seconds")]
        .groupby("data_set")["value"]
        .median()
    )
    rows = [
        (one.data_set, one.cells, one.genes, f"{ours[one.data_set]:.0f}", f"{predict_fit(held, one):.0f}")
        for one in FITTED
        if one.data_set in ours
    ]
    told = "Whole fits: steps of both networks by the law, beside what the table of runs has measured for all of a fit:"
    return [told, grid(("data set", "cells", "genes", "measured, CPU s", "by the law, CPU s"), rows)]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure all sizes and write the record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--out", type=Path, default=_HERE / "results")
    options = parser.parse_args(argv)
    import torch

    torch.set_num_threads(1)
    measure(GRID[0])  # what is imported and compiled on first use is no cost of a step
    held: dict[str, Any] = {"machine": machine(), "date": today(), "grid": [], "unseen": []}
    for part, sizes in (("grid", GRID), ("unseen", UNSEEN)):
        for size in sizes:
            held[part].append(measure(size))
            sys.stdout.write(f"{held[part][-1]}\n")
            sys.stdout.flush()
    held["law"] = law(held["grid"])
    (options.out / SCALING_FILE).write_text(json.dumps(held, indent=1), encoding="utf-8")
    return 0


def _assemble(cells: AnnData, size: Size) -> float:
    """Time what stays on the processor wherever networks are computed: to gather a cell and to thin it."""
    from scdiffusion._core.random import Draws, generator
    from scdiffusion.autoencoder._thinning import thin
    from scdiffusion.cells import open_source

    source, rng = open_source(cells), np.random.default_rng(0)
    before = time.process_time()
    for step in range(_N_STEPS):
        rows = source.rows(rng.integers(cells.n_obs, size=size.batch))
        thin(rows, 0.6, draws=Draws.of(generator(0, "noise", step), size.batch))
    return (time.process_time() - before) / (_N_STEPS * size.batch)


def _fit(cells: AnnData, size: Size) -> CellGenerator:
    """Fit with a few steps of each stage."""
    import scdiffusion
    from scdiffusion.model import ModelConfig

    config = ModelConfig()
    short = {
        name: replace(
            getattr(config, name), batch_size=size.batch, max_steps=_N_STEPS, n_validations=1, largest_share=1.0
        )
        for name in ("autoencoder_training", "diffusion_training")
    }
    model = scdiffusion.CellGenerator(
        cells, conditions=["label"], min_cells=1, config=replace(config, validation_share=0.02, **short)
    )
    return model.fit(progress=False)


if __name__ == "__main__":
    sys.exit(main())
