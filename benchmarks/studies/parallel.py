"""Several processes: steps that two share, and many small fits at once.

Steps of both stages are timed in one process of one thread and in two, at the default number of cells a step, twice and
four times as many, in turn, so that all meet the same machine. Processes are forked, so that none of the time goes into
starting them. Small fits of the command line run alone, and several from the same moment with the threads that they
choose themselves: where processes spin while they wait for each other, several at once take many times longer than one
after the other.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cost import by_stage, clocked
from benchmarks.data import DATA_SETS, load
from benchmarks.layout import grid, only
from benchmarks.records import rows_of
from benchmarks.study import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from anndata import AnnData

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "parallel"
title = "Several processes, many small fits"
summary = "How much two processes gain a step, and what several fits at once cost each other."
unit = ("part", "data_set")

Row = dict[str, Any]
STEPS_PART, JOBS_PART = "steps", "jobs"
STAGES = ("autoencoder", "diffusion")
SETS = ("pbmc68k", "pbmc3k", "cell_lines_mixology")
CELLS_OF_JOB = 300
_FACTORS = (1, 2, 4)
_N_STEPS = 60
_N_WARM = 10
_N_CELLS = 3_000
_GOAL = 1.7
_COMMAND = (sys.executable, "-m", "scdiffuse")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to measure."""
    parser.add_argument("--parts", nargs="+", choices=(STEPS_PART, JOBS_PART), default=[STEPS_PART, JOBS_PART])
    parser.add_argument("--sets", nargs="+", choices=SETS, help="of the steps; without --data the bundled one")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each kind")
    parser.add_argument("--jobs", type=int, default=4, help="fits started at once")


def run(context: Context) -> Iterator[Record]:
    """Time steps on each data set, then small fits."""
    options = context.options
    sets = options.sets or (SETS[:1] if context.data is None else SETS)
    for data_set in sets if STEPS_PART in options.parts else ():
        about = {"part": STEPS_PART, "data_set": data_set, "repeats": options.repeats}
        yield from context.measure(about, partial(measure_steps, data_set, options.repeats, data=context.data))
    if JOBS_PART in options.parts:
        about = {"part": JOBS_PART, "jobs": options.jobs, "repeats": options.repeats}
        yield from context.measure(about, partial(measure_jobs, options.jobs, repeats=options.repeats))


def measure_steps(data_set: str, repeats: int, *, data: Path | None) -> list[Row]:
    """Time the steps of one process and of two on one data set; those of all repeats give the medians."""
    import torch

    import scdiffuse.model  # noqa: F401 - forked processes have it then

    torch.set_num_threads(1)
    taken: dict[tuple[str, int, int], list[float]] = {}
    cells: dict[tuple[str, int], int] = {}
    many = _many_cells(data_set, data)
    with tempfile.TemporaryDirectory() as place:
        for repeat, factor, n in product(range(repeats), _FACTORS, (1, 2)):
            record = Path(place) / f"{repeat}-{factor}-{n}.json"
            end(start(n, partial(_time_steps, record, factor, many)))
            for stage, (n_cells, seconds) in json.loads(record.read_text()).items():
                taken.setdefault((stage, factor, n), []).extend(seconds[_N_WARM:])
                cells[stage, factor] = n_cells
            say(f"{data_set}, repeat {repeat}, {factor} x the cells a step, {n} processes: done")
    rate = {(stage, factor, n): cells[stage, factor] / np.median(held) for (stage, factor, n), held in taken.items()}
    return [
        {
            "genes": many.n_vars,
            "stage": stage,
            "cells_a_step": cells[stage, factor],
            "processes": n,
            "milliseconds_a_step": 1e3 * cells[stage, factor] / rate[stage, factor, n],
            "cells_a_second": round(rate[stage, factor, n]),
            "times_one_process": rate[stage, factor, n] / rate[stage, factor, 1],
        }
        for stage, factor, n in product(STAGES, _FACTORS, (1, 2))
    ]


