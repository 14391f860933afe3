"""Cells, chunk by chunk, into memory or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffusion._core.progress import Progress
from scdiffusion._core.random import cell_generators, cell_normals
from scdiffusion.cells import ConditionPlan, Conditions, H5adWriter, build_anndata
from scdiffusion.diffusion import Denoiser, Solver, condition_tensors, sample
from scdiffusion.model._parts import Parts

__all__ = ["Order", "gather", "make_chunks", "write"]

_CELLS_A_PIECE = 512


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to generate and how."""

    plan: ConditionPlan
    conditions: Conditions
    denoiser: Denoiser
    solver: Solver
    n_steps: int
    seed: int
    sizes: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]
    chunk: int


def make_chunks(parts: Parts, order: Order) -> Iterator[tuple[sp.csr_matrix, pd.DataFrame]]:
    """Generate cells in chunks; a cell depends on the seed, its index and its conditions alone.

    Parameters
    ----------
    parts
        The fitted model.
    order
        What to generate.

    Yields
    ------
    Counts, shape ``(B, G)``, ``int32``, and their conditions as columns of `obs`.
    """
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        for begin in range(0, order.plan.n, order.chunk):
            cells = np.arange(begin, min(begin + order.chunk, order.plan.n), dtype=np.int64)
            table = order.plan.table(cells)
            noise = torch.from_numpy(cell_normals(order.seed, "latent", cells, parts.latent_mean.numel()))
            device = parts.latent_mean.device
            conditions = condition_tensors(table)
            conditions = conditions._replace(codes=conditions.codes.to(device), values=conditions.values.to(device))
            vectors = sample(order.denoiser, noise.to(device), conditions, solver=order.solver, n_steps=order.n_steps)
            codes, own = parts.to_latent(vectors)
            sizes = order.sizes(cells, own)
            pieces = [
                _Piece(
                    codes[at : at + _CELLS_A_PIECE], sizes[at : at + _CELLS_A_PIECE], cells[at : at + _CELLS_A_PIECE]
                )
                for at in range(0, len(cells), _CELLS_A_PIECE)
            ]
            with _one_thread_each():
                counts = list(pool.map(partial(_decode, parts, order.seed), pieces))
            yield sp.vstack(counts, format="csr"), order.conditions.decode(table)


def gather(parts: Parts, order: Order, *, var: pd.DataFrame, uns: dict[str, Any], progress: bool) -> ad.AnnData:
    """Collect generated cells in memory.

    Parameters
    ----------
    parts, order
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
        for made, obs in make_chunks(parts, order):
            counts.append(made)
            tables.append(obs)
            bar.advance(len(obs))
    return build_anndata(sp.vstack(counts, format="csr"), pd.concat(tables, ignore_index=True), var, uns)


def write(
    parts: Parts,
    order: Order,
    path: str | Path,
    *,
    var: pd.DataFrame,
    uns: dict[str, Any],
    overwrite: bool,
    progress: bool,
) -> Path:
    """Write generated cells to a file as they are made.

    Parameters
    ----------
    parts, order
        As in `make_chunks`.
    path
        The ``.h5ad`` to write.
    var, uns
        The genes, and what to keep beside the cells.
    overwrite
        Replace the file that is there.
    progress
        Show a bar.

    Returns
    -------
    The path.
    """
    with (
        Progress("generate", order.plan.n, enabled=progress) as bar,
        H5adWriter(path, var, overwrite=overwrite) as writer,
    ):
        for counts, obs in make_chunks(parts, order):
            writer.append(counts, obs)
            bar.advance(len(obs))
        writer.close(uns)
    return Path(path)


class _Piece(NamedTuple):
    """Cells that one thread decodes."""

    codes: Tensor
    sizes: NDArray[np.int64]
    cells: NDArray[np.int64]


def _decode(parts: Parts, seed: int, piece: _Piece) -> sp.csr_matrix:
    return parts.autoencoder.decode(piece.codes, piece.sizes, cell_generators(seed, "counts", piece.cells))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Keep torch to one thread while the pieces of a chunk share the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
