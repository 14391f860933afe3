"""The two stages of a fit, autoencoder and diffusion, and what lies between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import nn

from scdiffuse._core.processes import ALONE, Processes
from scdiffuse._core.progress import Progress
from scdiffuse._core.random import generator
from scdiffuse.autoencoder import AutoencoderTask, CellConditions, CountAutoencoder, code_scale
from scdiffuse.calibration import weigh_labels
from scdiffuse.cells import Batches, Blocks, Prefetch, Source, SourceWithEmbedding
from scdiffuse.diffusion import LatentTask, condition_tensors
from scdiffuse.fitting._data import TrainingData
from scdiffuse.fitting._log import FitLog
from scdiffuse.foundation import DecodedLatent, DecoderTask
from scdiffuse.model import ENCODED_AT_ONCE, Checkpoint, EncodedCells, History, ModelConfig, Networks, Stage, encode
from scdiffuse.nn import ConditionPrior, compiled_steps, computing_in
from scdiffuse.train import Run, Task, TrainState, step_rows, train

__all__ = ["FitContext", "encode_cells", "fit_autoencoder", "fit_diffusion", "set_latent_scale"]


@dataclass(kw_only=True)
class FitContext:
    """What both stages of a fit share."""

    networks: Networks
    data: TrainingData
    config: ModelConfig
    seed: int
    log: FitLog
    blocks: Blocks | None = None
    """How cells on disk are read; `None` if they are in memory."""
    max_epochs: int | None = None
    is_tuned: bool = False
    """Whether the networks have learnt from other cells before."""
    progress: bool = True
    processes: Processes = ALONE
    """The processes that share the fit; each makes the same calls."""
    history: History = field(default_factory=dict)

    def split(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Choose positions to learn from and to stop by."""
        n = len(self.data.cells)
        order = generator(self.seed, "validation").permutation(n)
        n_held = max(1, round(self.config.validation_fraction * n))
        return np.sort(order[n_held:]), order[:n_held]


def fit_autoencoder(fit: FitContext, checkpoint: Checkpoint | None) -> bool:
    """Fit what lies between latents and counts, if anything is to be learnt there.

    Parameters
    ----------
    fit
        The fit.
    checkpoint
        Where to go on; `None` at the beginning.

    Returns
    -------
    Whether the user stopped the fit.
    """
    with ExitStack() as reading:
        task = _counts_task(fit, checkpoint, reading)
        if task is None:
            return False
        stopped = _train(fit, "autoencoder", task=task, checkpoint=checkpoint)
    if not stopped:  # what was announced for the steps is no longer read
        task.fit_means(fit.processes)
        task.fit_dispersions(fit.processes, progress=fit.progress)
    return stopped