def start(n: int, work: Callable[[], None]) -> list[int]:
    """Fork processes that fit together; returns their ids."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sys.stdout.flush()
    started = []
    for rank in range(n):
        child = os.fork()
        if child == 0:
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            os.environ |= {"WORLD_SIZE": str(n), "RANK": str(rank), "LOCAL_RANK": str(rank)}
            code = 1
            try:
                work()
                code = 0
            except Exception as error:  # noqa: BLE001 - a child has no other place to say it
                sys.stdout.write(f"  {type(error).__name__}: {str(error)[:100]}\n")
            sys.stdout.flush()
            os._exit(code)
        started.append(child)
    return started


def end(started: Sequence[int], *, may_fail: bool = False) -> list[int]:
    """Wait for processes and return their exit codes."""
    codes = [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in started]
    if any(codes) and not may_fail:
        msg = f"Processes ended with {codes}; expected 0."
        raise RuntimeError(msg)
    return codes


def _many_cells(name: str, data: Path | None) -> AnnData:
    """Repeat the cells of a data set until there are enough for the larger steps."""
    from anndata import AnnData

    adata = load(DATA_SETS[name], data)
    rows = np.arange(max(adata.n_obs, _N_CELLS)) % adata.n_obs
    labels = adata.obs[["cell_type"]].iloc[rows].set_index(np.arange(rows.size).astype(str))
    return AnnData(adata.X[rows], obs=labels, var=adata.var[[]])


def _time_steps(record: Path, factor: int, many: AnnData) -> None:
    """Fit for some steps with a clock around each."""
    from benchmarks.inside import Processes, joined
    from scdiffuse import CellGenerator
    from scdiffuse.model import ModelConfig

    tree = ModelConfig().to_dict()
    sizes = {}
    for stage in STAGES:
        part = tree[f"{stage}_training"]
        part |= {"batch_size": part["batch_size"] * factor, "max_steps": _N_STEPS, "n_validations": 1}
        part |= {"largest_batch_fraction": 1.0}
        sizes[stage] = part["batch_size"]
    with joined("cpu"), clocked() as taken:
        CellGenerator(many, conditions=["cell_type"], config=ModelConfig.from_dict(tree)).fit(progress=False)
        if Processes.present().is_first:
            seconds = by_stage(taken)
            record.write_text(json.dumps({stage: [size, seconds[stage]] for stage, size in sizes.items()}))


def measure_jobs(n_jobs: int, *, repeats: int) -> list[Row]:
    """Time start-up, one fit alone, and several at once; medians of several."""
    import scdiffuse

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        cells = scdiffuse.datasets.pbmc68k()
        some = np.sort(np.random.default_rng(0).permutation(cells.n_obs)[:CELLS_OF_JOB])
        cells[some].copy().write_h5ad(place / "cells.h5ad")
        timed: dict[str, list[tuple[str, ...]]] = {
            "import scdiffuse": [(sys.executable, "-c", "import scdiffuse")],
            "scdiffuse --help": [(*_COMMAND, "--help")],
            "one fit": [_fit(place, 0)],
            f"{n_jobs} fits at once": [_fit(place, job) for job in range(n_jobs)],
        }
        return [
            {"what": what, "jobs": len(commands), "seconds": median(_seconds(commands, place) for _ in range(repeats))}
            for what, commands in timed.items()
        ]


def _fit(place: Path, job: int) -> tuple[str, ...]:
    words = ("fit", str(place / "cells.h5ad"), "-c", "cell_type", "-o", str(place / f"model{job}"))
    return (*_COMMAND, *words, "--overwrite", "--no-progress", "--seed", str(job))


def _seconds(commands: Sequence[Sequence[str]], place: Path) -> float:
    """Start commands together and wait for all."""
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    begin = time.perf_counter()
    with (place / "log").open("wb") as log:
        running = [subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=free) for command in commands]
        codes = [one.wait() for one in running]
    if any(codes):
        raise SystemExit((place / "log").read_text(encoding="utf-8"))
    return time.perf_counter() - begin


def lines(records: Sequence[Record]) -> list[str]:
    """Write times of steps, and of small fits."""
    steps, jobs = (only(rows_of(records), part=part) for part in (STEPS_PART, JOBS_PART))
    return (_lines_of_steps(steps) if steps else []) + (_lines_of_jobs(jobs) if jobs else [])


def _lines_of_steps(found: list[Row]) -> list[str]:
    rows = []
    for one in sorted(found, key=lambda one: SETS.index(one["data_set"])):
        sizes = [one[key] for key in ("data_set", "genes", "stage", "cells_a_step", "processes")]
        rate = [f"{one['milliseconds_a_step']:.1f}", f"{one['cells_a_second']:,}", f"{one['times_one_process']:.2f}"]
        rows.append([*sizes, *rate])
    header = ("data set", "genes", "stage", "cells a step", "processes", "ms a step", "cells/s", "times one process")
    about = f"One thread a process, medians over the steps of several runs in turn. Goal: {_GOAL} with two processes."
    return ["#### Steps of several processes", about, grid(header, rows)]


def _lines_of_jobs(found: list[Row]) -> list[str]:
    alone, together = found[-2], found[-1]
    fraction = together["seconds"] / (together["jobs"] * alone["seconds"])
    about = (
        f"Fits of the command line to {CELLS_OF_JOB} cells, with the threads that they choose themselves. Together "
        f"they take {fraction:.2f} of the time that they take one after the other; above 1 they would be in "
        "each other's way."
    )
    rows = [(one["what"], one["seconds"], one["seconds"] / one["jobs"]) for one in found]
    return ["#### Many small fits", about, grid(("what", "s", "s a job"), rows)]
