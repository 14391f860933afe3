"""Cells that several processes generate together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from scdiffuse._core.processes import Part, Processes
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
    The file with the cells of this process; of more processes than there are batches of cells, the last write none.
    """
    if processes.size == 1:
        return write(model, plan, path, uns=uns, overwrite=overwrite, progress=progress)
    n_cells, rank = plan.conditions_plan.n_cells, processes.part.rank
    n_blocks = -(-n_cells // SAMPLED_AT_ONCE)
    n_writers = min(processes.size, n_blocks)  # the first processes write, so that the first of them has cells
    if rank < n_writers:
        blocks = Part(rank, n_writers).of(n_blocks)
        mine = range(blocks.start * SAMPLED_AT_ONCE, min(blocks.stop * SAMPLED_AT_ONCE, n_cells))
        plan, progress = replace(plan, cells=mine), progress and processes.is_first
    if not processes.is_one_machine():
        shard = path.with_name(f"{path.stem}.rank{rank}{path.suffix}")
        if rank < n_writers:
            write(model, plan, shard, uns=uns, overwrite=overwrite, progress=progress)
        processes.barrier()
        return shard
    if processes.is_first:
        others = [_beside(path, other) for other in range(1, n_writers)]

        def take_others(writer: H5adWriter) -> None:
            processes.barrier()
            for shard in others:
                writer.take(shard)

        write(model, plan, path, uns=uns, overwrite=overwrite, progress=progress, at_end=take_others)
        processes.barrier()
        return path
    own = _beside(path, rank)
    try:
        if rank < n_writers:
            write(model, plan, own, uns=uns, overwrite=True, progress=False)
        processes.barrier()
        processes.barrier()  # the first has taken the cells
    finally:
        own.unlink(missing_ok=True)
    return path


def _beside(path: Path, rank: int) -> Path:
    return path.with_name(f".{path.stem}.rank{rank}.partial{path.suffix}")