def encode_cells(fit: FitContext) -> EncodedCells:
    """Infer the latents of all cells; every process encodes a part."""
    data, n_cells = fit.data, len(fit.data.cells)

    def blocks() -> Iterator[tuple[slice, sp.csr_matrix]]:
        for at in fit.processes.part.of(-(-n_cells // ENCODED_AT_ONCE)):
            rows = slice(at * ENCODED_AT_ONCE, (at + 1) * ENCODED_AT_ONCE)
            yield rows, data.source.rows(data.cells[rows])

    with Progress("encode", n_cells, enabled=fit.progress) as bar:
        found = encode(fit.networks, blocks(), n_cells=n_cells, advance=lambda n: bar.advance(n * fit.processes.size))
    for rows in (found.means, found.stds, found.library_sizes):
        fit.processes.all_gather_blocks(rows, ENCODED_AT_ONCE)
    return found


def set_latent_scale(networks: Networks, cells: EncodedCells) -> None:
    """Set the scale so that latents drawn from the cells' posteriors have mean 0 and variance 1, unless all are alike.

    Parameters
    ----------
    networks
        The networks; their scale is set.
    cells
        The training cells.
    """
    means, stds = networks.with_library_sizes(cells.posterior, cells.library_sizes.numpy())
    mean, std = means.mean(dim=0), (means.var(dim=0, unbiased=False) + stds.square().mean(dim=0)).sqrt()
    networks.latent_mean.copy_(mean)
    networks.latent_std.copy_(torch.cat([code_scale(mean[:-1], std[:-1]), std[-1:].clamp(min=1e-3)]))


def fit_diffusion(fit: FitContext, cells: EncodedCells, checkpoint: Checkpoint | None) -> bool:
    """Fit the distribution of latents under their conditions.

    Parameters
    ----------
    fit
        The fit.
    cells
        The training cells.
    checkpoint
        Where to go on; `None` at the beginning.

    Returns
    -------
    Whether the user stopped the fit.
    """
    networks, (training, held) = fit.networks, fit.split()
    means, stds = networks.with_library_sizes(cells.posterior, cells.library_sizes.numpy())
    mean, std = networks.latent_mean.cpu(), networks.latent_std.cpu()
    means, stds = (means - mean) / std, stds / std
    networks.denoiser.conditional_mean.learn(means, condition_tensors(fit.data.table))
    _learn_unseen_labels(fit)
    task = LatentTask(
        networks.denoiser,
        means=means,
        stds=stds,
        conditions=fit.data.table,
        train=training,
        validation=held,
        seed=fit.seed,
    )
    return _train(fit, "diffusion", task=task, checkpoint=checkpoint)


def _learn_unseen_labels(fit: FitContext) -> None:
    """Find the trained labels whose effects stand for those of labels that no training cell has."""
    denoiser, data = fit.networks.denoiser, fit.data
    for at, name in enumerate(data.conditions.categorical):
        if name in data.label_features:
            n, features = denoiser.n_labels[at], data.label_features[name]
            codes = data.table.codes[:, at]
            found = weigh_labels(
                denoiser.conditional_mean.effects(at).cpu().double().numpy(),
                np.bincount(codes[codes >= 0], minlength=n).astype(np.float64),
                features=features[:n],
                unseen=features[n:],
                config=fit.config.calibration,
            )
            denoiser.conditions.unseen.set(at, torch.from_numpy(found.weights), torch.from_numpy(found.expected_error))


def _train(fit: FitContext, stage: Stage, *, task: Task, checkpoint: Checkpoint | None) -> bool:
    config = fit.config.autoencoder_training if stage == "autoencoder" else fit.config.diffusion_training
    fit.processes.broadcast(task.module.state_dict().values())
    state = TrainState.start(task, config)
    if checkpoint is not None:
        state.restore(checkpoint.tensors, checkpoint.progress)
    run = Run(
        stage=stage,
        config=config,
        n_steps=config.n_steps(task.n_cells, fit.max_epochs),
        seed=fit.seed,
        blocks=fit.blocks if stage == "autoencoder" else None,
        progress=fit.progress,
        checkpoint=lambda state: fit.log.write(stage, state, fit.history),
        processes=fit.processes,
    )
    if checkpoint is None:
        fit.log.write(stage, state, fit.history)
    lowered, compiled = _lowered_and_compiled(fit.networks, stage)
    with (
        computing_in(config.precision, lowered, device=fit.networks.latent_mean.device),
        compiled_steps(compiled if config.compiled else ()),
    ):
        stopped = train(state, run)
    fit.history[stage] = state.history
    return stopped


def _lowered_and_compiled(networks: Networks, stage: Stage) -> tuple[list[nn.Module], list[nn.Module]]:
    """Name the modules that may compute with fewer bits, and those that can be compiled.

    Logits of genes need all bits, as their errors would be of counts; what reads sparse counts cannot be compiled.
    """
    latent = networks.autoencoder
    if stage == "diffusion" or not isinstance(latent, CountAutoencoder):
        return [networks.denoiser], [networks.denoiser]
    return [latent.encoder, latent.decoder.body], [latent.decoder]


def _counts_task(fit: FitContext, checkpoint: Checkpoint | None, reading: ExitStack) -> AutoencoderTask | None:
    """Choose what there is to learn between latents and counts, if anything."""
    latent, data = fit.networks.autoencoder, fit.data
    training, held = (data.cells[rows] for rows in fit.split())
    if isinstance(latent, DecodedLatent):
        codes = _codes(fit, latent)
        counts = data.source.counts if isinstance(data.source, SourceWithEmbedding) else data.source
        source = reading.enter_context(_prefetched(fit, counts, rows=training, checkpoint=checkpoint))
        source = source if codes is None else SourceWithEmbedding(source, codes)
        return DecoderTask(
            latent, source, training=training, validation=held, is_warm_started=fit.is_tuned, seed=fit.seed
        )
    if not isinstance(latent, CountAutoencoder):
        return None
    source = reading.enter_context(_prefetched(fit, data.source, rows=training, checkpoint=checkpoint))
    conditions = _cell_conditions(fit) if data.table.codes.size or data.table.values.size else None
    return AutoencoderTask(
        latent,
        source,
        training=training,
        validation=held,
        conditions=conditions,
        is_warm_started=fit.is_tuned,
        seed=fit.seed,
    )


def _cell_conditions(fit: FitContext) -> CellConditions:
    """Collect the conditions of the cells, and start the prior of latents that depends on them."""
    denoiser, width = fit.networks.denoiser, fit.config.autoencoder.n_latent
    prior = ConditionPrior(denoiser.n_labels, denoiser.n_continuous, width).to(fit.networks.latent_mean.device)
    conditions = condition_tensors(fit.data.table)
    return CellConditions(prior, *(conditions.rows(torch.from_numpy(rows)) for rows in fit.split()))


def _prefetched(
    fit: FitContext, source: Source, *, rows: NDArray[np.int64], checkpoint: Checkpoint | None
) -> AbstractContextManager[Source]:
    """Read the rows of the steps that are left before they are used, if they are on disk."""
    if fit.blocks is None:
        return nullcontext(source)
    config, n = fit.config.autoencoder_training, len(rows)
    batches = Batches(n, config.n_batch(n), fit.seed, blocks=fit.blocks)
    first, last = 0 if checkpoint is None else checkpoint.progress["step"], config.n_steps(n, fit.max_epochs)
    mine = step_rows(batches.batch_size, fit.processes.part)
    steps = (np.sort(cells.reshape(-1, batches.batch_size))[:, mine] for cells in batches.buffers(first, last))
    return Prefetch(source, (rows[cells.ravel()] for cells in steps))


def _codes(fit: FitContext, latent: DecodedLatent) -> NDArray[np.float32] | None:
    """Find the scale of pretrained codes; returns those of a frozen encoder, a row for each cell of the source."""
    cells = encode_cells(fit)
    set_latent_scale(fit.networks, cells)
    if not fit.is_tuned:  # a decoder that has learnt from other cells reads latents in their scale
        latent.standardise(cells.means)
    if not latent.is_frozen:
        return None
    codes = np.zeros((fit.data.source.n_cells, cells.means.shape[1]), np.float32)
    codes[fit.data.cells] = cells.means.numpy()
    return codes
