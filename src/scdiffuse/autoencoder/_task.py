"""What training the autoencoder minimises."""

from __future__ import annotations

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
from scdiffuse.autoencoder._thinning import thin
from scdiffuse.cells import Source
from scdiffuse.nn import ConditionPrior, ConditionTensors

__all__ = ["AutoencoderTask", "Labelled", "inverse_frequency_weights"]

_VALIDATION_CELLS = 2_000
_BLOCK = 256
_HEAVY = 10.0  # times the usual counts
_WAKE = 0.2  # share of the steps after which bends and the shapes of the likelihood are learnt
_LINEAR_RATE = 4.0  # the linear path learns ahead of the rest, so that effects of conditions add up
_PRIOR_SHRINKAGE = 2.0  # precision of the Gaussian prior on what a condition adds to latents
_LARGEST_WEIGHT = 4.0  # times the usual weight: no single cell of its kind rules
_DISPERSION_RATE = 20.0  # dispersions move on a log scale of many units
_FITTED_CELLS, _FITTED_VALUES = 2_048, 1 << 25  # cells that shapes are fitted to in the end, and logits of them kept
_FITTED_BLOCK = 64  # cells whose logits stay in the cache of a processor
_FITTING_STEPS = 32
_FITTING_RATES = 0.3, (0.5, 1.3), (1e-3, 1.0)  # first step, its factors where the slope has turned or not, and bounds
_EVIDENCE = 0.5  # nats: what speaks less for a direction does not move a shape, as rounding would


class Labelled(NamedTuple):
    """What is known of the cells beside their counts."""

    prior: ConditionPrior
    """Where their latents are expected; it is learnt with the network."""
    training: ConditionTensors
    """Conditions of the training cells."""
    validation: ConditionTensors
    """Conditions of the validation cells."""


