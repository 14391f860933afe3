"""Cells that several processes generate together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from scdiffusion._core.processes import Processes
from scdiffusion._core.progress import Progress
from scdiffusion.cells import H5adWriter
from scdiffusion.model._generate import Order, make_chunks, write
from scdiffusion.model._parts import Parts

__all__ = ["write_together"]

_BLOCK = 512  # cells; the solver computes as many at once, or pads


def write_together(
    parts: Parts,
    order: Order,
    path: Path,
    *,
    var: pd.DataFrame,
    uns: dict[str, Any],
    overwrite: bool,
    progress: bool,
    processes: Processes,
) -> Path:
    """Write generated cells to a file, each process a range of them.

    A cell depends on the seed and its index, so the cells are those of one process. On one machine all of them end up
    in one file: the first process writes to it and then appends what the others have written beside it. Over several
    machines, which may not see the same disk, each process leaves a file of its own, ``cells.rank0.h5ad`` and so on.

    Parameters
    ----------
    parts, order
        As in `scdiffusion.model._generate.write`.
    path
        The ``.h5ad`` to write.
    var, uns, overwrite, progress
        As there.
    processes
        Who takes part; all make the same call.

    Returns
    -------
    The file with the cells of this process.
    """
    if processes.size == 1:
        return write(parts, order, path, var=var, uns=uns, overwrite=overwrite, progress=progress)
    blocks = processes.part.of(-(-order.plan.n // _BLOCK))
    mine = range(blocks.start * _BLOCK, min(blocks.stop * _BLOCK, order.plan.n))
    order, progress = replace(order, cells=mine), progress and processes.is_first
    if not processes.is_one_machine():
        shard = path.with_name(f"{path.stem}.rank{processes.part.rank}{path.suffix}")
        write(parts, order, shard, var=var, uns=uns, overwrite=overwrite, progress=progress)
        processes.wait()
        return shard
    if processes.is_first:
        others = [_beside(path, rank) for rank in range(1, processes.size)]
        with (
            Progress("generate", len(mine), enabled=progress) as bar,
            H5adWriter(path, var, overwrite=overwrite) as writer,
        ):
            for counts, obs in make_chunks(parts, order):
                writer.append(counts, obs)
                bar.advance(len(obs))
            processes.wait()
            for shard in others:
                writer.take(shard)
            writer.close(uns)
        processes.wait()
        return path
    own = _beside(path, processes.part.rank)
    try:
        write(parts, order, own, var=var, uns=uns, overwrite=True, progress=False)
        processes.wait()
        processes.wait()  # the first has taken the cells
    finally:
        own.unlink(missing_ok=True)
    return path


def _beside(path: Path, rank: int) -> Path:
    return path.with_name(f".{path.stem}.rank{rank}.partial{path.suffix}")
