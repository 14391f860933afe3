"""Cells a second to integer counts.

Each measurement is a process of its own, held to its threads. Medians are over repeats. The peers draw in one call, of
so many cells that its fixed cost does not count. The original's recipe is fitted only as long as it takes to have
networks of its size, since the time of drawing does not depend on how good these are; scVI trains until it stops.
"""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import runs
from benchmarks.cost import Meter
from benchmarks.data import DATA_SETS
from benchmarks.generators import GENERATORS
from benchmarks.layout import distinct, grid, only
from benchmarks.models import open_model
from benchmarks.records import rows_of
from benchmarks.study import in_process, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from benchmarks.records import Record
    from benchmarks.study import Context
    from scdiffuse import CellGenerator

name = "generation_speed"
title = "Cells a second"
summary = "Cells a second to integer counts, by part of the work, threads and peer."
unit = ("data_set",)

Row = dict[str, Any]
CELLS = {"pbmc68k": 16_384, "pbmc3k": 8_192}
GOALS = {"pbmc68k": 10_000, "pbmc3k": 2_000}
"""Cells a second on two threads."""
PEERS = {"original": 1000.0, "scvi-posterior": 1.0}
"""Goals: how many times as many cells a second ours makes."""
PEER_CELLS = {"original": 512, "scvi-posterior": 8_192}
"""Cells of a call; the original's recipe takes a minute for as many as it has here."""
_PARTS_OF = 4096
_FEW = 2
_WHOLE = "generate"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add data sets, peers and sizes."""
    parser.add_argument("--sets", nargs="+", default=list(CELLS), choices=list(CELLS))
    parser.add_argument("--n-threads", type=int, nargs="+", default=[1, 2], help="threads of generation, in turn")
    parser.add_argument("--n-cells", type=int, help="cells of a call, for a trial")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--seconds", type=float, default=30.0, help="CPU seconds of the fit of the original's recipe")


def run(context: Context) -> Iterator[Record]:
    """Measure each data set."""
    names = ("n_threads", "n_cells", "repeats", "peers", "seconds")
    for data_set in context.options.sets:
        about = {"data_set": data_set} | {key: getattr(context.options, key) for key in names}
        yield from context.measure(about, partial(measure_set, context, data_set))


def measure_set(context: Context, data_set: str) -> list[Row]:
    """Measure ours with each number of threads, and the peers."""
    model, rows = open_model(data_set, context), []
    for threads in context.options.n_threads:
        found = in_process(
            context, "generation_speed:measure_here", threads=threads, data_set=data_set, parts=threads == 1
        )
        rows += [one | {"threads": threads} for one in found]
    rows = [{"genes": len(model.genes), **one} for one in rows]
    return rows + [found for peer in context.options.peers if (found := measure_peer(peer, data_set, context))]


def measure_here(context: Context, *, data_set: str, parts: bool) -> list[Row]:
    """Measure ours in this process, which its environment holds to its threads."""
    model, repeats = open_model(data_set, context), context.options.repeats
    found = measure(model, cells=context.options.n_cells or CELLS[data_set], repeats=repeats)
    return found + (measure_parts(model, repeats=repeats) if parts else [])


def measure(model: CellGenerator, *, cells: int, repeats: int) -> list[Row]:
    """Time whole calls of `generate`: by default, with fewer solver steps, and by a distilled sampler."""
    # Hardly trained: the time of a distilled sampler does not depend on how good it is.
    distilled = model.distill(solver_steps=_FEW, n_paths=512, max_epochs=1, progress=False)
    calls: list[tuple[str, CellGenerator, dict[str, Any]]] = [
        (_WHOLE, model, {}),
        (f"{_WHOLE}, {2 * _FEW} steps", model, {"solver_steps": 2 * _FEW}),
        (f"{_WHOLE}, distilled to {_FEW} steps", distilled, {}),
    ]
    found = []
    for what, sampler, options in calls:
        sampler.generate(1024, seed=0, progress=False, **options)
        costs = []
        for seed in range(repeats):
            with Meter() as meter:
                sampler.generate(cells, seed=seed, progress=False, **options)
            costs.append(meter.cost)
        seconds, cpu = (median(getattr(one, name) for one in costs) for name in ("seconds", "cpu_seconds"))
        found.append({"what": what, "cells": cells, "per_second": cells / seconds, "per_cpu_second": cells / cpu})
    return found


def measure_parts(model: CellGenerator, *, repeats: int) -> list[Row]:
    """Time each part of a batch by itself, and its fraction of their sum."""
    from benchmarks.inside import time_parts

    seconds: dict[str, list[float]] = {}
    for seed in range(repeats + 1):
        for what, spent in time_parts(model, _PARTS_OF, seed):
            seconds.setdefault(what, []).append(spent)
    medians = {what: median(spent[1:]) for what, spent in seconds.items()}  # the first run warms up
    total = sum(medians.values())
    return [
        {"what": what, "cells": _PARTS_OF, "per_cpu_second": _PARTS_OF / spent, "fraction": spent / total}
        for what, spent in medians.items()
    ]


def measure_peer(peer: str, data_set: str, context: Context) -> Row | None:
    """Fit a peer for some CPU seconds and time the cells that it draws; nothing where it cannot run."""
    options, work = context.options, context.work / "peers"
    settings = runs.Settings(
        work=work,
        data=context.data,
        seconds=options.seconds,
        n_cells=options.n_cells or PEER_CELLS[peer],
        timeout=7200.0,
        overwrite=options.overwrite,
    )
    run = runs.Run(DATA_SETS[data_set], GENERATORS[peer], 0)
    say(f"{run}: {runs.carry_out(run, settings)}")
    done = runs.read_run(run.folder(settings))
    if done is None or done["status"] != "done":
        return None
    cost = done["cost"]
    n, spent = cost["n_generated"], cost["generate"]
    return {
        "what": peer,
        "cells": n,
        "per_second": n / spent["seconds"],
        "per_cpu_second": n / spent["cpu_seconds"],
        "threads": 1,
    }


def lines(records: Sequence[Record]) -> list[str]:
    """Write all rates, and those with a goal."""
    found = rows_of(records)
    header = ("data set", "genes", "what", "threads", "cells", "cells a second", "cells a CPU second", "fraction")
    keys = ("data_set", "genes", "what", "threads", "cells", "per_second", "per_cpu_second", "fraction")
    rows = [[one.get(key) for key in keys] for one in found]
    said = []
    for data_set in distinct(found, "data_set"):
        ours = {one["threads"]: one for one in only(found, data_set=data_set, what=_WHOLE)}
        if 2 in ours:
            rate = ours[2]["per_second"]
            said.append(f"- {data_set}: {rate:,.0f} cells a second on two threads; goal {GOALS[data_set]:,}.")
        for peer, goal in PEERS.items():
            theirs = only(found, data_set=data_set, what=peer)
            if theirs and 1 in ours:
                ratio = ours[1]["per_cpu_second"] / theirs[0]["per_cpu_second"]
                said.append(f"- {data_set}: {ratio:,.1f} times {peer}, by CPU seconds; goal {goal:,.0f}.")
    about = (
        "Medians. Wall-clock rates suffer from other work on the machine, rates a CPU second hardly do. Fractions are "
        "of the parts, one after the other on one thread, writing included."
    )
    return [about, grid(header, rows), "\n".join(said)]
