"""Cells, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffusion._core.random import cell_generators, cell_normals
from scdiffusion.cells import ConditionPlan, Conditions
from scdiffusion.diffusion import Denoiser, Solver, condition_tensors, sample
from scdiffusion.model._parts import Parts

__all__ = ["Order", "make_chunks"]

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
            vectors = sample(
                order.denoiser, noise.to(device), conditions, solver=order.solver, n_steps=order.n_steps
            )
            codes, own = parts.to_latent(vectors)
            sizes = order.sizes(cells, own)
            pieces = [slice(at, at + _CELLS_A_PIECE) for at in range(0, len(cells), _CELLS_A_PIECE)]
            with _one_thread_each():
                counts = list(pool.map(lambda at: _decode(parts, codes[at], sizes[at], cells[at], order.seed), pieces))  # noqa: B023 - used within the turn
            yield sp.vstack(counts, format="csr"), order.conditions.decode(table)


def _decode(parts: Parts, codes: Tensor, sizes: NDArray[np.int64], cells: NDArray[np.int64], seed: int) -> sp.csr_matrix:  # noqa: PLR0917 - the columns of one piece
    return parts.autoencoder.decode(codes, sizes, cell_generators(seed, "counts", cells))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Keep torch to one thread while the pieces of a chunk share the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
