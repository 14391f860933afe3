"""What studies need of the package and has no public name; the only file that reaches inside of it.

It changes nothing there, but for the time between checkpoints in `keep_every_step`. Names that the package makes public
leave this file.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import torch
from scipy import sparse

from scdiffuse._core.processes import Processes, joined
from scdiffuse._core.random import Draws, cell_keys, cell_normals, generator
from scdiffuse.autoencoder import AutoencoderTask, CountAutoencoder
from scdiffuse.autoencoder._thinning import binomial_thinning
from scdiffuse.calibration import ConditionGrid, ExpectedExpression, Pseudobulk
from scdiffuse.cells import ConditionTable, H5adWriter, build_anndata, open_source
from scdiffuse.diffusion import condition_tensors, sample
from scdiffuse.model import FittedModel, Networks
from scdiffuse.model import decode as decode_latents
from scdiffuse.sampling import Guidance, Request
from scdiffuse.sampling._coverage import verdict_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

    from scdiffuse import CellGenerator

__all__ = [
    "Processes",
    "autoencoder_of",
    "decode",
    "elbo_of",
    "expect_combination",
    "fingerprint",
    "generated_latents",
    "joined",
    "keep_every_step",
    "networks",
    "posterior_latents",
    "reconstruct",
    "time_assembling",
    "time_parts",
    "verdict_of_unseen",
]

_BLOCK = 128


def networks(model: CellGenerator) -> Networks:
    """Return the networks of a fitted model, and the mean and deviation of its latents."""
    return _fitted(model).networks


def autoencoder_of(model: CellGenerator) -> CountAutoencoder:
    """Return the autoencoder of counts of a fitted model."""
    autoencoder = networks(model).autoencoder
    assert isinstance(autoencoder, CountAutoencoder)
    return autoencoder


def elbo_of(model: CellGenerator, cells: AnnData) -> float:
    """Compute the evidence lower bound (ELBO) of cells under a model, in nats a cell."""
    source, rows = open_source(cells, genes=[str(gene) for gene in model.genes]), np.arange(cells.n_obs)
    return -AutoencoderTask(autoencoder_of(model), source, training=rows, validation=rows).validate()


def decode(model: CellGenerator, latents: NDArray[np.float32], *, like: AnnData, seed: int) -> AnnData:
    """Draw counts for standardised latents, shape ``(N, D)``, with the library sizes of given cells."""
    codes = torch.from_numpy(np.asarray(latents, dtype=np.float32))
    sizes = np.asarray(like[:, model.genes].X.sum(axis=1)).ravel().astype(np.int64)
    counts = decode_latents(
        networks(model),
        torch.cat([codes, codes.new_zeros(len(codes), 1)], dim=1),
        seed=seed,
        stream="benchmark counts",
        noise_ids=np.arange(len(sizes)),
        library_sizes=np.maximum(sizes, 1),
    )
    return anndata.AnnData(counts, obs=like.obs.copy(), var=pd.DataFrame(index=model.genes))


def reconstruct(model: CellGenerator, cells: AnnData, *, seed: int) -> sparse.csr_matrix:
    """Draw cells anew from their own posterior: what the autoencoder alone costs."""
    counts = cells[:, model.genes].X.tocsr().astype(np.float32)
    autoencoder, rows = networks(model).autoencoder, np.arange(cells.n_obs)
    posterior = autoencoder.encode(counts)
    noise = torch.from_numpy(cell_normals(seed, "reconstruction", rows, posterior.mean.shape[1]))
    sizes = np.asarray(counts.sum(axis=1)).ravel().astype(np.int64)
    return autoencoder.decode(posterior.mean + posterior.std * noise, sizes, cell_keys(seed, "reconstruction", rows))


def posterior_latents(model: CellGenerator, real: AnnData) -> NDArray[np.float32]:
    """Draw latents of real cells from their posterior, as the diffusion learnt them, shape ``(N, D + 1)``."""
    parts = networks(model)
    counts = sparse.csr_matrix(real[:, model.genes].X).astype(np.float32)
    mean, std = parts.standardise(parts.autoencoder.encode(counts), np.asarray(counts.sum(axis=1)).ravel())
    return np.asarray(mean + std * torch.from_numpy(cell_normals(0, "posterior", np.arange(len(mean)), mean.shape[1])))


def generated_latents(
    model: CellGenerator, types: pd.DataFrame, *, solver_steps: int, seed: int
) -> tuple[NDArray[np.float32], AnnData]:
    """Generate latents and the cells drawn from them, one for each row of `types`."""
    fitted, cells = _fitted(model), np.arange(len(types))
    plan = Request(where=types, guidance=Guidance(), seed=seed, solver_steps=solver_steps).plan(fitted)
    table = plan.conditions_plan.table(cells)
    width = len(fitted.networks.latent_mean)
    noise = torch.from_numpy(cell_normals(seed, "latent", plan.noise_ids(table, cells), width))
    latents = sample(
        plan.denoiser, noise, condition_tensors(table), solver=plan.solver, solver_steps=plan.solver_steps
    ).numpy()
    made = model.generate(where=types, solver_steps=solver_steps, seed=seed, progress=False)
    assert isinstance(made, anndata.AnnData)
    return latents, made


def time_parts(model: CellGenerator, n_cells: int, seed: int) -> Iterator[tuple[str, float]]:
    """Generate cells part by part, from noise to a file; yields the CPU seconds of each part."""
    fitted, cells = _fitted(model), np.arange(n_cells)
    parts, autoencoder, var = fitted.networks, autoencoder_of(model), fitted.metadata.var
    plan = Request(n_cells=n_cells, guidance=Guidance(), seed=seed).plan(fitted)
    table = plan.conditions_plan.table(cells)
    ids = plan.noise_ids(table, cells)
    noise, spent = _timed(lambda: torch.from_numpy(cell_normals(seed, "latent", ids, len(parts.latent_mean))))
    yield "noise", spent
    latents, spent = _timed(
        lambda: sample(
            plan.denoiser, noise, condition_tensors(table), solver=plan.solver, solver_steps=plan.solver_steps
        )
    )
    yield f"solver, {plan.solver_steps} steps", spent
    codes, sizes = parts.split(latents)
    keys, blocks, spent_on = cell_keys(seed, "counts", ids), [], {"expression fractions": 0.0, "counts": 0.0}
    for rows in (slice(begin, begin + _BLOCK) for begin in range(0, n_cells, _BLOCK)):
        fractions, spent = _timed(partial(autoencoder.fractions, codes[rows]))
        spent_on["expression fractions"] += spent
        made, spent = _timed(partial(autoencoder.likelihood.sample, fractions, sizes[rows], keys[rows]))
        spent_on["counts"] += spent
        blocks.append(made)
    yield from spent_on.items()
    obs = model.conditions.decode(table)
    counts, spent = _timed(lambda: sparse.vstack(blocks, format="csr"))
    _, more = _timed(lambda: build_anndata(counts, obs, var, {}))
    yield "assembling", spent + more
    with tempfile.TemporaryDirectory() as folder, H5adWriter(Path(folder) / "c.h5ad", var) as writer:
        _, spent = _timed(lambda: writer.append(counts, obs))
    yield "writing to a file", spent


def time_assembling(cells: AnnData, batch: int, n_steps: int) -> float:
    """Time what the CPU does for a step wherever networks are computed: gather cells and thin them; CPU s a cell."""
    source, rng = open_source(cells), np.random.default_rng(0)
    before = time.process_time()
    for step in range(n_steps):
        rows = source.rows(rng.integers(cells.n_obs, size=batch))
        binomial_thinning(rows, 0.6, draws=Draws.of(generator(0, "noise", step), batch))
    return (time.process_time() - before) / (n_steps * batch)


def expect_combination(
    counts: NDArray[np.float64],
    n_cells: NDArray[np.int64],
    codes: NDArray[np.int64],
    *,
    n_labels: tuple[int, ...],
    asked: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Expect the expression of genes in one combination from the pseudobulks of others.

    Returns
    -------
    Log of 1 + counts per 10,000, its variance, and which part of the change is likely to be missed.
    """
    table = ConditionTable(codes, np.zeros((len(codes), 0), np.float32), n_cells.astype(np.int64))
    conditions = ConditionGrid.of(n_labels, table)
    assert conditions is not None
    n_genes, rows = counts.shape[1], conditions.pooled
    order = [int(np.flatnonzero((codes == one).all(axis=1))[0]) for one in conditions.seen[rows]]
    expected = ExpectedExpression(conditions, n_genes)
    whole = Pseudobulk(counts[order], np.zeros(n_genes), detected=np.ones(n_genes), n_cells=int(n_cells.sum()))
    expected.learn(whole)
    return expected(asked[None])[0], expected.variance(asked[None])[0], expected.expected_error(asked)


def verdict_of_unseen(expected_error: float) -> str:
    """Tell how far to trust a prediction of labels never seen together, by the error that is expected."""
    return verdict_of(is_trained=False, is_measured=True, is_outside=False, expected_error=expected_error)


def fingerprint(model: CellGenerator) -> str:
    """Return the digest of weights, settings and vocabulary of a fitted model."""
    fitted = _fitted(model)
    return fitted.metadata.fingerprint(fitted.networks)


def keep_every_step() -> None:
    """Let fits of this process keep a checkpoint at each step, so that there are many points to be ended at."""
    from scdiffuse.train import _loop

    _loop._CHECKPOINT_SECONDS = 0.0


def _fitted(model: CellGenerator) -> FittedModel:
    return model._fitted("measure")


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = call()
    return result, time.process_time() - start
