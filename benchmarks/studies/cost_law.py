"""What fitting and generating cost against cells, genes and counts.

Single steps of both networks and the generation of cells are timed on simulated sparse counts over a grid of sizes. A
law with few terms is fitted to them, and compared with sizes that it has not seen. `docs/record/scaling.md` builds on
it.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cost import by_stage, clocked
from benchmarks.layout import grid, only
from benchmarks.least_time import measure_rates, work_of_steps
from benchmarks.models import LABEL, read_parts
from benchmarks.records import rows_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse import CellGenerator

name = "cost_law"
title = "Cost against size"
summary = "A law of what training steps cost against genes, counts and batch size."
unit = ("part", "data_set", "genes", "found", "batch")

Row = dict[str, Any]
STAGES = ("autoencoder", "diffusion")
FITTED_PART, UNSEEN_PART, WHOLE_PART = "grid", "unseen", "whole"
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: sizes are those of the law."""


def run(context: Context) -> Iterator[Record]:
    """Measure all sizes with one thread, and whole fits where there is a folder of data sets."""
    import torch

    torch.set_num_threads(1)
    is_warm = False
    for part, sizes in ((FITTED_PART, GRID), (UNSEEN_PART, UNSEEN)):
        for size in sizes:
            about = {"part": part, **asdict(size)}
            if not is_warm and (context.options.overwrite or not context.store.is_done(about)):
                measure(size)  # what is imported and compiled on first use is no cost of a step
                is_warm = True
            yield from context.measure(about, partial(measure, size))
    for fitted in FITTED if context.data is not None else ():
        about = {"part": WHOLE_PART, "data_set": fitted.data_set}
        yield from context.measure(about, partial(measure_whole, context, fitted.data_set))


def measure_whole(context: Context, data_set: str) -> dict[str, float]:
    """Time a whole fit of the fit part, in CPU seconds."""
    import scdiffuse

    cells = read_parts(data_set, context)["fit"]
    before = time.process_time()
    scdiffuse.CellGenerator(cells, conditions=[LABEL], min_cells=1).fit(progress=False)
    return {"cpu_seconds": time.process_time() - before}


def measure(size: Size) -> dict[str, Any]:
    """Time a step of each network, and the generation of a cell, in seconds."""
    from benchmarks.inside import time_assembling

    cells = simulate(size)
    with clocked(time.process_time) as taken:
        model = _fit(cells, size)
    per_step = {stage: median(seconds[_N_WARM:]) for stage, seconds in by_stage(taken).items()}
    model.generate(64, seed=0, progress=False)
    before = time.process_time()
    model.generate(_N_GENERATED, seed=0, library_size=int(1.5 * size.found), progress=False)
    generated = (time.process_time() - before) / _N_GENERATED
    about: dict[str, Any] = {"genes": size.genes, "found": size.found, "batch": size.batch}
    rates = measure_rates()
    for stage, work in work_of_steps(model, found=size.found, batch=size.batch).items():
        about[f"{stage}_least"] = work.seconds(rates)
    return about | per_step | {"generate": generated, "assemble": time_assembling(cells, size.batch, _N_STEPS)}


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


def predict_fit(grid_rows: list[Row], fitted: Fitted) -> float:
    """Return the CPU seconds of a whole fit with default settings that never stops early."""
    from scdiffuse.model import ModelConfig

    config = ModelConfig()
    n = round((1 - config.validation_fraction) * fitted.cells)
    first, second = config.autoencoder_training, config.diffusion_training
    size = {"genes": fitted.genes, "found": fitted.found, "batch": first.n_batch(n)}
    batches = np.array([one["batch"] for one in grid_rows], float)
    slope, start = np.polyfit(batches, [one["diffusion"] for one in grid_rows], 1)
    diffusion = start + slope * second.n_batch(n)
    return first.n_steps(n) * predict(law(grid_rows), size) + second.n_steps(n) * float(diffusion)


def _fit(cells: AnnData, size: Size) -> CellGenerator:
    """Fit with a few steps of each stage."""
    import scdiffuse
    from scdiffuse.model import ModelConfig

    config = ModelConfig()
    short = {
        name: replace(
            getattr(config, name),
            batch_size=size.batch,
            max_steps=_N_STEPS,
            n_validations=1,
            largest_batch_fraction=1.0,
        )
        for name in ("autoencoder_training", "diffusion_training")
    }
    model = scdiffuse.CellGenerator(
        cells, conditions=["label"], min_cells=1, config=replace(config, validation_fraction=0.02, **short)
    )
    return model.fit(progress=False)


def lines(records: Sequence[Record]) -> list[str]:
    """Write the law, what it predicts, and the least times."""
    found = rows_of(records)
    known, unseen = only(found, part=FITTED_PART), only(found, part=UNSEEN_PART)
    costs = law(known)
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
            *(f"{1e3 * seconds:.1f}" for seconds in (one["autoencoder"], predict(costs, one), one["diffusion"])),
            f"{1e6 * one['assemble']:.0f}",
            f"{1 / one['generate']:,.0f}",
        )
        for one in unseen
    ]
    about = (
        f"One thread, simulated counts. A step of the autoencoder costs the sum of these, fitted to {len(known)} sizes:"
    )
    check = "Sizes that the law was not fitted to; beside them a step of the diffusion and cells generated a second:"
    terms_of = [(TERMS[term], f"{1e6 * value:.1f}") for term, value in costs.items()]
    parts = [about, grid(("microseconds for", ""), terms_of), check, grid(header, rows)]
    return [*parts, *_least_times([*known, *unseen]), *_whole_fits(known, only(found, part=WHOLE_PART))]


def _least_times(found: list[Row]) -> list[str]:
    """Compare steps with the least time that they can take."""
    rows = []
    for one in sorted(found, key=lambda one: (one["genes"], one["found"], one["batch"])):
        row: list[object] = [one[key] for key in ("genes", "found", "batch")]
        for stage in STAGES:
            row += [f"{1e3 * one[f'{stage}_least']:.1f}", f"{one[f'{stage}_least'] / one[stage]:.0%}"]
        rows.append(row)
    said = (
        "The least time of a step, its products at the rate of a large one and its bytes at that of a large copy on "
        "the same thread (what is counted stands in `benchmarks/least_time.py`), and its fraction of the measured one:"
    )
    sizes = ("genes", "found in a cell", "cells a step")
    header = [*sizes, *(word for stage in STAGES for word in (f"{stage}, least ms", "fraction"))]
    return [said, grid(header, rows)]


def _whole_fits(known: list[Row], whole: list[Row]) -> list[str]:
    """Compare the law with whole fits."""
    measured = {one["data_set"]: one["cpu_seconds"] for one in whole}
    rows = [
        (one.data_set, one.cells, one.genes, f"{measured[one.data_set]:.0f}", f"{predict_fit(known, one):.0f}")
        for one in FITTED
        if one.data_set in measured
    ]
    if not rows:
        return []
    said = "Whole fits: steps of both networks by the law, beside what was measured for all of a fit:"
    return [said, grid(("data set", "cells", "genes", "measured, CPU s", "by the law, CPU s"), rows)]
