"""Plan the runs and carry them out, each in its own processes, skipping those already done."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cost import Finished, machine, run_process, thread_environment, today
from benchmarks.data import DATA_SETS, prepare, slug
from benchmarks.protocol import GENERATORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.data import DataSet
    from benchmarks.protocol import Entry

HERE = Path(__file__).resolve().parent
PEERS_PYTHON = HERE / ".venv-peers" / "bin" / "python"
RUN_FILE, CELLS_FILE, COST_FILE, SCORES_FILE = "run.json", "cells.h5ad", "cost.json", "scores.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What holds for all runs of a call."""

    work: Path
    """Folder of splits, cells, costs and scores; not committed."""

    data: Path | None = None
    """Folder of the data sets."""

    max_cells: int | None = None
    """Cells drawn from each data set; ``None`` takes all."""

    n_threads: int = 1
    """Threads of each process."""

    timeout: float = 3600.0
    """Seconds after which fitting and generating of a run is killed, or scoring when it has so many for each run."""

    seconds: float | None = None
    """Processor seconds of a fit, for generators that can be held to them."""

    suite: str = "quick"
    """Suite of `scdiffusion.evaluate`, or `headline` for the measures that the page shows."""

    rescore: bool = False
    """Score again what is already scored."""

    retry: bool = False
    """Run again what failed."""


@dataclass(frozen=True, slots=True)
class Run:
    """One data set, one generator, one seed."""

    data_set: DataSet
    entry: Entry
    seed: int

    def folder(self, settings: Settings) -> Path:
        """Return where all of this run is kept."""
        return settings.work / slug(self.data_set.name, settings.max_cells) / self.entry.name / f"seed{self.seed}"

    def __str__(self) -> str:
        return f"{self.data_set.name} {self.entry.name} seed {self.seed}"


