"""The stages of a fit: autoencoder, latents of all cells, diffusion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse._core.processes import ALONE, Processes
from scdiffuse._core.progress import Progress
from scdiffuse._core.random import generator
from scdiffuse.autoencoder import AutoencoderTask, CountAutoencoder, Labelled
from scdiffuse.cells import Batches, Blocks, ConditionTable, EmbeddedSource, Prefetch, Source
from scdiffuse.diffusion import LatentTask, condition_tensors
from scdiffuse.foundation import DecodedLatent, DecoderTask
from scdiffuse.model import Checkpoint, History, ModelConfig, Networks, Stage
from scdiffuse.nn import ConditionPrior, compiled_steps, computing_in
from scdiffuse.train import Run, Task, TrainState, step_rows, train

__all__ = ["Fit"]

_BLOCK = 1024


@dataclass(kw_only=True)
class Fit:
    """One fit, from counts to a model that generates."""

    networks: Networks
    source: Source
    cells: NDArray[np.int64]
    """Rows of the source to use."""
    table: ConditionTable
    """Conditions of those rows."""
    config: ModelConfig
    seed: int
    blocks: Blocks | None = None
    """How cells on disk are read; `None` if they are in memory."""
    max_epochs: int | None = None
    is_tuned: bool = False
    """Whether the networks have learnt from other cells before."""
    progress: bool = True
    save: Callable[[Stage, TrainState, History], None] | None = None
    """Called with stage, state and curves so far."""
    history: History = field(default_factory=dict)
    processes: Processes = ALONE
    """Who shares the fit; each makes the same calls."""

    def run(self, saved: Checkpoint | None = None) -> bool:
        """Run all stages, or those that are left.

        Parameters
        ----------
        saved
            Where to go on.

        Returns
        -------
        Whether the user stopped the fit.
        """
        if saved is not None:
            self.history.update({stage: list(curve) for stage, curve in saved.history.items()})
        if saved is None or saved.stage == "autoencoder":
            with ExitStack() as reading:
                counts_task = self._counts_task(saved, reading)
                stopped = counts_task is not None and self._train("autoencoder", counts_task, saved)
                if counts_task is not None and not stopped:
                    counts_task.fit_dispersions(self.processes, progress=self.progress)
            means, stds = self._encode()
            self._standardise(means, stds)
            saved = None
            if stopped:
                return True
        else:
            means, stds = self._encode()
        task = self._latent_task(means, stds)
        return self._train("diffusion", task, saved)

    def measure_sizes(self) -> None:
        """Learn the distribution of library sizes."""
        self.networks.sizes.learn(self._inverse_dispersions())

    def _split(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Choose positions to learn from and to stop by."""
        order = generator(self.seed, "validation").permutation(len(self.cells))
        n_held = max(1, round(self.config.validation_share * len(self.cells)))
        return np.sort(order[n_held:]), order[:n_held]

    def _train(self, stage: Stage, task: Task, saved: Checkpoint | None) -> bool:
        config = self.config.autoencoder_training if stage == "autoencoder" else self.config.diffusion_training
        self.processes.broadcast(task.module.state_dict().values())
        state = TrainState.start(task, decay=config.decay)
        if saved is not None:
            state.restore(saved.tensors, saved.facts)
        run = Run(
            stage=stage,
            config=config,
            n_steps=config.n_steps(task.n_cells, self.max_epochs),
            seed=self.seed,
            blocks=self.blocks if stage == "autoencoder" else None,
            progress=self.progress,
            checkpoint=lambda state: self.save(stage, state, self.history) if self.save else None,
            processes=self.processes,
        )
        if self.save and saved is None:
            self.save(stage, state, self.history)
        lowered, compiled = self._networks(stage)
        with (
            computing_in(config.precision, lowered, device=self.networks.latent_mean.device),
            compiled_steps(compiled if config.compiled else ()),
        ):
            stopped = train(state, run)
        self.history[stage] = state.history
        return stopped

    def _networks(self, stage: Stage) -> tuple[list[nn.Module], list[nn.Module]]:
        """Name those that may compute with fewer bits, and those that can be compiled.

        Logits of genes need all bits, as their errors would be of counts; what reads sparse counts cannot be compiled.
        """
        latent = self.networks.autoencoder
        if stage == "diffusion" or not isinstance(latent, CountAutoencoder):
            return [self.networks.denoiser], [self.networks.denoiser]
        return [latent.encoder, latent.decoder.body], [latent.decoder]

    def _counts_task(self, saved: Checkpoint | None, reading: ExitStack) -> AutoencoderTask | None:
        """Say what there is to learn between latents and counts, if anything."""
        latent, (training, held) = self.networks.autoencoder, (self.cells[rows] for rows in self._split())
        if isinstance(latent, DecodedLatent):
            source = reading.enter_context(self._ahead(self._coded(latent), training, saved))
            return DecoderTask(latent, source, training=training, validation=held)
        if not isinstance(latent, CountAutoencoder):
            return None
        source = reading.enter_context(self._ahead(self.source, training, saved))
        labelled = self._labelled() if self.table.codes.size or self.table.values.size else None
        return AutoencoderTask(
            latent, source, training=training, validation=held, labelled=labelled, is_tuned=self.is_tuned
        )

    def _labelled(self) -> Labelled:
        """Say what is known of the cells beside their counts."""
        denoiser, width = self.networks.denoiser, self.config.autoencoder.n_latent
        prior = ConditionPrior(denoiser.n_labels, denoiser.n_continuous, width).to(self.networks.latent_mean.device)
        conditions = condition_tensors(self.table)
        return Labelled(prior, *(conditions.rows(torch.from_numpy(rows)) for rows in self._split()))

    def _ahead(
        self, source: Source, rows: NDArray[np.int64], saved: Checkpoint | None
    ) -> AbstractContextManager[Source]:
        """Read the rows of the steps that are left before they are used, if they are on disk."""
        if self.blocks is None:
            return nullcontext(source)
        config, n = self.config.autoencoder_training, len(rows)
        batches = Batches(n, config.n_batch(n), self.seed, blocks=self.blocks)
        first, last = 0 if saved is None else saved.facts["step"], config.n_steps(n, self.max_epochs)
        mine = step_rows(batches.batch_size, self.processes.part)
        steps = (np.sort(cells.reshape(-1, batches.batch_size))[:, mine] for cells in batches.buffers(first, last))
        return Prefetch(source, (rows[cells.ravel()] for cells in steps))

    def _coded(self, latent: DecodedLatent) -> Source:
        """Find the scale of codes that come from elsewhere, and keep those of a frozen encoder beside the counts."""
        means, stds = self._encode()
        self._standardise(means, stds)
        latent.standardise(means[:, :-1])
        if not latent.is_frozen:
            return self.source
        codes = np.zeros((self.source.n_cells, means.shape[1] - 1), np.float32)
        codes[self.cells] = means[:, :-1].numpy()
        return EmbeddedSource(self.source, codes)

    def _encode(self) -> tuple[Tensor, Tensor]:
        """Infer the latents of all cells, the score of the library size last; float32 on the main memory."""
        width = self.networks.latent_mean.numel()
        means, stds = torch.empty(len(self.cells), width), torch.zeros(len(self.cells), width)
        with Progress("encode", len(self.cells), enabled=self.progress) as bar:
            for rows in self._blocks():
                counts = self.source.rows(self.cells[rows])
                posterior = self.networks.autoencoder.encode(counts)
                means[rows, :-1], stds[rows, :-1] = posterior.mean.cpu(), posterior.std.cpu()
                means[rows, -1] = torch.from_numpy(self.networks.sizes.of(np.asarray(counts.sum(axis=1)).ravel()))
                bar.advance(len(posterior.mean) * self.processes.size)
        self.processes.exchange(means, _BLOCK)
        self.processes.exchange(stds, _BLOCK)
        return means, stds

    def _inverse_dispersions(self) -> NDArray[np.float64]:
        sizes = np.empty(len(self.cells))
        for rows in self._blocks():
            sizes[rows] = np.asarray(self.source.rows(self.cells[rows]).sum(axis=1)).ravel()
        self.processes.exchange(torch.from_numpy(sizes), _BLOCK)
        return sizes

    def _blocks(self) -> Iterator[slice]:
        """Visit the blocks of cells that this process looks at."""
        for at in self.processes.part.of(-(-len(self.cells) // _BLOCK)):
            yield slice(at * _BLOCK, (at + 1) * _BLOCK)

    def _standardise(self, means: Tensor, stds: Tensor) -> None:
        """Set the scale so that latents drawn from the cells' posteriors have mean 0 and variance 1."""
        variance = means.var(dim=0, unbiased=False) + stds.square().mean(dim=0)
        self.networks.latent_mean.copy_(means.mean(dim=0))
        self.networks.latent_std.copy_(variance.sqrt().clamp(min=1e-3))

    def _latent_task(self, means: Tensor, stds: Tensor) -> LatentTask:
        training, held = self._split()
        mean, std = self.networks.latent_mean.cpu(), self.networks.latent_std.cpu()
        self.networks.denoiser.conditional_mean.learn((means - mean) / std, condition_tensors(self.table))
        return LatentTask(
            self.networks.denoiser,
            means=(means - mean) / std,
            stds=stds / std,
            conditions=self.table,
            train=training,
            validation=held,
            seed=self.seed,
        )
