"""Cells a second to integer counts: ``python -m benchmarks.generate_speed --data FOLDER --work FOLDER``.

Each measurement is a process of its own, held to its threads. Medians are over repeats. The peers are fitted only as
long as it takes to have networks of their size, since the time of drawing does not depend on how good these are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks import runs
from benchmarks.control.tables import grid
from benchmarks.cost import Meter, machine, thread_environment, today
from benchmarks.data import DATA_SETS, data_folder
from benchmarks.models import open_model
from benchmarks.protocol import GENERATORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scdiffusion import CellGenerator

SPEED_FILE = "generate_speed.csv"
CELLS = {"pbmc68k": 16_384, "pbmc3k": 8_192}
GOALS = {"pbmc68k": 10_000, "pbmc3k": 2_000}
"""Cells a second on two threads."""
PEERS = {"original": 1000.0, "scvi-posterior": 1.0}
"""How many times as many cells a second ours shall make."""
_BLOCK = 128
_PARTS_OF = 4096
_FEW = 2
_HERE = Path(__file__).resolve().parent
_WHOLE = "generate"
Record = dict[str, Any]


def measure(model: CellGenerator, *, cells: int, repeats: int) -> list[Record]:
    """Time whole calls of `generate`: by default, with fewer steps, and by a student."""
    # Hardly taught: the time of a student does not depend on how good it is.
    model.distill(n_steps=_FEW, n_paths=512, max_epochs=1, progress=False)
    ways: list[tuple[str, dict[str, Any]]] = [
        (_WHOLE, {}),
        (f"{_WHOLE}, {2 * _FEW} steps", {"steps": 2 * _FEW}),
        (f"{_WHOLE}, student of {_FEW} steps", {"solver": "student"}),
    ]
    found = []
    for what, options in ways:
        model.generate(1024, seed=0, progress=False, **options)
        costs = []
        for seed in range(repeats):
            with Meter() as meter:
                model.generate(cells, seed=seed, progress=False, **options)
            costs.append(meter.cost)
        seconds, cpu = (median(getattr(one, name) for one in costs) for name in ("seconds", "cpu_seconds"))
        found.append({"what": what, "cells": cells, "per_second": cells / seconds, "per_cpu_second": cells / cpu})
    return found


def measure_parts(model: CellGenerator, *, repeats: int) -> list[Record]:
    """Time each part of a chunk by itself, and its share of their sum."""
    seconds: dict[str, list[float]] = {}
    for seed in range(repeats + 1):
        for what, spent in _parts(model, seed):
            seconds.setdefault(what, []).append(spent)
    medians = {what: median(spent[1:]) for what, spent in seconds.items()}  # the first run warms up
    total = sum(medians.values())
    return [
        {"what": what, "cells": _PARTS_OF, "per_cpu_second": _PARTS_OF / spent, "share": spent / total}
        for what, spent in medians.items()
    ]


def _parts(model: CellGenerator, seed: int) -> Iterator[tuple[str, float]]:
    """Walk from noise to a file, and tell the processor seconds of each part."""
    import numpy as np
    import torch
    from scipy import sparse

    from scdiffusion._core.random import cell_keys, cell_normals
    from scdiffusion.cells import H5adWriter, build_anndata, plan_conditions
    from scdiffusion.diffusion import condition_tensors, sample, solver_named

    parts, settings, cells = model._fitted("time"), model.config.diffusion, np.arange(_PARTS_OF)
    plan = plan_conditions(model.conditions, parts.trained_on, n=_PARTS_OF, where=None, seed=seed)
    noise, spent = _timed(lambda: torch.from_numpy(cell_normals(seed, "latent", cells, len(parts.latent_mean))))
    yield "noise", spent
    table, solver = plan.table(cells), solver_named(settings.solver)
    latents, spent = _timed(
        lambda: sample(parts.denoiser, noise, condition_tensors(table), solver=solver, n_steps=settings.n_steps)
    )
    yield f"solver, {settings.n_steps} steps", spent
    codes, sizes = parts.to_latent(latents)
    keys, blocks, spent_on = cell_keys(seed, "counts", cells), [], {"shares of genes": 0.0, "counts": 0.0}
    for rows in (slice(begin, begin + _BLOCK) for begin in range(0, _PARTS_OF, _BLOCK)):
        shares, spent = _timed(partial(parts.autoencoder.shares, codes[rows]))
        spent_on["shares of genes"] += spent
        made, spent = _timed(partial(parts.autoencoder.likelihood.sample, shares, sizes[rows], keys[rows]))
        spent_on["counts"] += spent
        blocks.append(made)
    yield from spent_on.items()
    obs = model.conditions.decode(table)
    counts, spent = _timed(lambda: sparse.vstack(blocks, format="csr"))
    _, more = _timed(lambda: build_anndata(counts, obs, model._known.var, {}))
    yield "assembling", spent + more
    with tempfile.TemporaryDirectory() as folder, H5adWriter(Path(folder) / "c.h5ad", model._known.var) as writer:
        _, spent = _timed(lambda: writer.append(counts, obs))
    yield "writing to a file", spent


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def measure_peer(name: str, data_set: str, *, work: Path, data: Path | None, seconds: float) -> Record | None:
    """Fit a peer for some processor seconds and time the cells that it draws; nothing where it cannot run."""
    entry = GENERATORS[name]
    settings = runs.Settings(work=work / "peers", data=data, seconds=seconds, timeout=7200.0)
    run = runs.Run(DATA_SETS[data_set], entry, 0)
    sys.stdout.write(f"{run}: {runs.carry_out(run, settings)}\n")
    path = run.folder(settings) / runs.COST_FILE
    if not path.exists():
        return None
    cost = json.loads(path.read_text(encoding="utf-8"))
    n, spent = cost["n_generated"], cost["generate"]
    return {
        "what": name,
        "cells": n,
        "per_second": n / spent["seconds"],
        "per_cpu_second": n / spent["cpu_seconds"],
        "threads": 1,
    }


def section(results: Path) -> str:
    """Write the section of the results page; nothing before the first measurement."""
    path = results / SPEED_FILE
    if not path.exists():
        return ""
    table = pd.read_csv(path)
    about = (
        f"`python -m benchmarks.generate_speed`, on {table['machine'].iloc[0]}, {table['date'].iloc[0]}. Medians. "
        "Wall-clock rates suffer from other work on the machine, rates a processor second hardly do. Shares are of the "
        "parts, one after the other on one thread, writing included."
    )
    header = ("data set", "genes", "what", "threads", "cells", "cells a second", "cells a processor second", "share")
    names = ("data_set", "genes", "what", "threads", "cells", "per_second", "per_cpu_second", "share")
    rows = [[one[name] for name in names] for one in table.astype(object).to_dict("records")]
    lines = []
    for data_set, of_set in table.groupby("data_set", sort=False):
        ours = of_set[of_set["what"] == _WHOLE].set_index("threads")
        if 2 in ours.index:
            rate = float(ours["per_second"].loc[2])
            lines.append(f"- {data_set}: {rate:,.0f} cells a second on two threads; goal {GOALS[str(data_set)]:,}.")
        for peer, goal in PEERS.items():
            found = of_set[of_set["what"] == peer]
            if len(found) and 1 in ours.index:
                ratio = float(ours["per_cpu_second"].loc[1]) / float(found["per_cpu_second"].iloc[0])
                lines.append(f"- {data_set}: {ratio:,.1f} times {peer}, by processor seconds; goal {goal:,.0f}.")
    return "\n\n".join(["## Cells a second", about, grid(header, rows), "\n".join(lines)])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the data sets asked for, keeping the rows of others."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate_speed", description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=_HERE / "work" / "main_job", help="folder of fitted models")
    parser.add_argument("--sets", nargs="+", default=list(CELLS), choices=list(CELLS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--n", type=int, help="cells of a call, for a trial")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--seconds", type=float, default=30.0, help="processor seconds of the fit of a peer")
    parser.add_argument("--out", type=Path, default=_HERE / "results")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    options.data, options.work = data_folder(options.data), options.work.resolve()
    if options.worker:
        sys.stdout.write(json.dumps(_work(options)))
        return 0
    path = options.out / SPEED_FILE
    for name in options.sets:
        rows = _measure_set(name, options)
        kept = pd.read_csv(path) if path.exists() else pd.DataFrame({"data_set": []})
        new = pd.DataFrame(rows).assign(data_set=name, machine=machine(), date=today())
        both = pd.concat([kept[kept["data_set"] != name], new], ignore_index=True)
        both.round(5).to_csv(path, index=False)
    return 0


def _measure_set(name: str, options: argparse.Namespace) -> list[Record]:
    rows: list[Record] = []
    model = open_model(name, work=options.work, data=options.data)
    for threads in options.threads:
        argv = [sys.executable, "-m", "benchmarks.generate_speed", "--worker", name, "--work", str(options.work)]
        argv += ["--threads", str(threads), "--repeats", str(options.repeats)]
        argv += ["--n", str(options.n or CELLS[name])]
        environment = {**os.environ, **thread_environment(threads)}
        said = subprocess.run(argv, check=True, capture_output=True, text=True, env=environment).stdout
        rows += [one | {"threads": threads} for one in json.loads(said.splitlines()[-1])]
    genes = len(model.genes)
    rows = [{"genes": genes, **one} for one in rows]
    for peer in options.peers:
        found = measure_peer(peer, name, work=options.work, data=options.data, seconds=options.seconds)
        rows += [found] if found else []
    return rows


def _work(options: argparse.Namespace) -> list[Record]:
    """Measure in this process, which its environment holds to its threads."""
    model = open_model(options.worker, work=options.work, data=options.data)
    found = measure(model, cells=options.n, repeats=options.repeats)
    return found + (measure_parts(model, repeats=options.repeats) if options.threads == [1] else [])


if __name__ == "__main__":
    sys.exit(main())
