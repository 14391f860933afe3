"""Cells beyond memory.

The generator makes the cells itself, from a short fit to `pbmc3k` (to bundled example data without ``--data``), on as
many genes as asked for: the most counted ones, and copies of them where there are too few. Each phase is a process of
its own, whose resident memory is measured, interpreter and libraries included:

- ``learn`` fits the model that makes them,
- ``generate`` writes the cells to one ``.h5ad``,
- ``plant``, on request in place of these two, draws cells of ten types from fixed rates,
- ``shard`` rewrites them in random order,
- ``read`` takes the batches of an epoch from the shards, beside reading the same rows from the first to the last, and
  beside reading the same bytes with nothing done to them; each the best of three,
- ``begin`` does what a fit does before its first step, with the statistics that were kept with the shards and without,
  each the best of three,
- ``fit`` fits a model to the shards for an epoch.

A run that was stopped goes on with the phase it was in.
"""

from __future__ import annotations

import json
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.cost import Meter
from benchmarks.data import DATA_SETS, load
from benchmarks.layout import grid
from benchmarks.study import in_process

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse.cells import Source
    from scdiffuse.fitting import TrainingData

name = "on_disk"
title = "Cells beyond memory"
summary = "Speed and memory of generating, sharding, reading and fitting more cells than memory holds."
unit = ("phase", "cells", "genes")

