"""Several processes: how much faster, and whether a fit survives ``kill -9``: ``python -m benchmarks.processes``.

`speed` times the steps of both stages in one process of one thread and in two, at the default number of cells a step,
twice and four times as many, in turn, so that all meet the same machine; with ``--data FOLDER`` on other data sets
than the embedded one too. `kill` ends one process of two, or both, at random moments, resumes the fit, and compares
its weights with those of the fit that was never interrupted. Processes are forked, so that none of the time goes into
starting them.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.clock import clocked
from benchmarks.cost import machine, today
from benchmarks.data import DATA_SETS, data_folder, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from anndata import AnnData


SPEED_FILE, KILLS_FILE = "processes.csv", "processes_killed.csv"
_HERE = Path(__file__).resolve().parent
_STAGES = ("autoencoder", "diffusion")
_SETS = ("pbmc68k", "pbmc3k", "cell_lines_mixology")
_FACTORS = (1, 2, 4)
_N_STEPS = 60
_N_WARM = 10
_N_CELLS = 3_000
_GOAL = 1.7
_CHECKPOINT_SECONDS = 0.2


def measure_speed(name: str, repeats: int, *, data: Path | None) -> list[dict[str, object]]:
    """Time the steps of one process and of two on one data set; those of all repeats give the medians."""
    taken: dict[tuple[str, int, int], list[float]] = {}
    cells: dict[tuple[str, int], int] = {}
    many = _many_cells(name, data)
    with tempfile.TemporaryDirectory() as place:
        for repeat in range(repeats):
            for factor in _FACTORS:
                for n in (1, 2):
                    record = Path(place) / f"{repeat}-{factor}-{n}.json"
                    _end(_start(n, partial(_time_steps, record, factor, many)))
                    for stage, (n_cells, seconds) in json.loads(record.read_text()).items():
                        taken.setdefault((stage, factor, n), []).extend(seconds[_N_WARM:])
                        cells[stage, factor] = n_cells
                    sys.stdout.write(f"{name}, repeat {repeat}, {factor} x the cells a step, {n} processes: done\n")
    rate = {(stage, factor, n): cells[stage, factor] / np.median(held) for (stage, factor, n), held in taken.items()}
    return [
        {
            "data_set": name,
            "genes": many.n_vars,
            "stage": stage,
            "cells_a_step": cells[stage, factor],
            "processes": n,
            "milliseconds_a_step": round(1e3 * cells[stage, factor] / rate[stage, factor, n], 3),
            "cells_a_second": round(rate[stage, factor, n]),
            "times_one_process": round(rate[stage, factor, n] / rate[stage, factor, 1], 3),
            "machine": machine(),
            "date": today(),
        }
        for stage in _STAGES
        for factor in _FACTORS
        for n in (1, 2)
    ]


def measure_kills(n: int, *, epochs: int, seed: int) -> Iterator[dict[str, object]]:
    """Kill fits of two processes at random moments and resume each; one record a kill."""
    draw = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place:
        _end(_start(2, lambda: _fit(Path(place) / "whole", epochs)))
        expected = weights_of(Path(place) / "whole")
        curves = json.loads((Path(place) / "whole" / "config.json").read_text())["history"]
        n_steps = [int(curves[stage][-1][0]) for stage in _STAGES]
        for at in range(n):
            folder, resumed_by = Path(place) / f"killed-{at}", 1 + (at // 2 + 1) % 2
            running = _start(2, partial(_fit, folder, epochs))
            _wait_for(folder, int(draw.integers(sum(n_steps))), n_steps)
            time.sleep(float(draw.uniform(0, _CHECKPOINT_SECONDS)))
            whole_job, rank = at % 2 == 1, int(draw.integers(2))
            for one in running if whole_job else running[rank : rank + 1]:
                os.kill(one, signal.SIGKILL)
            begin = time.monotonic()
            codes = _end(running, may_fail=True)
            noticed = time.monotonic() - begin
            stage, step = _where(folder)
            _end(_start(resumed_by, partial(_fit, folder, epochs, resume=True)))
            found = weights_of(folder)
            yield {
                "killed": "job" if whole_job else f"process {rank}",
                "exit_codes": " ".join(map(str, codes)),
                "seconds_to_notice": round(noticed, 2),
                "saved_stage": stage,
                "saved_step": step,
                "resumed_by_processes": resumed_by,
                "largest_difference": largest_difference(found, expected),
                "identical": all(np.array_equal(found[key], expected[key]) for key in expected),
                "date": today(),
            }


def _wait_for(folder: Path, target: int, n_steps: Sequence[int]) -> None:
    """Wait until the saved state of a fit has come to a step, counted over both stages."""
    while True:
        stage, step = _where(folder)
        done = {"begin": -1, "autoencoder": step, "diffusion": n_steps[0] + step, "finished": sum(n_steps)}
        if done[stage] >= target:
            return
        time.sleep(0.02)


def section(results: Path) -> str:
    """Write the section of the results page; nothing before the first measurement."""
    parts = []
    if (results / SPEED_FILE).exists():
        table = pd.read_csv(results / SPEED_FILE)
        header = "| data set | genes | stage | cells a step | processes | ms a step | cells/s | times one process |"
        lines = [header, "|" + " --- |" * 8]
        lines += [
            f"| {row.data_set} | {row.genes} | {row.stage} | {row.cells_a_step} | {row.processes} "
            f"| {row.milliseconds_a_step:.1f} | {row.cells_a_second:,} | {row.times_one_process:.2f} |"
            for row in table.itertuples()
        ]
        parts.append(
            f"`python -m benchmarks.processes speed`, on {table['machine'][0]}, {table['date'][0]}: one "
            f"thread a process, medians over the steps of several runs in turn. Goal: {_GOAL} with two processes.\n\n"
            + "\n".join(lines)
        )
    if (results / KILLS_FILE).exists():
        table = pd.read_csv(results / KILLS_FILE)
        same, other = (table[table["resumed_by_processes"] == n] for n in (2, 1))
        n_jobs = int((table["killed"] == "job").sum())
        parts.append(
            f"`python -m benchmarks.processes kill`: {len(table)} fits of two processes were killed by signal 9 at "
            f"random moments, {n_jobs} as a whole and the others one process of the two, "
            f"and resumed. Of {len(same)} resumed by two processes {int(same['identical'].sum())} ended with weights "
            f"that are bit for bit those of the fit never killed; the {len(other)} resumed by one differ by "
            f"{other['largest_difference'].max():.1e} at most. A process that lost the other ended after "
            f"{table['seconds_to_notice'].max():.1f} s at most."
        )
    return "## Several processes\n\n" + "\n\n".join(parts) if parts else ""


def _start(n: int, work: Callable[[], None]) -> list[int]:
    """Fork processes of one thread that work together; returns their ids."""
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
            except Exception as error:  # noqa: BLE001 - a child has no other place to tell it
                sys.stdout.write(f"  {type(error).__name__}: {str(error)[:100]}\n")
            sys.stdout.flush()
            os._exit(code)
        started.append(child)
    return started


def _end(started: Sequence[int], *, may_fail: bool = False) -> list[int]:
    """Wait for processes and return their exit codes."""
    codes = [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in started]
    if any(codes) and not may_fail:
        msg = f"Processes ended with {codes}; expected 0."
        raise RuntimeError(msg)
    return codes


def _fit(folder: Path, epochs: int, *, resume: bool = False) -> None:
    """Fit with a saved state every moment."""
    import scdiffusion.train._loop as loop
    from scdiffusion import CellGenerator, datasets
    from scdiffusion._core.processes import joined

    loop._CHECKPOINT_SECONDS = _CHECKPOINT_SECONDS
    with joined("cpu"):
        model = CellGenerator(datasets.pbmc68k(), conditions=["cell_type"])
        model.fit(folder, resume=resume, max_epochs=epochs, progress=False)


def _many_cells(name: str, data: Path | None) -> AnnData:
    """Repeat the cells of a data set until there are enough for the larger steps."""
    from anndata import AnnData

    adata = load(DATA_SETS[name], data)
    rows = np.arange(max(adata.n_obs, _N_CELLS)) % adata.n_obs
    labels = adata.obs[["cell_type"]].iloc[rows].set_index(np.arange(rows.size).astype(str))
    return AnnData(adata.X[rows], obs=labels, var=adata.var[[]])


def _time_steps(record: Path, factor: int, many: AnnData) -> None:
    """Fit for some steps with a clock around each."""
    from scdiffusion import CellGenerator
    from scdiffusion._core.processes import Processes, joined
    from scdiffusion.model import ModelConfig

    tree = ModelConfig().to_dict()
    for stage in _STAGES:
        part = tree[f"{stage}_training"]
        part |= {"batch_size": part["batch_size"] * factor, "max_steps": _N_STEPS, "n_validations": 1}
        part |= {"largest_share": 1.0}
    with joined("cpu"), clocked() as taken:
        CellGenerator(many, conditions=["cell_type"], config=ModelConfig.from_dict(tree)).fit(progress=False)
        if Processes.present().is_first:
            record.write_text(json.dumps(taken))


def _where(folder: Path) -> tuple[str, int]:
    """Tell the stage and step of a saved state."""
    from safetensors import safe_open

    try:
        with safe_open(folder / "training.safetensors", "numpy") as file:
            fit = json.loads(file.metadata()["fit"])
    except FileNotFoundError:
        return ("finished" if (folder / "weights.safetensors").exists() else "begin"), 0
    return fit["stage"], int(fit["facts"]["step"])


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    """Read the weights of a model."""
    from safetensors.numpy import load_file

    return {name: value for name, value in load_file(folder / "weights.safetensors").items() if value.size}


def largest_difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """Find the largest difference between the weights of two models."""
    return max(float(np.abs(one[name] - other[name]).max()) for name in other)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is asked for and write it beside the other results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.processes", description=__doc__)
    parser.add_argument("what", choices=["speed", "kill"])
    parser.add_argument("--repeats", type=int, default=5, help="runs of each kind, for speed")
    parser.add_argument("--data", type=Path, help="folder of further data sets, for speed")
    parser.add_argument("--sets", nargs="+", choices=_SETS, help="for speed; the numbers of others are kept")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=6, help="passes over the cells of a killed fit")
    parser.add_argument("--seed", type=int, default=0, help="of the moments to kill at")
    parser.add_argument("--out", type=Path, default=_HERE / "results")
    options = parser.parse_args(argv)
    import torch

    import scdiffusion.model  # noqa: F401 - forked processes have it then

    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.what == "speed":
        data = data_folder(options.data)
        names = options.sets or (_SETS[:1] if data is None else _SETS)
        path = options.out / SPEED_FILE
        found = pd.DataFrame([one for name in names for one in measure_speed(name, options.repeats, data=data)])
        if path.exists():
            held = pd.read_csv(path)
            found = pd.concat([held[~held["data_set"].isin(names)], found])
        found.sort_values("data_set", key=lambda name: name.map(_SETS.index), kind="stable").to_csv(path, index=False)
    else:
        records = []
        for record in measure_kills(options.kills, epochs=options.epochs, seed=options.seed):
            sys.stdout.write(f"{record}\n")
            records.append(record)
            pd.DataFrame(records).to_csv(options.out / KILLS_FILE, index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
