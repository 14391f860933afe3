"""Runs of the comparison: planned, carried out in processes of their own, scored, and read as values of records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.data import DATA_SETS, prepare, slug
from benchmarks.generators import GENERATORS
from benchmarks.records import commit
from benchmarks.worker import PEERS_PYTHON, answer_file, call, log_file

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.cost import Finished
    from benchmarks.data import DataSet
    from benchmarks.generators import Entry

RUN_FILE, CELLS_FILE, SCORES_FILE = "run.json", "cells.h5ad", "scores.json"
COST_GROUP, STATUS_METRIC, NOT_SCORED, BASELINE = "cost", "status", "not scored", "baseline"
Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What holds for all runs of a call."""

    work: Path
    """Folder of splits, cells, costs and scores."""

    data: Path | None = None
    """Folder of the data sets."""

    max_cells: int | None = None
    """Cells drawn from each data set; ``None`` takes all."""

    n_threads: int = 1
    """Threads of each process."""

    timeout: float = 3600.0
    """Seconds after which fitting and generating of a run is killed, or scoring when it has so many for each run."""

    seconds: float | None = None
    """CPU seconds of a fit, for generators that can be held to them."""

    n_cells: int | None = None
    """Cells to generate, with the labels of held-out cells over and over; ``None`` makes one for each of these."""

    metrics: tuple[str, ...] | None = None
    """Metrics to score; ``None`` takes those of the suite."""

    suite: str = "quick"
    """Suite of `scdiffuse.evaluate`."""

    overwrite: bool = False
    """Carry out and score again what is there."""


@dataclass(frozen=True, slots=True)
class Run:
    """One data set, one generator, one seed."""

    data_set: DataSet
    entry: Entry
    seed: int

    def folder(self, settings: Settings) -> Path:
        """Return where all of this run is kept."""
        return settings.work / slug(self.data_set.name, settings.max_cells) / self.entry.name / f"seed{self.seed}"

    def settings(self, settings: Settings) -> dict[str, Any]:
        """Return all that decides what the run gives, as the settings of its record."""
        return {
            "data_set": slug(self.data_set.name, settings.max_cells),
            "generator": self.entry.name,
            "seed": self.seed,
            "options": dict(self.entry.options),
            "seconds": settings.seconds if self.entry.takes_seconds else None,
            "threads": settings.n_threads,
            "suite": settings.suite if settings.metrics is None else "page",
        }

    def __str__(self) -> str:
        return f"{self.data_set.name} {self.entry.name} seed {self.seed}"


def add_arguments(parser: ArgumentParser, *, generators: Sequence[str], timeout: float) -> None:
    """Add which generators are run, and how long each may take.

    Parameters
    ----------
    parser
        Parser of a study.
    generators
        Names of those that are run by default; none for all.
    timeout
        Default of the seconds after which a process is killed.
    """
    named = [entry.name for entry in GENERATORS.values() if entry.baseline is None]
    words = "whose cells are made; all if none is named"
    parser.add_argument("--generators", nargs="+", choices=named, default=list(generators), help=words)
    parser.add_argument("--timeout", type=float, default=timeout, help="seconds after which a process is killed")
    words = "CPU seconds of a fit that does not stop by itself"
    parser.add_argument("--seconds", type=float, default=600.0, help=words)


