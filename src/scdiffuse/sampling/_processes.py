"""Cells that several processes generate together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from scdiffuse._core.processes import Processes
from scdiffuse.cells import H5adWriter
from scdiffuse.diffusion import SAMPLED_AT_ONCE
from scdiffuse.model import FittedModel
from scdiffuse.sampling._generate import GenerationPlan, write

__all__ = ["write_together"]


def write_together(
    model: FittedModel,
    plan: GenerationPlan,
    path: Path,
    *,
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
    model, plan
        As in `scdiffuse.sampling._generate.write`.
    path
        The ``.h5ad`` to write.
    uns, overwrite, progress
        As there.
    processes
        The processes that take part; all make the same call.

    Returns
    -------
    The file with the cells of this process.
    """
    if processes.size == 1:
        return write(model, plan, path, uns=uns, overwrite=overwrite, progress=progress)
    blocks = processes.part.of(-(-plan.conditions_plan.n_cells // SAMPLED_AT_ONCE))
    mine = range(blocks.start * SAMPLED_AT_ONCE, min(blocks.stop * SAMPLED_AT_ONCE, plan.conditions_plan.n_cells))
    plan, progress = replace(plan, cells=mine), progress and processes.is_first
    if not processes.is_one_machine():
        shard = path.with_name(f"{path.stem}.rank{processes.part.rank}{path.suffix}")
        write(model, plan, shard, uns=uns, overwrite=overwrite, progress=progress)
        processes.wait()
        return shard
    if processes.is_first:
        others = [_beside(path, rank) for rank in range(1, processes.size)]

        def take_others(writer: H5adWriter) -> None:
            processes.wait()
            for shard in others:
                writer.take(shard)

        write(model, plan, path, uns=uns, overwrite=overwrite, progress=progress, at_end=take_others)
        processes.wait()
        return path
    own = _beside(path, processes.part.rank)
    try:
        write(model, plan, own, uns=uns, overwrite=True, progress=False)
        processes.wait()
        processes.wait()  # the first has taken the cells
    finally:
        own.unlink(missing_ok=True)
    return path


def _beside(path: Path, rank: int) -> Path:
    return path.with_name(f".{path.stem}.rank{rank}.partial{path.suffix}")
