"""Cells, chunk by chunk, into memory or a file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.progress import Progress
from scdiffuse._core.random import cell_keys, cell_normals, noise_ids_of
from scdiffuse.calibration import GeneFactorTable
from scdiffuse.cells import ConditionPlan, Conditions, ConditionTable, H5adWriter, build_anndata
from scdiffuse.diffusion import SAMPLED_AT_ONCE, Denoiser, Solver, condition_tensors, sample
from scdiffuse.model import Networks
from scdiffuse.sampling._coverage import with_unseen
from scdiffuse.sampling._targets import Targets

__all__ = ["GenerationPlan", "gather", "make_chunks", "write"]


@dataclass(frozen=True, kw_only=True)
class GenerationPlan:
    """What to generate and how."""

    plan: ConditionPlan
    conditions: Conditions
    denoiser: Denoiser
    solver: Solver
    n_steps: int
    seed: int
    sizes: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]
    chunk: int
    factor_table: GeneFactorTable | None = None
    """What combinations never seen shall differ in from what is decoded."""
    targets: Targets | None = None
    """Where classifiers guide the cells."""
    guided_conditions: NDArray[np.bool_]
    """Which conditions steer the cells, shape ``(C,)``."""
    cells: range | None = None
    """Which of the planned cells to make; all if not given."""

    @property
    def wanted(self) -> range:
        """Indices of the cells to make, without gaps."""
        return range(self.plan.n) if self.cells is None else self.cells

    def noise_ids(self, table: ConditionTable, cells: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return whose noise cells have: each index has other noise under other conditions, and for other guides.

        Who asks for one label after the other, each time with the same seed, would hold cells that share their noise
        otherwise, which any judge sees in them together.

        Parameters
        ----------
        table
            Conditions of the cells.
        cells
            Their indices, shape ``(B,)``.
        """
        asked = np.where(self.guided_conditions, table.numbers, np.nan)
        if self.targets is not None:
            asked = np.concatenate([asked, self.targets.guided_conditions(cells)], axis=1)
        return noise_ids_of(cells, asked)


def make_chunks(networks: Networks, order: GenerationPlan) -> Iterator[tuple[sp.csr_matrix, pd.DataFrame]]:
    """Generate cells in chunks; a cell depends on the seed, its index and its conditions alone.

    Parameters
    ----------
    networks
        The fitted model.
    order
        What to generate.

    Yields
    ------
    Counts, shape ``(B, G)``, ``int32``, and their conditions as columns of `obs`.
    """
    with _workers() as (pool, n_workers):
        share = -(-min(order.chunk, len(order.wanted)) // n_workers)
        step = -(-share // SAMPLED_AT_ONCE) * SAMPLED_AT_ONCE if n_workers > 1 else order.chunk
        waiting: deque[Future[tuple[sp.csr_matrix, pd.DataFrame]]] = deque()
        for begin in order.wanted[::step]:
            cells = np.arange(begin, min(begin + step, order.wanted.stop), dtype=np.int64)
            waiting.append(pool.submit(_make, networks, order, cells))
            if len(waiting) > n_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _make(networks: Networks, order: GenerationPlan, cells: NDArray[np.int64]) -> tuple[sp.csr_matrix, pd.DataFrame]:
    """Generate some cells, from noise to counts."""
    table = order.plan.table(cells)
    noise_ids = order.noise_ids(table, cells)
    codes, own = networks.to_latent(_solve(networks, order, table=table, cells=cells, noise_ids=noise_ids))
    keys = cell_keys(order.seed, "counts", noise_ids)
    gene_factors = order.factor_table.of(table) if order.factor_table else None
    counts = networks.autoencoder.decode(codes, order.sizes(cells, own), keys, gene_factors=gene_factors)
    obs = order.conditions.decode(table)
    return counts, with_unseen(obs, table, conditions=order.conditions, training=networks.trained_on)


def _solve(
    networks: Networks,
    order: GenerationPlan,
    *,
    table: ConditionTable,
    cells: NDArray[np.int64],
    noise_ids: NDArray[np.uint64],
) -> Tensor:
    """Carry the noise of some cells to latents, shape ``(B, D + 1)``."""
    noise = torch.from_numpy(cell_normals(order.seed, "latent", noise_ids, networks.latent_mean.numel()))
    device = networks.latent_mean.device
    conditions = condition_tensors(table)
    if order.targets is not None:
        conditions = order.targets.beside(conditions, cells)
    return sample(order.denoiser, noise.to(device), conditions.to(device), solver=order.solver, n_steps=order.n_steps)


def gather(
    networks: Networks, order: GenerationPlan, *, var: pd.DataFrame, uns: dict[str, Any], progress: bool
) -> ad.AnnData:
    """Collect generated cells in memory.

    Parameters
    ----------
    networks, order
        As in `make_chunks`.
    var, uns
        The genes, and what to keep beside the cells.
    progress
        Show a bar.

    Returns
    -------
    All cells.
    """
    counts, tables = [], []
    with Progress("generate", order.plan.n, enabled=progress) as bar:
        for made, obs in make_chunks(networks, order):
            counts.append(made)
            tables.append(obs)
            bar.advance(len(obs))
    return build_anndata(sp.vstack(counts, format="csr"), pd.concat(tables, ignore_index=True), var, uns)


def write(
    networks: Networks,
    order: GenerationPlan,
    path: str | Path,
    *,
    var: pd.DataFrame,
    uns: dict[str, Any],
    overwrite: bool,
    progress: bool,
    at_end: Callable[[H5adWriter], None] | None = None,
) -> Path:
    """Write generated cells to a file as they are made.

    Parameters
    ----------
    networks, order
        As in `make_chunks`.
    path
        The ``.h5ad`` to write.
    var, uns
        The genes, and what to keep beside the cells.
    overwrite
        Replace the file that is there.
    progress
        Show a bar.
    at_end
        Adds what else belongs into the file, once the cells are in it.

    Returns
    -------
    The path.
    """
    with (
        Progress("generate", len(order.wanted), enabled=progress) as bar,
        H5adWriter(path, var, overwrite=overwrite, first=order.wanted.start) as writer,
    ):
        for counts, obs in make_chunks(networks, order):
            writer.append(counts, obs)
            bar.advance(len(obs))
        if at_end is not None:
            at_end(writer)
        writer.close(uns)
    return Path(path)


@contextmanager
def _workers() -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """Use each of torch's threads for cells of its own: matrices this small gain little from sharing one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(threads)
    try:
        yield pool, threads
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
