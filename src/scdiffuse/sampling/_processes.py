"""Cells that several processes generate together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from scdiffuse._core.processes import Processes
from scdiffuse.cells import H5adWriter
from scdiffuse.diffusion import SAMPLED_AT_ONCE
from scdiffuse.model import Networks
from scdiffuse.sampling._generate import GenerationPlan, write

__all__ = ["write_together"]


def write_together(
    networks: Networks,
    order: GenerationPlan,
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
    networks, order
        As in `scdiffuse.sampling._generate.write`.
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
        return write(networks, order, path, var=var, uns=uns, overwrite=overwrite, progress=progress)
    blocks = processes.part.of(-(-order.plan.n // SAMPLED_AT_ONCE))
    mine = range(blocks.start * SAMPLED_AT_ONCE, min(blocks.stop * SAMPLED_AT_ONCE, order.plan.n))
    order, progress = replace(order, cells=mine), progress and processes.is_first
    if not processes.is_one_machine():
        shard = path.with_name(f"{path.stem}.rank{processes.part.rank}{path.suffix}")
        write(networks, order, shard, var=var, uns=uns, overwrite=overwrite, progress=progress)
        processes.wait()
        return shard
    if processes.is_first:
        others = [_beside(path, rank) for rank in range(1, processes.size)]

        def take_others(writer: H5adWriter) -> None:
            processes.wait()
            for shard in others:
                writer.take(shard)

        write(networks, order, path, var=var, uns=uns, overwrite=overwrite, progress=progress, at_end=take_others)
        processes.wait()
        return path
    own = _beside(path, processes.part.rank)
    try:
        write(networks, order, own, var=var, uns=uns, overwrite=True, progress=False)
        processes.wait()
        processes.wait()  # the first has taken the cells
    finally:
        own.unlink(missing_ok=True)
    return path


def _beside(path: Path, rank: int) -> Path:
    return path.with_name(f".{path.stem}.rank{rank}.partial{path.suffix}")
