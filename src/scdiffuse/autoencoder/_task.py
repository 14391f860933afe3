"""What training the autoencoder minimises, and the final fit of dispersions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.processes import ALONE, WHOLE, Part, Processes
from scdiffuse._core.progress import Progress
from scdiffuse._core.random import Draws, generator
from scdiffuse.autoencoder._autoencoder import CountAutoencoder
from scdiffuse.autoencoder._counts import read_counts
from scdiffuse.autoencoder._dispersion_fit import DispersionBlock, DispersionFit
from scdiffuse.autoencoder._duplicates import dispersions_of, fit_duplicates
from scdiffuse.autoencoder._thinning import binomial_thinning
from scdiffuse.cells import Source
from scdiffuse.nn import ConditionPrior, ConditionTensors

__all__ = ["AutoencoderTask", "CellConditions"]

_VALIDATION_BLOCK = 256  # cells that share a random stream
_MEAN_STEPS = 2
_BLOCK = 64  # cells that share a random stream, and whose logits stay in the cache of a CPU


class CellConditions(NamedTuple):
    """Conditions of the cells, and the prior of latents that depends on them."""

    prior: ConditionPrior
    """Prior mean of the latents given conditions; it is trained with the network."""
    training: ConditionTensors
    """Conditions of the training cells."""
    validation: ConditionTensors
    """Conditions of the validation cells."""


class AutoencoderTask:
    """The evidence lower bound (ELBO) over the cells of a source.

    Parameters
    ----------
    autoencoder
        The network to train.
    source
        Raw counts of the genes that the network knows.
    training, validation
        Cells to learn from and to stop by, indices into the source.
    conditions
        Conditions of the cells, which the prior of their latents depends on; none unless given.
    is_warm_started
        Whether the network has learnt from other cells before. If so, nothing starts late.
    seed
        Seed of the latents drawn for validation, and of cells and latents of the final fit of dispersions.
    """

    def __init__(
        self,
        autoencoder: CountAutoencoder,
        source: Source,
        *,
        training: NDArray[np.int64],
        validation: NDArray[np.int64],
        conditions: CellConditions | None = None,
        is_warm_started: bool = False,
        seed: int = 0,
    ) -> None:
        config = autoencoder.config
        self.module = autoencoder
        self.n_cells = len(training)
        self._late_start = 0.0 if is_warm_started else config.late_start
        self._seed = seed
        self._source = source
        self._training = training
        order = np.argsort(validation[: config.n_validation_cells])
        self._validation_counts = source.rows(validation[order])
        self._conditions = None
        if conditions is not None and config.conditional_prior:
            self._conditions = conditions._replace(validation=conditions.validation.rows(torch.from_numpy(order)))
        median = float(np.median(np.asarray(self._validation_counts.sum(axis=1))))
        self._largest_library_size = config.largest_library_size * median

    def loss(self, cells: NDArray[np.int64], draws: Draws, *, progress: float = 1.0) -> Tensor:
        """Compute the negative ELBO of some training cells, in nats per cell.

        Parameters
        ----------
        cells
            Positions among the training cells, shape ``(B,)``.
        draws
            Random streams of these cells.
        progress
            Fraction of the steps done. Before the late start, the outlier component is off, so that latents find rare
            cell types.

        Returns
        -------
        The mean over the cells, plus the negative log prior of dispersion parameters per training cell, shape ``()``.
        """
        counts = self._source.rows(self._training[cells])
        seen = binomial_thinning(counts, self.module.config.thinning, draws=draws)
        at = torch.from_numpy(cells)
        mean = None if self._conditions is None else self._conditions.prior(self._conditions.training.rows(at))
        weights = self._library_size_weights(counts) / len(cells)
        nll, kl = self.module.terms(
            counts, self._noise(draws), weights, seen=seen, prior_mean=mean, outliers=progress >= self._late_start
        )
        negative_elbo = nll + self.module.config.kl_weight * kl
        return negative_elbo + self.module.likelihood.penalty() / self.n_cells

    @torch.no_grad()
    def validate(self, part: Part = WHOLE) -> float:
        """Compute the negative ELBO of the validation cells in nats per cell, with the same draws at each call.

        Parameters
        ----------
        part
            The part of the blocks of cells to look at; the results of all parts add up to the whole.
        """
        n_cells = int(self._validation_counts.shape[0])
        total = 0.0
        for at in part.of(-(-n_cells // _VALIDATION_BLOCK)):
            rows = slice(at * _VALIDATION_BLOCK, (at + 1) * _VALIDATION_BLOCK)
            counts: sp.csr_matrix = self._validation_counts[rows]
            noise = self._noise(Draws.of(generator(self._seed, "validation of counts", at), counts.shape[0]))
            mean = None if self._conditions is None else self._conditions.prior(self._conditions.validation.rows(rows))
            nll, kl = self.module.terms(counts, noise, self._library_size_weights(counts), prior_mean=mean)
            total += float(nll + kl)
        return total / n_cells

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group the weights by learning rate, start, and the Gaussian prior of loadings, which is a weight decay."""
        decoder, config = self.module.decoder, self.module.config
        others = [*self.module.encoder.parameters(), decoder.bias, *decoder.body.parameters()]
        shrinkages = (config.shrinkage, config.nonlinear_shrinkage)
        linear, nonlinear = (2 * shrinkage / self.n_cells for shrinkage in shrinkages)
        late, likelihood = self._late_start, self.module.likelihood
        dispersions = [likelihood.get_parameter(name) for name in likelihood.precisions()]
        groups: list[dict[str, Any]] = [
            {"params": others, "rate": 1.0, "begin": 0.0},
            {"params": [decoder.loadings], "rate": config.linear_rate, "begin": 0.0, "weight_decay": linear},
            {"params": [decoder.nonlinear_loadings], "rate": 1.0, "begin": late, "weight_decay": nonlinear},
            {"params": dispersions, "rate": config.dispersion_rate, "begin": late},
        ]
        if self._conditions is not None:
            decay = 2 * config.prior_shrinkage / self.n_cells
            prior = list(self._conditions.prior.parameters())
            groups.append({"params": prior, "rate": config.linear_rate, "begin": 0.0, "weight_decay": decay})
        return groups

    @torch.no_grad()
    def fit_means(self, processes: Processes = ALONE) -> None:
        """Move the bias of each gene until its decoded mean is that of the training cells, unless `mean_fit` is off.

        A likelihood weighs the counts of variable genes less, so that a decoder leaves the means of the most abundant
        ones too low, and makes up for it in all others. Twice each gene is multiplied by ``(a + x) / (a + m)``, for
        `x` counts in the cells, `m` decoded ones, and `a` counts of the prior.

        Parameters
        ----------
        processes
            The processes that share the cells.
        """
        config = self.module.config
        if not config.mean_fit:
            return
        rows = np.sort(generator(self._seed, "cells of means").permutation(self._training)[: config.n_mean_cells])
        counted, cells = torch.zeros(self.module.n_genes, dtype=torch.float64), []
        for _, latent, counts, weights in self._drawn(rows, processes.part, stream="latents of means"):
            counted += torch.from_numpy(counts.T @ weights.cpu().numpy().astype(np.float64))
            cells.append((latent, weights * read_counts(counts, weights.device).totals[:, 0]))
        processes.all_reduce(counted)
        bias = self.module.decoder.bias
        for _ in range(_MEAN_STEPS):
            decoded = torch.zeros_like(counted)
            for latent, library_sizes in cells:
                decoded += (library_sizes @ torch.softmax(self.module.decoder(latent), dim=1)).cpu().double()
            processes.all_reduce(decoded)
            bias.add_(((counted + config.mean_prior) / (decoded + config.mean_prior)).log().to(bias))

    def fit_dispersions(self, processes: Processes = ALONE, *, progress: bool = False) -> None:
        """Fit dispersion parameters to their optimum at the learnt latents, unless `dispersion_fit` is off.

        Parameters
        ----------
        processes
            The processes that share the cells.
        progress
            Show a progress bar.
        """
        config = self.module.config.dispersion
        if not self.module.config.dispersion_fit or not list(self.module.likelihood.parameters()):
            return
        n_cells = min(config.n_cells, max(1, config.n_logits // self.module.n_genes))
        rows = np.sort(generator(self._seed, "cells of shapes").permutation(self._training)[:n_cells])
        trained = dispersions_of(self.module)
        fit = DispersionFit(self.module)
        blocks = self._dispersion_blocks(rows, processes.part)
        with Progress("dispersions", config.n_steps * len(rows), enabled=progress) as bar:
            for _ in range(config.n_steps):
                fit.step(blocks, processes)
                bar.advance(len(rows))
        fit_duplicates(self.module, blocks, processes, trained=trained, seed=self._seed, progress=progress)

    @torch.no_grad()
    def _dispersion_blocks(self, rows: NDArray[np.int64], part: Part) -> list[DispersionBlock]:
        """Read cells in blocks; returns those of one process at drawn latents."""
        blocks = []
        for at, latent, counts, weights in self._drawn(rows, part, stream="latents of shapes"):
            logits = self.module.decoder(latent)
            blocks.append(DispersionBlock(latent, logits, read_counts(counts, logits.device), weights, at))
        return blocks

    def _drawn(
        self, rows: NDArray[np.int64], part: Part, *, stream: str
    ) -> Iterator[tuple[int, Tensor, sp.csr_matrix, Tensor]]:
        """Read cells of one process in blocks; yields number, drawn latents, counts and weights of a block."""
        for at in part.of(-(-len(rows) // _BLOCK)):
            counts = self._source.rows(rows[at * _BLOCK : (at + 1) * _BLOCK])
            noise = self._noise(Draws.of(generator(self._seed, stream, at), counts.shape[0]))
            yield at, self.module.infer(counts, noise)[0], counts, self._library_size_weights(counts)

    def _library_size_weights(self, counts: sp.csr_matrix) -> Tensor:
        """Limit the weight of cells of a huge library size, shape ``(B,)``: a single one could spoil the model."""
        library_sizes = np.asarray(counts.sum(axis=1), dtype=np.float32).ravel()
        weights = torch.from_numpy(np.minimum(1.0, self._largest_library_size / np.maximum(library_sizes, 1.0)))
        return weights.to(self.module.decoder.bias.device)

    def _noise(self, draws: Draws) -> Tensor:
        return torch.from_numpy(draws.normals(self.module.config.n_latent)).to(self.module.decoder.bias.device)