def plan(only: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    """List the runs that ``only`` leaves: names of data sets, of generators, or both; baselines need no run.

    Raises
    ------
    SystemExit
        If a name is neither.
    """
    unknown = [name for name in only if name not in DATA_SETS and name not in GENERATORS]
    if unknown:
        known = ", ".join([*DATA_SETS, *GENERATORS])
        msg = f"`--only` {unknown[0]!r} is neither a data set nor a generator; expected one of {known}."
        raise SystemExit(msg)
    data_sets = [DATA_SETS[name] for name in only if name in DATA_SETS] or [
        d for d in DATA_SETS.values() if d.by_default
    ]
    entries = [GENERATORS[name] for name in only if name in GENERATORS] or list(GENERATORS.values())
    entries = [entry for entry in entries if entry.baseline is None]
    # Seeds outermost: a call that is cut short has every generator on every set at least once.
    return [Run(data_set, entry, seed) for seed in seeds for data_set in data_sets for entry in entries]


def carry_out(run: Run, settings: Settings) -> str:
    """Fit and generate one run unless that is done; return in a word what happened."""
    folder = run.folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    record = read_record(folder)
    wanted = _wanted(run, settings)
    if record is not None and record["settings"] == wanted and (record["status"] == "done" or not settings.retry):
        return "already done" if record["status"] == "done" else f"{record['status']}: {record['reason']}"
    record = _fit_and_generate(run, settings, wanted)
    if record["status"] != "done":
        return f"{record['status']}: {record['reason']}"
    return f"fitted in {record['cost']['fit']['cpu_seconds']:.0f} CPU s"


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return what is known of a finished run, or ``None``."""
    path = folder / RUN_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _wanted(run: Run, settings: Settings) -> dict[str, Any]:
    seconds = settings.seconds if run.entry.takes_seconds else None
    options = dict(run.entry.options) | ({} if seconds is None else {"seconds": seconds})
    return {"target": run.entry.target, "options": options, "n_threads": settings.n_threads}


def _fit_and_generate(run: Run, settings: Settings, wanted: dict[str, Any]) -> dict[str, Any]:
    folder = run.folder(settings)
    for name in (RUN_FILE, CELLS_FILE, COST_FILE, SCORES_FILE):
        (folder / name).unlink(missing_ok=True)
    split = prepare(run.data_set, folder=settings.data, work=settings.work, max_cells=settings.max_cells)
    record: dict[str, Any] = {
        "data_set": slug(run.data_set.name, settings.max_cells),
        "generator": run.entry.name,
        "seed": run.seed,
        "settings": wanted,
        "split": json.loads((split / "about.json").read_text(encoding="utf-8")),
        "machine": machine(),
        "date": today(),
    }
    if run.entry.environment == "peers" and not PEERS_PYTHON.exists():
        return record | {"status": "missing", "reason": "no peers' environment; run `python -m benchmarks.setup_peers`"}
    job = {
        "target": run.entry.target,
        "options": wanted["options"],
        "condition_keys": list(run.data_set.condition_keys),
        "seed": run.seed,
        "fit": str(split / "fit.h5ad"),
        "held_out": str(split / "held_out.h5ad"),
        "cells": str(folder / CELLS_FILE),
        "cost": str(folder / COST_FILE),
    }
    interpreter = str(PEERS_PYTHON) if run.entry.environment == "peers" else sys.executable
    limit = settings.timeout
    finished = call("worker", job, interpreter=interpreter, folder=folder, settings=settings, timeout=limit)
    record |= _verdict(finished, folder / "worker.log", folder / COST_FILE) | {"process": finished.cost.to_json()}
    if record["status"] == "done":
        record["cost"] = json.loads((folder / COST_FILE).read_text(encoding="utf-8"))
    (folder / RUN_FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")
    return record


def score(runs: Sequence[Run], settings: Settings) -> str:
    """Score what is not scored among runs of one data set and seed, in one process; return in words what happened."""
    waiting = [run for run in runs if _waits(run.folder(settings), settings)]
    if not waiting:
        return "nothing to score"
    first = waiting[0]
    split = prepare(first.data_set, folder=settings.data, work=settings.work, max_cells=settings.max_cells)
    for run in waiting:
        (run.folder(settings) / SCORES_FILE).unlink(missing_ok=True)
    job = {
        "split": str(split),
        "runs": [
            {"cells": str(run.folder(settings) / CELLS_FILE), "scores": str(run.folder(settings) / SCORES_FILE)}
            for run in waiting
        ],
        "by": first.data_set.condition_keys[0],
        "donor": first.data_set.donor_key,
        "suite": settings.suite,
        # One seed for all generators: they are compared on the same draw of cells and folds.
        "seed": first.seed,
    }
    folder = settings.work / slug(first.data_set.name, settings.max_cells) / f"scores-seed{first.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    limit = settings.timeout * len(waiting)
    finished = call("score", job, interpreter=sys.executable, folder=folder, settings=settings, timeout=limit)
    verdict = _verdict(finished, folder / "score.log", waiting[-1].folder(settings) / SCORES_FILE)
    cost = f"{finished.cost.seconds:.0f} s, {finished.cost.cpu_seconds:.0f} CPU s"
    if verdict["status"] != "done":
        return f"not all scored, {verdict['status']}: {verdict['reason']}"
    return f"{len(waiting)} runs scored in {cost}"


def _waits(folder: Path, settings: Settings) -> bool:
    record = read_record(folder)
    done = record is not None and record["status"] == "done"
    return done and (settings.rescore or not (folder / SCORES_FILE).exists())


def call(
    module: str, job: dict[str, Any], *, interpreter: str, folder: Path, settings: Settings, timeout: float
) -> Finished:
    """Give a job to a module of the benchmarks, in a process of its own."""
    job_file = folder / f"{module}-job.json"
    job_file.write_text(json.dumps(job, indent=1), encoding="utf-8")
    environment = thread_environment(settings.n_threads) | {"PYTHONPATH": _python_path(interpreter)}
    argv = [interpreter, "-m", f"benchmarks.{module}", str(job_file)]
    return run_process(argv, log=folder / f"{module}.log", environment=environment, timeout=timeout)


def _python_path(interpreter: str) -> str:
    """Show the benchmarks to all, the package to its own interpreter only."""
    root = HERE.parent
    return str(root) if interpreter == str(PEERS_PYTHON) else f"{root}:{root / 'src'}"


def _verdict(finished: Finished, log: Path, proof: Path) -> dict[str, str]:
    if finished.timed_out:
        return {"status": "timeout", "reason": f"killed after {finished.cost.seconds:.0f} s"}
    if finished.exit_code == 0 and proof.exists():
        return {"status": "done", "reason": ""}
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return {"status": "failed", "reason": (lines or [f"exit code {finished.exit_code}"])[-1][:300]}
