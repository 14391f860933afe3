"""Generated cells, batch by batch, into memory or a file."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from scdiffuse._core.compiled import COMPILES
from scdiffuse._core.progress import Progress
from scdiffuse._core.random import cell_normals, noise_ids_of
from scdiffuse.calibration import GeneFactorTable
from scdiffuse.cells import ConditionPlan, ConditionTable, H5adWriter, build_anndata
from scdiffuse.diffusion import SAMPLED_AT_ONCE, Denoiser, Solver, condition_tensors, sample
from scdiffuse.model import FittedModel, decode
from scdiffuse.sampling._bound_guidance import BoundGuidance
from scdiffuse.sampling._checks import FarCells
from scdiffuse.sampling._coverage import with_unseen
from scdiffuse.sampling._targets import Targets
from scdiffuse.sampling._verdicts import Verdicts

__all__ = ["GenerationPlan", "gather", "make_batches", "write"]


class GeneratedCells(NamedTuple):
    """A batch of generated cells."""

    counts: sp.csr_matrix
    """Shape ``(B, G)``, ``int32``."""
    obs: pd.DataFrame
    """Conditions and guided labels as columns."""
    latents: NDArray[np.float32]
    """What the counts were drawn from, without the library size, shape ``(B, D)``."""


@dataclass(frozen=True, kw_only=True)
class GenerationPlan:
    """What to generate and how."""

    conditions_plan: ConditionPlan
    denoiser: Denoiser
    solver: Solver
    solver_steps: int
    seed: int
    library_sizes: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]
    """From the indices of cells and the library sizes that the model made to those that the cells get."""
    batch_size: int
    factor_table: GeneFactorTable | None = None
    """Gene factors of combinations never or hardly seen."""
    verdicts: Verdicts
    """How far to trust the cells."""
    guidance: BoundGuidance
    """What guides the cells."""
    targets: Targets | None = None
    """Where classifiers guide the cells."""
    guided_conditions: NDArray[np.bool_]
    """Which conditions guide the cells, shape ``(C,)``."""
    call: bytes = b""
    """What tells the cells of this call from those of others with the same conditions: the model, seed and settings."""
    cells: range | None = None
    """Which of the planned cells to make; all if not given."""

    @property
    def indices(self) -> range:
        """Indices of the cells to make, without gaps."""
        return range(self.conditions_plan.n_cells) if self.cells is None else self.cells

    def names(self, cells: NDArray[np.int64]) -> pd.Index:
        """Name cells by their index, and by a digest of the call and of the conditions that are asked for.

        The first names of a longer call are those of a shorter one, and other calls give other names.

        Parameters
        ----------
        cells
            Their indices, shape ``(B,)``.
        """
        of_cell = self.conditions_plan.request_of(cells)
        rows, which = np.unique(of_cell, return_inverse=True)
        asked = self.conditions_plan.requests.take(rows)
        digests = [
            hashlib.blake2b(self.call + codes.tobytes() + values.tobytes(), digest_size=4).hexdigest()
            for codes, values in zip(asked.codes, asked.values, strict=True)
        ]
        named = [f"generated-{digests[row]}-{cell}" for row, cell in zip(which.ravel(), cells, strict=True)]
        return pd.Index(named, dtype=object)

    def noise_ids(self, table: ConditionTable, cells: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Name the noise of cells: each index has other noise under other conditions, and for other guides.

        Without that, calls with the same seed for one label after the other would make cells of the same noise, which a
        classifier two-sample test detects in the cells together.

        Parameters
        ----------
        table
            Conditions of the cells.
        cells
            Their indices, shape ``(B,)``.
        """
        asked = np.where(self.guided_conditions, table.numbers, np.nan)
        if self.targets is not None:
            asked = np.concatenate([asked, self.targets.guided(cells)], axis=1)
        return noise_ids_of(cells, asked)


