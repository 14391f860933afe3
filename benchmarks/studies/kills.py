"""Fits killed at random moments and resumed: processes of one machine, and two machines.

``processes`` ends one process of two, or both, resumes the fit, and compares its weights with those of the fit that was
never interrupted. ``machines`` (as root, with ``ip`` and ``unshare`` at hand) joins two network namespaces with host
names of their own by a virtual cable, and ``torchrun --nnodes 2`` runs one process in each. A fit and its cells are
compared with those of one process alone; then one of the machines, or both, are killed. What this cannot show is the
speed of a real network, and folders that only one machine sees.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.layout import only
from benchmarks.records import rows_of
from benchmarks.studies.parallel import end, start
from benchmarks.study import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from benchmarks.records import Record
    from benchmarks.study import Context

name = "kills"
title = "Killed and resumed fits"
summary = "Whether fits that are killed end with the weights of fits that are not."
unit = ("part",)

Row = dict[str, Any]
PROCESSES, MACHINES = "processes", "machines"
_NAMES = ("scd1", "scd2")
_ADDRESSES = ("10.77.0.1", "10.77.0.2")
_HOSTS = Path("/etc/netns")
_N_CELLS = 2_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is killed, how often, and how long fits are."""
    parser.add_argument("--parts", nargs="+", choices=(PROCESSES, MACHINES), default=[PROCESSES], help="what is killed")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument(
        "--epochs", type=int, default=60, help="passes over the cells of a fit; state is saved every 20 s"
    )
    parser.set_defaults(seeds=[0])


def run(context: Context) -> Iterator[Record]:
    """Kill what is asked for."""
    options = context.options
    ways = {PROCESSES: measure_processes, MACHINES: measure_machines}
    for part in options.parts:
        if part == MACHINES and os.geteuid() != 0:
            msg = "Network namespaces take root, and this is another user; run it as root."
            raise SystemExit(msg)
        about = {"epochs": options.epochs, "seed": options.seeds[0]}
        call = partial(ways[part], options.kills, **about)
        yield from context.measure({"part": part, "kills": options.kills, **about}, call)