def plan(sets: Sequence[str], generators: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    """List the runs of some data sets and generators, all of them where none is named; baselines need no run."""
    data_sets = [DATA_SETS[name] for name in sets] or [d for d in DATA_SETS.values() if d.by_default]
    entries = [GENERATORS[name] for name in generators] or list(GENERATORS.values())
    entries = [entry for entry in entries if entry.baseline is None]
    # Seeds outermost: a call that is cut short has every generator on every set at least once.
    return [Run(data_set, entry, seed) for seed in seeds for data_set in data_sets for entry in entries]


def carry_out(run: Run, settings: Settings) -> str:
    """Fit and generate one run unless the present commit has done it; return in a word what happened."""
    folder = run.folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    found = read_run(folder)
    wanted = run.settings(settings) | {"target": run.entry.target, "commit": commit(), "n_cells": settings.n_cells}
    if settings.overwrite or found is None or found["settings"] != wanted:
        found = _fit_and_generate(run, settings, wanted)
    elif found["status"] == "done":
        return "already done"
    if found["status"] != "done":
        return f"{found['status']}: {found['reason']}"
    return f"fitted in {found['cost']['fit']['cpu_seconds']:.0f} CPU s"


def read_run(folder: Path) -> dict[str, Any] | None:
    """Return what is known of a finished run, or ``None``."""
    path = folder / RUN_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _fit_and_generate(run: Run, settings: Settings, wanted: dict[str, Any]) -> dict[str, Any]:
    folder = run.folder(settings)
    for name in (RUN_FILE, CELLS_FILE, SCORES_FILE):
        (folder / name).unlink(missing_ok=True)
    split = prepare(run.data_set, folder=settings.data, work=settings.work, max_cells=settings.max_cells)
    found = generate(run.entry, split, settings, condition_keys=run.data_set.condition_keys, seed=run.seed, to=folder)
    if found["status"] != "missing":
        about = json.loads((split / "about.json").read_text(encoding="utf-8"))
        found = {"settings": wanted, "split": about} | found
        (folder / RUN_FILE).write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def generate(
    entry: Entry,
    parts: Path,
    settings: Settings,
    *,
    condition_keys: Sequence[str],
    seed: int,
    to: Path,
    peers: Path = PEERS_PYTHON,
) -> dict[str, Any]:
    """Fit a generator and draw cells, in a process of its own.

    Parameters
    ----------
    entry
        The generator.
    parts
        Folder of ``fit.h5ad`` and ``held_out.h5ad``.
    settings
        Threads, time and number of cells.
    condition_keys
        `obs` columns given to the generator.
    seed
        Seed of the fit.
    to
        Folder of the cells, the job and its log.
    peers
        Interpreter of the peers.

    Returns
    -------
    The status and its reason; the costs where it is done.
    """
    in_peers = entry.environment == "peers"
    if in_peers and not peers.exists():
        return {"status": "missing", "reason": "no environment of the peers; run `python -m benchmarks peers`"}
    options: dict[str, Any] = dict(entry.options)
    if entry.takes_seconds and settings.seconds is not None:
        options["seconds"] = settings.seconds
    job = {
        "target": entry.target,
        "options": options,
        "condition_keys": list(condition_keys),
        "seed": seed,
        "fit": str(parts / "fit.h5ad"),
        "held_out": str(parts / "held_out.h5ad"),
        "cells": str(to / CELLS_FILE),
        "n_cells": settings.n_cells,
    }
    function, python = "worker:generate", peers if in_peers else None
    finished = call(function, job, folder=to, n_threads=settings.n_threads, timeout=settings.timeout, python=python)
    answer = answer_file(function, to)
    found: dict[str, Any] = dict(_verdict(finished, log_file(function, to), answer))
    if found["status"] == "done":
        found["cost"] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def score(runs: Sequence[Run], settings: Settings) -> str:
    """Score what is not scored among runs of one data set and seed, in one process; return in words what happened."""
    waiting = [run for run in runs if _waits(run.folder(settings))]
    if not waiting:
        return "nothing to score"
    first = waiting[0]
    split = prepare(first.data_set, folder=settings.data, work=settings.work, max_cells=settings.max_cells)
    places = [run.folder(settings) for run in waiting]
    job = {
        "split": str(split),
        "runs": [{"cells": str(place / CELLS_FILE), "scores": str(place / SCORES_FILE)} for place in places],
        "by": first.data_set.condition_keys[0],
        "donor": first.data_set.donor_key,
        "suite": settings.suite,
        "metrics": None if settings.metrics is None else list(settings.metrics),
        # One seed for all generators: they are compared on the same draw of cells and folds.
        "seed": first.seed,
    }
    folder = settings.work / slug(first.data_set.name, settings.max_cells) / f"scores-seed{first.seed}"
    limit = settings.timeout * len(waiting)
    finished = call("worker:score", job, folder=folder, n_threads=settings.n_threads, timeout=limit)
    verdict = _verdict(finished, log_file("worker:score", folder), places[-1] / SCORES_FILE)
    if verdict["status"] != "done":
        return f"not all scored, {verdict['status']}: {verdict['reason']}"
    return f"{len(waiting)} runs scored in {finished.cost.seconds:.0f} s, {finished.cost.cpu_seconds:.0f} CPU s"


def _waits(folder: Path) -> bool:
    found = read_run(folder)
    return found is not None and found["status"] == "done" and not (folder / SCORES_FILE).exists()


def _verdict(finished: Finished, log: Path, proof: Path) -> dict[str, str]:
    if finished.timed_out:
        return {"status": "timeout", "reason": f"killed after {finished.cost.seconds:.0f} s"}
    if finished.exit_code == 0 and proof.exists():
        return {"status": "done", "reason": ""}
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return {"status": "failed", "reason": (lines or [f"exit code {finished.exit_code}"])[-1][:300]}


def values_of(run: Run, settings: Settings) -> Values | None:
    """Return the values of the record of a run: sizes, status, and a row for each cost and metric."""
    folder = run.folder(settings)
    found = read_run(folder)
    if found is None:
        return None
    about = _about(found)
    if found["status"] != "done":
        return about | {"status": f"{found['status']}: {found['reason']}", "metrics": []}
    rows: list[Values] = [
        {"group": COST_GROUP, "metric": name, "better": "lower", "value": value}
        for name, value in _costs(found["cost"]).items()
    ]
    if not (folder / SCORES_FILE).exists():
        return about | {"status": NOT_SCORED, "metrics": rows}
    known = ("group", "better", "value", "low", "high", "reference", "normalised")
    scores = json.loads((folder / SCORES_FILE).read_text(encoding="utf-8"))["metrics"]
    rows += [{"metric": metric, **{name: one.get(name) for name in known}} for metric, one in scores.items()]
    return about | {"status": "done", "metrics": rows}


def values_of_baselines(run: Run, settings: Settings) -> Iterator[tuple[str, Values]]:
    """Return the values of the baselines that were scored beside a run, by name.

    They are the same beside every run of its seed.
    """
    folder = run.folder(settings)
    found = read_run(folder)
    if found is None or not (folder / SCORES_FILE).exists():
        return
    scores = json.loads((folder / SCORES_FILE).read_text(encoding="utf-8"))["metrics"]
    for entry in GENERATORS.values():
        if entry.baseline is None:
            continue
        rows = []
        for metric, one in scores.items():
            value = one["baselines"].get(entry.baseline)
            if value is not None:
                known = {name: one[name] for name in ("group", "better", "reference")}
                rows.append({"metric": metric, **known, "value": value, "normalised": _normalised(metric, one, value)})
        yield entry.name, _about(found) | {"status": BASELINE, "metrics": rows}


def _normalised(metric: str, one: dict[str, Any], value: float) -> float | None:
    """Place a baseline on the scale of the run, where the metric has one."""
    from scdiffuse.metrics import get_metric

    if one["normalised"] is None:
        return None
    trivial = one["baselines"][one["trivial"]]
    return get_metric(metric).normalise(value, reference=one["reference"], trivial=trivial)


def _about(found: dict[str, Any]) -> Values:
    split = found["split"]
    return {"n_fit": split["fit"], "n_held_out": split["held_out"], "n_genes": split["genes"]}


def _costs(cost: dict[str, Any]) -> dict[str, float]:
    phases = {f"{phase}_{name}": value for phase in ("fit", "generate") for name, value in cost[phase].items()}
    return phases | {"generate_cells_per_second": cost["n_generated"] / max(cost["generate"]["seconds"], 1e-3)}