def make_batches(model: FittedModel, plan: GenerationPlan) -> Iterator[GeneratedCells]:
    """Generate cells in batches; a cell depends on the seed, its index and its conditions alone.

    Parameters
    ----------
    model
        The fitted model.
    plan
        What to generate.

    Yields
    ------
    Counts, conditions and latents.

    Warns
    -----
    ScdiffuseWarning
        At the end, where guidance has driven cells further than any training cell lies.
    """
    if plan.guidance.guidance.is_plain:
        yield from _in_order(model, plan)
        return
    far = FarCells()
    for batch in _in_order(model, plan):
        far.count(batch.latents)
        yield batch
    far.warn()


def _in_order(model: FittedModel, plan: GenerationPlan) -> Iterator[GeneratedCells]:
    """Generate cells in batches, some at the same time."""
    with _workers() as (pool, n_workers):
        share = -(-min(plan.batch_size, len(plan.indices)) // n_workers)
        step = -(-share // SAMPLED_AT_ONCE) * SAMPLED_AT_ONCE if n_workers > 1 else plan.batch_size
        waiting: deque[Future[GeneratedCells]] = deque()
        for begin in plan.indices[::step]:
            cells = np.arange(begin, min(begin + step, plan.indices.stop), dtype=np.int64)
            waiting.append(pool.submit(_make, model, plan, cells))
            if len(waiting) > n_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _make(model: FittedModel, plan: GenerationPlan, cells: NDArray[np.int64]) -> GeneratedCells:
    """Generate some cells, from noise to counts."""
    networks, table = model.networks, plan.conditions_plan.table(cells)
    noise_ids = plan.noise_ids(table, cells)
    noise = torch.from_numpy(cell_normals(plan.seed, "latent", noise_ids, len(networks.latent_mean)))
    known = model.conditions.within(table)
    conditions, device = condition_tensors(known), networks.latent_mean.device
    if plan.targets is not None:
        conditions = plan.targets.beside(conditions, cells)
    latents = sample(
        plan.denoiser,
        noise.to(device),
        conditions.to(device),
        solver=plan.solver,
        solver_steps=plan.solver_steps,
    )
    counts = decode(
        networks,
        latents,
        seed=plan.seed,
        stream="counts",
        noise_ids=noise_ids,
        library_sizes=lambda own: plan.library_sizes(cells, own),
        gene_factors=plan.factor_table.of(known) if plan.factor_table else None,
    )
    obs = pd.concat([model.conditions.decode(table), plan.guidance.labels(plan.targets, cells)], axis=1)
    obs = obs.set_axis(plan.names(cells))
    obs = plan.verdicts.mark(with_unseen(obs, table, conditions=model.conditions, training=model.trained_on), table)
    return GeneratedCells(counts, obs, latents[:, :-1].cpu().numpy().astype(np.float32))


def gather(model: FittedModel, plan: GenerationPlan, *, uns: dict[str, Any], progress: bool) -> ad.AnnData:
    """Collect generated cells in memory.

    Parameters
    ----------
    model, plan
        As in `make_batches`.
    uns
        What to keep beside the cells.
    progress
        Show a bar.

    Returns
    -------
    All cells.
    """
    batches: list[GeneratedCells] = []
    with Progress("generate", plan.conditions_plan.n_cells, enabled=progress, waiting=COMPILES) as bar:
        for batch in make_batches(model, plan):
            batches.append(batch)
            bar.advance(len(batch.obs))
    counts, tables, latents = zip(*batches, strict=True)
    stacked = sp.vstack(counts, format="csr")
    return build_anndata(stacked, pd.concat(tables), model.metadata.var, uns, latents=np.concatenate(latents))


def write(
    model: FittedModel,
    plan: GenerationPlan,
    path: str | Path,
    *,
    uns: dict[str, Any],
    overwrite: bool,
    progress: bool,
    at_end: Callable[[H5adWriter], None] | None = None,
) -> Path:
    """Write generated cells to a file as they are made.

    Parameters
    ----------
    model, plan
        As in `make_batches`.
    path
        The ``.h5ad`` to write.
    uns
        What to keep beside the cells.
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
        Progress("generate", len(plan.indices), enabled=progress, waiting=COMPILES) as bar,
        H5adWriter(path, model.metadata.var, overwrite=overwrite) as writer,
    ):
        for counts, obs, latents in make_batches(model, plan):
            writer.append(counts, obs, latents=latents)
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
