"""Many small fits: ``python -m benchmarks.small_jobs``, on 300 of the embedded cells.

One fit of the command line alone, then several started at the same moment with the threads that they choose themselves.
Where processes spin while they wait for each other, several at once take many times longer than one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.control.tables import grid
from benchmarks.cost import machine, today

if TYPE_CHECKING:
    from collections.abc import Sequence

JOBS_FILE = "small_jobs.json"
CELLS = 300
_HERE = Path(__file__).resolve().parent
_COMMAND = (sys.executable, "-m", "scdiffusion")


def measure(n_jobs: int, *, repeats: int) -> list[dict[str, Any]]:
    """Time start-up, one fit alone, and several at once; medians of several."""
    import scdiffusion

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        cells = scdiffusion.datasets.pbmc68k()
        cells[np.sort(np.random.default_rng(0).permutation(cells.n_obs)[:CELLS])].copy().write_h5ad(
            place / "cells.h5ad"
        )
        told = {"machine": machine(), "date": today()}
        rows: list[tuple[str, list[tuple[str, ...]]]] = [
            ("import scdiffusion", [(sys.executable, "-c", "import scdiffusion")])
        ]
        rows += [("scdiffusion --help", [(*_COMMAND, "--help")])]
        rows += [("one fit", [_fit(place, 0)])]
        rows += [(f"{n_jobs} fits at once", [_fit(place, job) for job in range(n_jobs)])]
        found = []
        for what, commands in rows:
            spans = [_seconds(commands, place) for _ in range(repeats)]
            found.append({"what": what, "jobs": len(commands), "seconds": median(spans), **told})
            sys.stdout.write(f"{what}: {median(spans):.2f} s\n")
            sys.stdout.flush()
    return found


def section(results: Path) -> str:
    """Write the section of the results page; nothing before the first measurement."""
    path = results / JOBS_FILE
    if not path.exists():
        return ""
    records = json.loads(path.read_text(encoding="utf-8"))
    rows = [(one["what"], one["seconds"], one["seconds"] / one["jobs"]) for one in records]
    alone, together = records[-2], records[-1]
    share = together["seconds"] / (together["jobs"] * alone["seconds"])
    about = (
        f"`python -m benchmarks.small_jobs`, on {alone['machine']}, {alone['date']}: fits of the command line to "
        f"{CELLS} cells, with the threads that they choose themselves. Together they take {share:.2f} of the time that "
        "they take one after the other; above 1 they would be in each other's way."
    )
    return "\n\n".join(["## Many small jobs", about, grid(("what", "s", "s a job"), rows)])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small_jobs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=4, help="fits started at once")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=_HERE / "results")
    options = parser.parse_args(argv)
    records = measure(options.jobs, repeats=options.repeats)
    (options.out / JOBS_FILE).write_text(json.dumps(records, indent=1), encoding="utf-8")
    return 0


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


if __name__ == "__main__":
    sys.exit(main())