def measure_processes(n_kills: int, *, epochs: int, seed: int) -> list[Row]:
    """Kill fits of two processes at random moments and resume each; one row a kill."""
    import torch

    import scdiffuse.model  # noqa: F401 - forked processes have it then

    torch.set_num_threads(1)
    draw, rows = np.random.default_rng(seed), []
    with tempfile.TemporaryDirectory() as place:
        begin = time.monotonic()
        end(start(2, partial(_fit, Path(place) / "whole", epochs)))
        seconds, expected = time.monotonic() - begin, weights_of(Path(place) / "whole")
        for at in range(n_kills):
            folder, resumed_by = Path(place) / f"killed-{at}", 1 + (at // 2 + 1) % 2
            running = start(2, partial(_fit, folder, epochs))
            time.sleep(float(draw.uniform(0.2, 0.95)) * seconds)
            whole_job, rank = at % 2 == 1, int(draw.integers(2))
            for one in running if whole_job else running[rank : rank + 1]:
                os.kill(one, signal.SIGKILL)
            begin = time.monotonic()
            codes = end(running, may_fail=True)
            noticed = time.monotonic() - begin
            stage, step = _where(folder)
            end(start(resumed_by, partial(_fit, folder, epochs, resume=stage != "begin")))
            found = weights_of(folder)
            rows.append(
                {
                    "killed": "job" if whole_job else f"process {rank}",
                    "exit_codes": " ".join(map(str, codes)),
                    "seconds_to_notice": round(noticed, 2),
                    "saved_stage": stage,
                    "saved_step": step,
                    "resumed_by_processes": resumed_by,
                    "largest_difference": largest_difference(found, expected),
                    "identical": all(np.array_equal(found[key], expected[key]) for key in expected),
                }
            )
            say(f"{rows[-1]}")
    return rows


def _fit(folder: Path, epochs: int, *, resume: bool = False) -> None:
    """Fit bundled data in the processes of the environment."""
    from benchmarks.inside import joined
    from scdiffuse import CellGenerator, datasets

    with joined("cpu"):
        model = CellGenerator(datasets.pbmc68k(), conditions=["cell_type"])
        model.fit(folder, resume=resume, max_epochs=epochs, progress=False)


def _where(folder: Path) -> tuple[str, int]:
    """Read the stage and step of a saved state."""
    from safetensors import safe_open

    try:
        with safe_open(folder / "training.safetensors", "numpy") as file:
            fit = json.loads(file.metadata()["fit"])
    except FileNotFoundError:
        return ("finished" if (folder / "weights.safetensors").exists() else "begin"), 0
    return fit["stage"], int(fit["progress"]["step"])


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    """Read the weights of a model."""
    from safetensors.numpy import load_file

    return {name: value for name, value in load_file(folder / "weights.safetensors").items() if value.size}


def largest_difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """Find the largest difference between the weights of two models."""
    return max(float(np.abs(one[name] - other[name]).max()) for name in other)


@contextmanager
def two_machines() -> Iterator[None]:
    """Set the namespaces up, and take them away again."""
    hosts = "127.0.0.1 localhost\n" + "".join(f"{at} {name}\n" for at, name in zip(_ADDRESSES, _NAMES, strict=True))
    try:
        for name in _NAMES:
            _call("ip", "netns", "add", name)
            (_HOSTS / name).mkdir(parents=True)
            (_HOSTS / name / "hosts").write_text(hosts, encoding="utf-8")
        _call("ip", "link", "add", "cable1", "netns", _NAMES[0], "type", "veth", "peer", "cable2", "netns", _NAMES[1])
        for at, (name, address) in enumerate(zip(_NAMES, _ADDRESSES, strict=True), 1):
            _call("ip", "-n", name, "addr", "add", f"{address}/24", "dev", f"cable{at}")
            for link in ("lo", f"cable{at}"):
                _call("ip", "-n", name, "link", "set", link, "up")
        yield
    finally:
        for name in _NAMES:
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)
            (_HOSTS / name / "hosts").unlink(missing_ok=True)
            if (_HOSTS / name).exists():
                (_HOSTS / name).rmdir()


def _call(*words: str) -> None:
    subprocess.run(words, check=True)


def start_both(port: int, words: Sequence[str], log: Path) -> list[subprocess.Popen[bytes]]:
    """Start a command on both machines, each with a group of processes of its own."""
    running = []
    for name, address in zip(_NAMES, _ADDRESSES, strict=True):
        job = ["--nnodes=2", "--nproc-per-node=1", f"--local-addr={address}", f"--rdzv-id=job{port}"]
        job += ["--rdzv-backend=c10d", f"--rdzv-endpoint={_ADDRESSES[0]}:{port}", "-m", "scdiffuse", *words]
        inside = ["sh", "-c", 'hostname "$0" && exec "$@"', name, sys.executable, "-m", "torch.distributed.run", *job]
        with log.open("ab") as out:
            running.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", name, "unshare", "--uts", *inside],
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=os.environ | {"OMP_NUM_THREADS": "1"},
                )
            )
    return running


def end_both(running: Sequence[subprocess.Popen[bytes]], log: Path) -> None:
    """Wait for both, which have to succeed."""
    codes = [one.wait() for one in running]
    if any(codes):
        raise SystemExit(log.read_text(encoding="utf-8"))


def measure_machines(n_kills: int, *, epochs: int, seed: int) -> list[Row]:
    """Fit and generate on both machines and on one, then kill and resume."""
    import scdiffuse

    draw = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder, two_machines():
        place = Path(folder)
        cells, log = place / "cells.h5ad", place / "log"
        scdiffuse.datasets.pbmc68k().write_h5ad(cells)
        fit = ("fit", str(cells), "-c", "cell_type", "--max-epochs", str(epochs), "--no-progress")
        begin = time.monotonic()
        end_both(start_both(29_541, [*fit, "-o", str(place / "both")], log), log)
        seconds = time.monotonic() - begin
        _call(sys.executable, "-m", "scdiffuse", *fit, "-o", str(place / "one"))
        made = ("generate", str(place / "both"), "-n", str(_N_CELLS), "--no-progress")
        end_both(start_both(29_542, [*made, "-o", str(place / "both.h5ad")], log), log)
        _call(sys.executable, "-m", "scdiffuse", *made, "-o", str(place / "one.h5ad"))
        kills = [_kill_machines(at, fit, place, wait=float(draw.uniform(0.4, 1.0)) * seconds) for at in range(n_kills)]
        found = {
            "fit_differs_from_one_process_by": _difference(place / "both", place / "one"),
            "cells_are_those_of_one_process": _same_cells(place),
            "kills": kills,
        }
        return [found]


