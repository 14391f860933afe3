"""Cells beyond memory: ``python -m benchmarks.scale --cells 1000000 --genes 20000 --data FOLDER --work FOLDER``.

The generator makes the cells itself, from a short fit to `pbmc3k` (to the embedded set without ``--data``), on as many
genes as asked for: the most counted ones, and copies of them where there are too few. Each phase is a process of its
own, whose resident memory is measured, interpreter and libraries included:

- ``learn`` fits the model that makes them,
- ``generate`` writes the cells to one ``.h5ad``,
- ``shard`` rewrites them in random order,
- ``read`` takes an epoch's batches from the shards, beside reading the same rows from the first to the last, and beside
  reading the same bytes with nothing done to them; each the best of three,
- ``fit`` fits a model to the shards for an epoch.

A run that was stopped goes on with the phase it was in.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.control.tables import grid
from benchmarks.cost import Meter, machine, run_process, thread_environment, today
from benchmarks.data import DATA_SETS, data_folder, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from anndata import AnnData

    from scdiffusion.cells import Source

SCALE_FILE = "scale.csv"
PHASES = ("learn", "generate", "shard", "read", "fit")
GOALS = {("generate", "peak_mib"): 1536, ("fit", "peak_mib"): 2048, ("read", "share_of_sequential_cold"): 0.6}
_BY = "cell_type"
_REPEATS = 3
_BATCH = 128
_HERE = Path(__file__).resolve().parent
Record = dict[str, float]


def widen(cells: AnnData, n_genes: int) -> AnnData:
    """Keep the most counted genes, or repeat them under other names until there are enough."""
    import anndata
    from scipy import sparse

    order = np.argsort(-np.asarray(cells.X.sum(axis=0)).ravel(), kind="stable")
    columns = np.resize(order, n_genes)
    names = [f"{cells.var_names[gene]}-{at // len(order)}" for at, gene in enumerate(columns)]
    counts = sparse.csr_matrix(cells.X)[:, columns]
    return anndata.AnnData(sparse.csr_matrix(counts), obs=cells.obs[[_BY]], var=pd.DataFrame(index=names))


def learn(work: Path, options: argparse.Namespace) -> Record:
    """Fit the model that makes the cells: some hundred steps are enough for cells of the right size."""
    from scdiffusion import CellGenerator
    from scdiffusion.model import ModelConfig, TrainConfig

    name = "pbmc68k" if data_folder(options.data) is None else "pbmc3k"
    cells = widen(load(DATA_SETS[name], data_folder(options.data)), options.genes)
    cells = cells[cells.obs[_BY].notna().to_numpy()].copy()
    brief = TrainConfig(min_steps=200, n_validations=2)
    config = ModelConfig(autoencoder_training=brief, diffusion_training=brief)
    with Meter() as meter:
        model = CellGenerator(cells, conditions=[_BY], min_cells=0, config=config)
        model.fit(max_epochs=20, progress=options.progress).save(work / "model", overwrite=True)
    return {"cpu_seconds": meter.cost.cpu_seconds}


def generate(work: Path, options: argparse.Namespace) -> Record:
    """Let the model write the cells."""
    from scdiffusion import load as load_model

    model = load_model(work / "model")
    with Meter() as meter:
        model.generate(options.cells, to=work / "cells.h5ad", overwrite=True, progress=options.progress)
    return _cost(meter, options.cells) | {"gib": (work / "cells.h5ad").stat().st_size / 2**30}


def shard(work: Path, options: argparse.Namespace) -> Record:
    """Rewrite the cells as shards."""
    import scdiffusion

    with Meter() as meter:
        scdiffusion.shard(work / "cells.h5ad", work / "shards", overwrite=True, progress=options.progress)
    return _cost(meter, options.cells) | {"gib": sum(file.stat().st_size for file in _files(work)) / 2**30}


def read(work: Path, options: argparse.Namespace) -> Record:
    """Take an epoch of batches, and read the same rows and bytes in order."""
    from scdiffusion.cells import open_source

    source = open_source(work / "shards")
    values = sum(one["n_values"] for one in json.loads((work / "shards" / "shards.json").read_text())["shards"])
    found: Record = {"values_a_cell": values / options.cells}
    ways: dict[str, Callable[[], object]] = {
        "bytes": lambda: _read_bytes(_files(work)),
        "sequential": lambda: [None for _ in source.blocks(1024)],
        "epoch": lambda: [None for _ in _epoch(source)],
    }
    with Meter() as meter:
        for cache, is_cold in (("cold", True), ("warm", False)):
            for name, way in ways.items():
                times = [_seconds(way, _files(work) if is_cold else []) for _ in range(_REPEATS)]
                wall, cpu = (options.cells / min(taken) for taken in zip(*times, strict=True))
                found |= {f"{name}_{cache}_rows_per_second": wall, f"{name}_{cache}_rows_per_cpu_second": cpu}
    for cache in ("cold", "warm"):
        epoch = found[f"epoch_{cache}_rows_per_second"]
        found[f"share_of_sequential_{cache}"] = epoch / found[f"sequential_{cache}_rows_per_second"]
        found[f"share_of_bytes_{cache}"] = epoch / found[f"bytes_{cache}_rows_per_second"]
        cpu = found[f"epoch_{cache}_rows_per_cpu_second"] / found[f"sequential_{cache}_rows_per_cpu_second"]
        found[f"share_of_sequential_{cache}_by_cpu"] = cpu
    return found | {"peak_mib": meter.cost.peak_mib}


def fit(work: Path, options: argparse.Namespace) -> Record:
    """Fit to the shards for an epoch."""
    import scdiffusion

    with Meter() as meter:
        model = scdiffusion.CellGenerator(work / "shards", conditions=[_BY])
        opened = time.perf_counter()
        model.fit(max_epochs=options.epochs, progress=options.progress)
        fitted = time.perf_counter() - opened
    return _cost(meter, options.cells) | {"fit_seconds": fitted, "n_genes_kept": len(model.genes)}


def section(results: Path) -> str:
    """Write the section of the results page; nothing before the first measurement."""
    path = results / SCALE_FILE
    if not path.exists():
        return ""
    table = pd.read_csv(path, dtype={"goal": str}, keep_default_na=False)
    rows = [
        [f"{one.cells:,}", f"{one.genes:,}", one.phase, one.measure, f"{one.value:,.4g}", one.goal, one.date]
        for one in table.itertuples(index=False)
    ]
    told = "; ".join(table["machine"].unique())
    return (
        f"## Cells beyond memory\n\n`python -m benchmarks.scale --cells N --genes G --data FOLDER --work FOLDER`, on "
        f"{told}, one thread. Cells are made by the generator itself. `epoch` is an epoch of shuffled batches, "
        "`sequential` the same rows from the first to the last, `bytes` the same files with nothing done to them; cold "
        "is after the files were dropped from the cache. `peak_mib` is resident memory with interpreter and "
        "libraries, in MiB.\n\n" + grid(["cells", "genes", "phase", "measure", "value", "goal", "date"], rows)
    )


def _epoch(source: Source) -> Iterator[None]:
    """Take every batch of an epoch as a fit does."""
    from scdiffusion.cells import Batches, ReadAhead, plan_blocks

    rows = np.arange(source.n_cells)
    batches = Batches(len(rows), _BATCH, seed=0, blocks=plan_blocks(source, rows))
    with ReadAhead(source, batches.buffers(0, batches.steps_per_epoch)) as ahead:
        for step in range(batches.steps_per_epoch):
            ahead.rows(batches.at(step))
            yield


def _read_bytes(files: Sequence[Path]) -> None:
    room = bytearray(1 << 23)
    for file in files:
        with file.open("rb", buffering=0) as stream:
            while stream.readinto(room):
                pass


def _seconds(way: Callable[[], object], forget: Sequence[Path]) -> tuple[float, float]:
    """Take wall and processor time once, after dropping files from the cache of the system."""
    for file in forget:
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    begin, worked = time.perf_counter(), time.process_time()
    way()
    return time.perf_counter() - begin, time.process_time() - worked


def _files(work: Path) -> list[Path]:
    return sorted((work / "shards").glob("*.h5ad"))


def _cost(meter: Meter, n: int) -> Record:
    cost = meter.cost
    return {
        "seconds": cost.seconds,
        "cpu_seconds": cost.cpu_seconds,
        "cells_per_second": n / cost.seconds,
        "peak_mib": cost.peak_mib,
    }


def _run(phase: str, work: Path, argv: Sequence[str]) -> Record:
    """Run a phase in a process of its own, unless its record is there."""
    record = work / f"{phase}.json"
    if not record.exists():
        command = [sys.executable, "-m", "benchmarks.scale", *argv, "--phase", phase]
        done = run_process(command, log=work / f"{phase}.log", environment=thread_environment(1))
        if done.exit_code:
            sys.stdout.write((work / f"{phase}.log").read_text(encoding="utf-8"))
            raise SystemExit(done.exit_code)
    found: Record = json.loads(record.read_text(encoding="utf-8"))
    return found


def _write(found: dict[str, Record], options: argparse.Namespace) -> None:
    """Put the records of this size into the table, in place of earlier ones."""
    path = options.out / SCALE_FILE
    about = {"cells": options.cells, "genes": options.genes}
    rows: list[dict[str, Any]] = [
        about
        | {
            "phase": phase,
            "measure": measure,
            "value": round(value, 4),
            "goal": next(
                (goal for (at, name), goal in GOALS.items() if at == phase and measure.startswith(name)), None
            ),
            "machine": machine(),
            "date": today(),
        }
        for phase, record in found.items()
        for measure, value in record.items()
    ]
    table = pd.DataFrame(rows)
    if path.exists():
        old = pd.read_csv(path, dtype={"goal": str}, keep_default_na=False)
        same = (old["cells"] == options.cells) & (old["genes"] == options.genes) & old["phase"].isin(list(found))
        table = pd.concat([old[~same], table])
    options.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Run all phases, or one of them in this process."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--cells", type=int, default=50_000)
    parser.add_argument("--genes", type=int, default=5_000)
    parser.add_argument("--epochs", type=int, default=1, help="epochs of the fit")
    parser.add_argument("--data", type=Path, help="folder with pbmc3k.h5ad; without it, the embedded cells")
    parser.add_argument("--work", type=Path, required=True, help="folder for cells, shards and records")
    parser.add_argument("--out", type=Path, default=_HERE / "results", help="folder of the table")
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--phase", choices=PHASES, help="only this, here")
    options = parser.parse_args(words)
    work: Path = options.work / f"{options.cells}x{options.genes}"
    work.mkdir(parents=True, exist_ok=True)
    if options.phase is not None:
        record = globals()[options.phase](work, options)
        (work / f"{options.phase}.json").write_text(json.dumps(record), encoding="utf-8")
        return 0
    found: dict[str, Record] = {}
    for phase in PHASES:
        found[phase] = _run(phase, work, words)
        sys.stdout.write(f"{phase}: {found[phase]}\n")
        _write(found, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