class AutoencoderTask:
    """The evidence lower bound over the cells of a source.

    Parameters
    ----------
    autoencoder
        The network to train.
    source
        Raw counts of the genes that the network knows.
    training, validation
        Cells to learn from and to stop by, indices into the source.
    labelled
        Conditions of the cells, which help latents to tell them apart; not needed.
    is_tuned
        Whether the network has learnt from other cells before, so that bends and shapes need not wait for latents.

    References
    ----------
    Cui et al. 2019, https://arxiv.org/abs/1901.05555, section 4 (weights between those of cells and of labels).
    """

    def __init__(
        self,
        autoencoder: CountAutoencoder,
        source: Source,
        *,
        training: NDArray[np.int64],
        validation: NDArray[np.int64],
        labelled: Labelled | None = None,
        is_tuned: bool = False,
    ) -> None:
        self.module = autoencoder
        self._wake = 0.0 if is_tuned else _WAKE
        self.n_cells = len(training)
        self._source = source
        self._training = training
        order = np.argsort(validation[:_VALIDATION_CELLS])
        self._held = source.rows(validation[order])
        self._labelled, balance = labelled, torch.ones(len(training))
        if labelled is not None:
            self._labelled = labelled._replace(validation=labelled.validation.rows(torch.from_numpy(order)))
            balance = inverse_frequency_weights(labelled.training.codes, autoencoder.config.balance)
        self._balance = balance.to(autoencoder.decoder.bias.device)
        self._heavy = _HEAVY * float(np.median(np.asarray(self._held.sum(axis=1))))

    def loss(self, cells: NDArray[np.int64], draws: Draws, *, progress: float = 1.0) -> Tensor:
        """Estimate minus the bound, in nats a cell.

        Parameters
        ----------
        cells
            Positions among the training cells, shape ``(B,)``.
        draws
            Where the latents of these cells are drawn from.
        progress
            Share of the steps that is done. Early on no count may pass as an outlier, so that latents find rare types.

        Returns
        -------
        The mean over the cells and each cell's share of the prior of the likelihood's shapes, shape ``()``.
        """
        counts = self._source.rows(self._training[cells])
        seen = thin(counts, self.module.config.thinning, draws=draws)
        at = torch.from_numpy(cells)
        mean = None if self._labelled is None else self._labelled.prior(self._labelled.training.rows(at))
        weights = self._weights(counts) * self._balance[at] / len(cells)
        nll, divergence = self.module.terms(
            counts, self._noise(draws), weights, seen=seen, prior_mean=mean, outliers=progress >= self._wake
        )
        bound = nll + self.module.config.kl_weight * divergence
        return bound + self.module.likelihood.penalty() / self.n_cells

    @torch.no_grad()
    def validate(self, part: Part = WHOLE) -> float:
        """Return minus the bound of the validation cells in nats a cell, with the same draws at each call.

        Parameters
        ----------
        part
            The share of the blocks of cells to look at; what all parts return adds up to the whole.
        """
        n_cells = int(self._held.shape[0])
        total = 0.0
        for at in part.of(-(-n_cells // _BLOCK)):
            rows = slice(at * _BLOCK, (at + 1) * _BLOCK)
            counts: sp.csr_matrix = self._held[rows]
            noise = self._noise(Draws.of(generator(0, "validation of counts", at), counts.shape[0]))
            mean = None if self._labelled is None else self._labelled.prior(self._labelled.validation.rows(rows))
            nll, divergence = self.module.terms(counts, noise, self._weights(counts), prior_mean=mean)
            total += float(nll + divergence)
        return total / n_cells

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Split the weights: Gaussian priors of loadings are decays; bends and shapes come in when latents stand."""
        decoder, config = self.module.decoder, self.module.config
        others = [*self.module.encoder.parameters(), decoder.bias, *decoder.body.parameters()]
        straight, bent = (2 * shrinkage / self.n_cells for shrinkage in (config.shrinkage, config.nonlinear_shrinkage))
        groups: list[dict[str, Any]] = [
            {"params": others, "rate": 1.0, "begin": 0.0},
            {"params": [decoder.loadings], "rate": _LINEAR_RATE, "begin": 0.0, "weight_decay": straight},
            {"params": [decoder.nonlinear_loadings], "rate": 1.0, "begin": self._wake, "weight_decay": bent},
            {"params": list(self.module.likelihood.parameters()), "rate": _DISPERSION_RATE, "begin": self._wake},
        ]
        if self._labelled is not None:
            decay = 2 * _PRIOR_SHRINKAGE / self.n_cells
            prior = list(self._labelled.prior.parameters())
            groups.append({"params": prior, "rate": _LINEAR_RATE, "begin": 0.0, "weight_decay": decay})
        return groups

    def fit_dispersions(self, processes: Processes = ALONE, *, progress: bool = False) -> None:
        """Bring the shapes of the likelihood to their optimum at the latents that were learnt.

        Near Poisson the gradient of a dispersion is small beside its noise over the cells of one step, so that training
        leaves dispersions where they began; each step here is over all of the cells it looks at. Genes do not depend on
        each other then, and each shape has a step of its own that follows the sign of its slope.

        Parameters
        ----------
        processes
            Who shares the cells.
        progress
            Show a bar.

        References
        ----------
        Riedmiller & Braun 1993, https://doi.org/10.1109/ICNN.1993.298623 (steps by the sign of the slope).
        """
        likelihood, n_cells = self.module.likelihood, min(_FITTED_CELLS, max(1, _FITTED_VALUES // self.module.n_genes))
        rows = np.sort(generator(0, "cells of shapes").permutation(self._training)[:n_cells])
        blocks = []
        for at in processes.part.of(-(-len(rows) // _FITTED_BLOCK)):
            counts = self._source.rows(rows[at * _FITTED_BLOCK : (at + 1) * _FITTED_BLOCK])
            noise = self._noise(Draws.of(generator(0, "latents of shapes", at), counts.shape[0]))
            with torch.no_grad():
                logits = self.module.decoder(self.module.infer(counts, noise)[0])
            blocks.append((logits, read_counts(counts, logits.device), self._weights(counts)))
        shapes = list(likelihood.parameters())
        first, factors, bounds = _FITTING_RATES
        optimiser = torch.optim.Rprop(shapes, lr=first, etas=factors, step_sizes=bounds)
        with Progress("dispersions", _FITTING_STEPS * len(rows), enabled=progress) as bar:
            for _ in range(_FITTING_STEPS):
                gradients = [torch.zeros_like(shape) for shape in shapes]
                for shape, gradient in zip(shapes, gradients, strict=True):
                    shape.grad = gradient  # what a block finds is added to it
                for logits, cells, weights in blocks:
                    prior = likelihood.penalty() * (len(logits) / self.n_cells)
                    total = likelihood.nll(logits, cells, weights) + prior
                    total.backward(inputs=shapes)  # type: ignore[no-untyped-call]
                for gradient in gradients:
                    processes.sum_(gradient)
                    gradient[gradient.abs() < _EVIDENCE] = 0.0
                optimiser.step()
                bar.advance(len(rows))
        optimiser.zero_grad()

    def _weights(self, counts: sp.csr_matrix) -> Tensor:
        """Let no cell weigh more than a heavy one, shape ``(B,)``: a single one could spoil the model otherwise."""
        sizes = np.asarray(counts.sum(axis=1), dtype=np.float32).ravel()
        weights = torch.from_numpy(np.minimum(1.0, self._heavy / np.maximum(sizes, 1.0)))
        return weights.to(self.module.decoder.bias.device)

    def _noise(self, draws: Draws) -> Tensor:
        return torch.from_numpy(draws.normals(self.module.config.n_latent)).to(self.module.decoder.bias.device)


def inverse_frequency_weights(codes: Tensor, balance: float) -> Tensor:
    """Weigh cells of rare combinations of labels more than those of frequent ones.

    Parameters
    ----------
    codes
        Code of each label, shape ``(N, C)``.
    balance
        0 weighs all cells the same, 1 all combinations.

    Returns
    -------
    Weights of mean 1, shape ``(N,)``.
    """
    alike = torch.nn.functional.pad(codes, (1, 0))  # without labels, all cells are of one combination
    _, which, n_cells = torch.unique(alike, dim=0, return_inverse=True, return_counts=True)
    sizes = n_cells[which].float()
    weights: Tensor = (sizes.mean() / sizes).pow(balance).clamp(max=_LARGEST_WEIGHT)
    return weights / weights.mean()