def _kill_machines(at: int, fit: Sequence[str], place: Path, *, wait: float) -> dict[str, Any]:
    """Kill one machine, or both, and go on with both."""
    folder, log, port = place / f"killed{at}", place / f"log{at}", 29_550 + 2 * at
    running = start_both(port, [*fit, "-o", str(folder)], log)
    time.sleep(wait)
    killed = running if at % 2 else running[at // 2 % 2 :][:1]
    for one in killed:
        os.killpg(one.pid, signal.SIGKILL)
    begin = time.monotonic()
    for one in running:
        one.wait()
    noticed = time.monotonic() - begin
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8")) if folder.exists() else {}
    words = [*fit, "-o", str(folder), *(["--resume"] if settings else [])]
    end_both(start_both(port + 1, words, log), log)
    difference = _difference(folder, place / "both")
    say(f"killed {len(killed)} machines after {wait:.1f} s: differs by {difference}")
    return {
        "machines": len(killed),
        "seconds": round(wait, 1),
        "seconds_to_notice": round(noticed, 1),
        "had_begun": bool(settings),
        "difference": difference,
    }


def _difference(one: Path, other: Path) -> float:
    return largest_difference(weights_of(one), weights_of(other))


def _same_cells(place: Path) -> bool:
    import anndata

    parts = [anndata.read_h5ad(place / f"both.rank{rank}.h5ad") for rank in (0, 1)]
    both, one = anndata.concat(parts), anndata.read_h5ad(place / "one.h5ad")
    return bool((both.X != one.X).nnz == 0 and (both.obs_names == one.obs_names).all())


def lines(records: Sequence[Record]) -> list[str]:
    """Say how many fits were killed, and how their weights differ."""
    found = rows_of(records)
    killed, machines = only(found, part=PROCESSES), only(found, part=MACHINES)
    return (_lines_of_processes(killed) if killed else []) + (_lines_of_machines(machines[0]) if machines else [])


def _lines_of_processes(found: list[Row]) -> list[str]:
    same, other = (only(found, resumed_by_processes=n) for n in (2, 1))
    n_jobs, exact = len(only(found, killed="job")), len(only(same, identical=True))
    most = max((one["largest_difference"] for one in other), default=0.0)
    differ = f"; the {len(other)} resumed by one differ by {most:.1e} at most" if other else ""
    return [
        "#### Several processes",
        f"{len(found)} fits of two processes were killed by signal 9 at random moments, {n_jobs} as a whole and the "
        f"others one process of the two, and resumed. Of {len(same)} resumed by two processes {exact} ended with "
        f"weights that are bit for bit those of the fit never killed{differ}. A process that lost "
        f"the other ended after {max(one['seconds_to_notice'] for one in found):.1f} s at most.",
    ]


def _lines_of_machines(found: Row) -> list[str]:
    kills = found["kills"]
    exact = len(only(kills, difference=0))
    cells = "the same as" if found["cells_are_those_of_one_process"] else "NOT THE SAME AS"
    return [
        "#### Several machines",
        "`torchrun --nnodes 2` in two network namespaces with host names of their own, one process each. The fit "
        f"differs from that of one process by {found['fit_differs_from_one_process_by']:.1e} at most, and the cells "
        f"that both generate, each into its file, are {cells} those of one process. {len(kills)} fits were killed by "
        f"signal 9 at random moments, one machine or both in turn; resumed by both, {exact} have bit for bit the "
        "weights of the fit never killed. The other machine noticed within "
        f"{max((one['seconds_to_notice'] for one in kills), default=0.0):.0f} s.",
    ]