Row = dict[str, float]
PHASES = ("learn", "generate", "plant", "shard", "read", "begin", "fit")
GOALS = {("generate", "peak_mib"): "1536", ("fit", "peak_mib"): "2048", ("read", "fraction_of_sequential_cold"): "0.6"}
"""The goal of measures that begin with a name."""
_BY = "cell_type"
_REPEATS = 3
_BATCH = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the size."""
    parser.add_argument("--cells", type=int, default=50_000)
    parser.add_argument("--genes", type=int, default=5_000)
    parser.add_argument("--epochs", type=int, default=1, help="epochs of the fit")
    usual = [phase for phase in PHASES if phase != "plant"]
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=usual, help="a phase needs those before it")


def run(context: Context) -> Iterator[Record]:
    """Run all phases, each in a process of its own."""
    options = context.options
    _place(context).mkdir(parents=True, exist_ok=True)
    for phase in options.phases:
        about = {"phase": phase, "cells": options.cells, "genes": options.genes, "epochs": options.epochs}
        yield from context.measure(about, partial(in_process, context, f"on_disk:{phase}", threads=1))


def _place(context: Context) -> Path:
    return context.work / f"{context.options.cells}x{context.options.genes}"


def widen(cells: AnnData, n_genes: int) -> AnnData:
    """Keep the most counted genes, or repeat them under other names until there are enough."""
    import anndata
    from scipy import sparse

    order = np.argsort(-np.asarray(cells.X.sum(axis=0)).ravel(), kind="stable")
    columns = np.resize(order, n_genes)
    names = [f"{cells.var_names[gene]}-{at // len(order)}" for at, gene in enumerate(columns)]
    counts = sparse.csr_matrix(cells.X)[:, columns]
    return anndata.AnnData(sparse.csr_matrix(counts), obs=cells.obs[[_BY]], var=pd.DataFrame(index=names))


def learn(context: Context) -> Row:
    """Fit the model that makes the cells: some hundred steps are enough for cells of the right size."""
    from scdiffuse import CellGenerator
    from scdiffuse.model import ModelConfig, TrainConfig

    data_set = "pbmc68k" if context.data is None else "pbmc3k"
    cells = widen(load(DATA_SETS[data_set], context.data), context.options.genes)
    cells = cells[cells.obs[_BY].notna().to_numpy()].copy()
    brief = TrainConfig(min_steps=200, n_validations=2)
    config = ModelConfig(autoencoder_training=brief, diffusion_training=brief)
    with Meter() as meter:
        model = CellGenerator(cells, conditions=[_BY], min_cells=0, config=config)
        model.fit(max_epochs=20, progress=False).save(_place(context) / "model", overwrite=True)
    return {"cpu_seconds": meter.cost.cpu_seconds}


def generate(context: Context) -> Row:
    """Let the model write the cells."""
    from scdiffuse import load as load_model

    model = load_model(_place(context) / "model")
    with Meter() as meter:
        model.generate(context.options.cells, path=_place(context) / "cells.h5ad", overwrite=True, progress=False)
    return _cost(meter, context.options.cells) | {"gib": (_place(context) / "cells.h5ad").stat().st_size / 2**30}


def plant(context: Context) -> Row:
    """Draw cells whose counts are 1,200 each, of some 900 genes, where only reading is asked about."""
    from scipy import sparse

    from scdiffuse.cells import H5adWriter

    options, draw = context.options, np.random.default_rng(0)
    rates = draw.lognormal(0.0, 1.5, options.genes) * draw.lognormal(0.0, 0.5, (10, options.genes))
    shares = np.cumsum(rates / rates.sum(axis=1, keepdims=True), axis=1)
    names = pd.DataFrame(index=[f"gene-{gene}" for gene in range(options.genes)])
    with Meter() as meter, H5adWriter(_place(context) / "cells.h5ad", names, overwrite=True) as writer:
        for begin in range(0, options.cells, 1000):
            n = min(1000, options.cells - begin)
            types = np.sort(draw.integers(0, 10, n))
            genes = np.concatenate(
                [np.searchsorted(shares[kind], draw.random(1200 * k)) for kind, k in enumerate(np.bincount(types))]
            )
            ones = np.ones(genes.size, np.float32)
            starts = np.arange(n + 1) * 1200
            counts = sparse.csr_matrix((ones, np.minimum(genes, options.genes - 1), starts), (n, options.genes))
            counts.sum_duplicates()
            labels = pd.Categorical(np.array([f"type-{kind}" for kind in range(10)])[types])
            writer.append(counts, pd.DataFrame({_BY: labels}, index=[f"cell-{begin + at}" for at in range(n)]))
    return _cost(meter, options.cells)


def shard(context: Context) -> Row:
    """Rewrite the cells as shards."""
    import scdiffuse

    with Meter() as meter:
        scdiffuse.shard(_place(context) / "cells.h5ad", _place(context) / "shards", overwrite=True, progress=False)
    index = json.loads((_place(context) / "shards" / "shards.json").read_text())
    sizes = {"gib": sum(one["bytes"] for one in index["shards"]) / 2**30}
    return _cost(meter, context.options.cells) | sizes | {"statistics_mib": index["statistics"]["bytes"] / 2**20}


def read(context: Context) -> Row:
    """Take an epoch of batches, and read the same rows and bytes in order."""
    from scdiffuse.cells import open_source

    source = open_source(_place(context) / "shards")
    values = sum(
        one["n_values"] for one in json.loads((_place(context) / "shards" / "shards.json").read_text())["shards"]
    )
    found: Row = {"values_a_cell": values / context.options.cells}
    ways: dict[str, Callable[[], object]] = {
        "bytes": lambda: _read_bytes(_files(context)),
        "sequential": lambda: [None for _ in source.blocks(1024)],
        "epoch": lambda: [None for _ in _epoch(source)],
    }
    with Meter() as meter:
        for cache, is_cold in (("cold", True), ("warm", False)):
            for key, way in ways.items():
                times = [_seconds(way, _files(context) if is_cold else []) for _ in range(_REPEATS)]
                wall, cpu = (context.options.cells / min(taken) for taken in zip(*times, strict=True))
                found |= {f"{key}_{cache}_rows_per_second": wall, f"{key}_{cache}_rows_per_cpu_second": cpu}
    for cache in ("cold", "warm"):
        epoch = found[f"epoch_{cache}_rows_per_second"]
        found[f"fraction_of_sequential_{cache}"] = epoch / found[f"sequential_{cache}_rows_per_second"]
        found[f"fraction_of_bytes_{cache}"] = epoch / found[f"bytes_{cache}_rows_per_second"]
        cpu = found[f"epoch_{cache}_rows_per_cpu_second"] / found[f"sequential_{cache}_rows_per_cpu_second"]
        found[f"fraction_of_sequential_{cache}_by_cpu"] = cpu
    return found | {"peak_mib": meter.cost.peak_mib}


def begin(context: Context) -> Row:
    """Read what a fit reads before its first step: statistics that were kept, or all counts."""
    from scdiffuse.calibration import CalibrationConfig
    from scdiffuse.cells import MIN_CELLS
    from scdiffuse.fitting import read_data

    def read(shards: Path) -> TrainingData:
        asked: dict[str, Any] = {"conditions": [_BY], "continuous": [], "layer": None}
        return read_data(shards, min_cells=MIN_CELLS, calibration=CalibrationConfig(), **asked)

    found: Row = {}
    places = {"kept": _place(context) / "shards", "pass": _without_statistics(_place(context) / "shards")}
    with Meter() as meter:
        for cache, is_cold in (("cold", True), ("warm", False)):
            for key, place in places.items():
                times = [_seconds(partial(read, place), _files(context) if is_cold else []) for _ in range(_REPEATS)]
                wall, cpu = (min(taken) for taken in zip(*times, strict=True))
                found |= {f"{key}_{cache}_seconds": wall, f"{key}_{cache}_cpu_seconds": cpu}
    one, other = (read(place) for place in places.values())
    found["largest_difference"] = float(
        max(np.abs(a - b).max() for a, b in zip(_numbers(one), _numbers(other), strict=True))
    )
    return found | {"peak_mib": meter.cost.peak_mib}


def fit(context: Context) -> Row:
    """Fit to the shards for an epoch."""
    import scdiffuse

    with Meter() as meter:
        model = scdiffuse.CellGenerator(_place(context) / "shards", conditions=[_BY])
        opened = time.perf_counter()
        model.fit(max_epochs=context.options.epochs, progress=False)
        fitted = time.perf_counter() - opened
    return _cost(meter, context.options.cells) | {"fit_seconds": fitted, "n_genes_kept": len(model.genes)}


def lines(records: Sequence[Record]) -> list[str]:
    """Write every measure, beside its goal."""
    rows: list[list[Any]] = []
    order = {phase: at for at, phase in enumerate(PHASES)}
    sizes = ("cells", "genes")
    keyed = sorted(records, key=lambda one: (*(one.settings[key] for key in sizes), order[one.settings["phase"]]))
    for record in keyed:
        about = [f"{record.settings[key]:,}" for key in sizes]
        for measure, value in record.values.items():
            phase = record.settings["phase"]
            goal = next((goal for (at, what), goal in GOALS.items() if at == phase and measure.startswith(what)), "")
            rows.append([*about, phase, measure, f"{value:,.4g}", goal, record.date])
    said = (
        "One thread. Cells are made by the generator itself, or drawn from fixed rates by `plant`. `epoch` is an epoch "
        "of shuffled batches, `sequential` the same rows from the first to the last, `bytes` the same files with "
        "nothing done to them; cold is after the files were dropped from the cache. `begin` is what a fit reads before "
        "its first step: `kept` with the statistics that were made with the shards, `pass` without. `peak_mib` is "
        "resident memory with interpreter and libraries, in MiB."
    )
    return [said, grid(["cells", "genes", "phase", "measure", "value", "goal", "date"], rows)]


def _epoch(source: Source) -> Iterator[None]:
    """Take every batch of an epoch as a fit does."""
    from scdiffuse.cells import Batches, Prefetch, plan_blocks

    rows = np.arange(source.n_cells)
    batches = Batches(len(rows), _BATCH, seed=0, blocks=plan_blocks(source, rows))
    with Prefetch(source, batches.buffers(0, batches.steps_per_epoch)) as prefetch:
        for step in range(batches.steps_per_epoch):
            prefetch.rows(batches.at(step))
            yield


def _without_statistics(shards: Path) -> Path:
    """Make a folder of links to the same shards, as versions before the statistics made it."""
    folder = shards.with_name("without_statistics")
    folder.mkdir(exist_ok=True)
    for file in shards.glob("*.h5ad"):
        (folder / file.name).unlink(missing_ok=True)
        (folder / file.name).symlink_to(file.resolve())
    index = json.loads((shards / "shards.json").read_text())
    (folder / "shards.json").write_text(json.dumps({key: value for key, value in index.items() if key != "statistics"}))
    return folder


def _numbers(data: TrainingData) -> list[np.ndarray]:
    return [data.library_sizes, *map(np.asarray, data.pseudobulk)]


def _read_bytes(files: Sequence[Path]) -> None:
    buffer = bytearray(1 << 23)
    for file in files:
        with file.open("rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass


def _seconds(way: Callable[[], object], forget: Sequence[Path]) -> tuple[float, float]:
    """Take wall and CPU time once, after dropping files from the cache of the system."""
    for file in forget:
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    begin, worked = time.perf_counter(), time.process_time()
    way()
    return time.perf_counter() - begin, time.process_time() - worked


def _files(context: Context) -> list[Path]:
    return sorted((_place(context) / "shards").glob("*.h5ad"))


def _cost(meter: Meter, n: int) -> Row:
    cost = meter.cost
    return {
        "seconds": cost.seconds,
        "cpu_seconds": cost.cpu_seconds,
        "cells_per_second": n / cost.seconds,
        "peak_mib": cost.peak_mib,
    }
