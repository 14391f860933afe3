"""Training of a classifier of noisy latents, and its accuracy at each noise level."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.processes import WHOLE, Part
from scdiffuse._core.random import Draws, generator
from scdiffuse.diffusion import add_noise, angle, scales, validation_rows
from scdiffuse.guidance._classifiers import LabelClassifier, NumberRegressor
from scdiffuse.nn import draw_tensors

__all__ = ["NOISE_LEVELS", "ClassifierTask", "NoisyCells"]

NOISE_LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Times at which accuracy is measured, from no noise to pure noise."""
_AT_ONCE = 1024  # cells of a block of the validation, which has its own random stream


class NoisyCells(NamedTuple):
    """Latents and labels that a classifier learns from."""

    means: Tensor
    """Mean of each latent, standardised, ``float32``, shape ``(N, D)``."""
    stds: Tensor
    """Standard deviation of each latent, same shape."""
    target: Tensor
    """Code of each label, or standardised numbers, ``float32``, shape ``(N,)``."""

    def draw(self, rows: Tensor, t: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
        """Draw noisy latents.

        Parameters
        ----------
        rows
            Positions of cells, shape ``(B,)``.
        t
            Times, shape ``(B,)``.
        normals
            Standard normals, shape ``(B, 2, D)``.

        Returns
        -------
        ``u`` of the latents, shape ``(B, D)``, and their angles, shape ``(B,)``.
        """
        z_t = add_noise(torch.addcmul(self.means[rows], self.stds[rows], normals[:, 0]), normals[:, 1], t)
        theta = angle(t)
        return theta.cos()[:, None] * z_t / scales(t).norm[:, None], theta


class ClassifierTask:
    r"""Learn labels or numbers of latents at any noise level; the loss is the negative log-likelihood.

    Angles of time are uniform between data and noise, so that the whole range is learnt. Each visit to a cell draws a
    new latent from its posterior.

    Parameters
    ----------
    classifier
        Network to train; its linear part is set from the moments of the training cells.
    cells
        All cells.
    train, validation
        Positions of the cells to train and to validate with.
    seed
        Seed of the validation's draws.
    """

    def __init__(
        self,
        classifier: LabelClassifier | NumberRegressor,
        cells: NoisyCells,
        *,
        train: NDArray[np.int64],
        validation: NDArray[np.int64],
        seed: int = 0,
    ) -> None:
        self.classifier = classifier
        self.cells = cells
        self.train = train
        self.validation = validation
        self.seed = seed
        rows = torch.from_numpy(train)
        classifier.learn(cells.means[rows], cells.stds[rows], cells.target[rows])

    def loss(self, cells: NDArray[np.int64], draws: Draws, *, progress: float = 1.0) -> Tensor:
        """Compute the loss of some cells, with new draws.

        Parameters
        ----------
        cells
            Positions among the training cells, shape ``(B,)``.
        draws
            Random numbers of these cells.
        progress
            Not used: the loss stays the same during training.

        Returns
        -------
        Mean loss in nats, shape ``()``.
        """
        normals, uniforms = draw_tensors(draws, normals=(2, self.cells.means.shape[1]), uniforms=1)
        return self._losses(torch.from_numpy(self.train[cells]), _times(uniforms[:, 0]), normals).mean()

    @torch.no_grad()
    def validate(self, part: Part = WHOLE) -> float:
        """Compute the loss of the validation cells, with the same draws each time.

        Parameters
        ----------
        part
            Part of the blocks of cells to use.

        Returns
        -------
        Mean loss in nats; for a part, its summand of the mean.
        """
        rng, n_draws = generator(self.seed, "validation of a classifier"), self.classifier.config.validation_draws
        cells = validation_rows(self.validation, n_draws, rng)
        uniforms = torch.from_numpy((rng.permutation(cells.size) + 0.5) / cells.size).float()
        total = 0.0
        for at in part.of(-(-cells.size // _AT_ONCE)):
            block = slice(at * _AT_ONCE, (at + 1) * _AT_ONCE)
            rows = torch.from_numpy(cells[block])
            draws = Draws.of(generator(self.seed, "validation of a classifier", at), len(rows))
            normals, _ = draw_tensors(draws, normals=(2, self.cells.means.shape[1]), uniforms=0)
            total += float(self._losses(rows, _times(uniforms[block]), normals).sum())
        return total / cells.size

    @torch.no_grad()
    def accuracy(self, cells: NDArray[np.int64]) -> list[float]:
        """Measure how well labels or numbers are predicted at each of `NOISE_LEVELS`.

        Parameters
        ----------
        cells
            Positions of cells that were not learnt from.

        Returns
        -------
        Accuracy of labels; for numbers, the fraction of their variance that is explained (0 is no better than the
        mean, below 0 worse). Where all cells have one number there is nothing to explain, and it is 0.
        """
        repeats = max(1, math.ceil(self.classifier.config.validation_draws / 4 / len(cells)))
        rows = torch.from_numpy(np.tile(cells, repeats))
        draws = torch.Generator().manual_seed(int(generator(self.seed, "accuracy").integers(2**63)))
        device = self.classifier.basis.device
        target, found = self.cells.target[rows].to(device), []
        for level in NOISE_LEVELS:
            normals = torch.randn(len(rows), 2, self.cells.means.shape[1], generator=draws)
            u, theta = self.cells.draw(rows, torch.full((len(rows),), level), normals)
            u, theta = u.to(device), theta.to(device)
            if isinstance(self.classifier, LabelClassifier):
                right = self.classifier.logits(u, theta).argmax(dim=1) == target.long()
                found.append(float(right.float().mean()))
            else:
                missed = (target - self.classifier.moments(u, theta)[0]).square().mean()
                is_one = bool((target == target[0]).all())  # their variance is only rounding
                found.append(0.0 if is_one else float(1.0 - missed / target.var(unbiased=False)))
        return found

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return all weights as one group that learns at the full rate from the beginning."""
        return [{"params": list(self.classifier.parameters()), "rate": 1.0, "begin": 0.0}]

    @property
    def module(self) -> LabelClassifier | NumberRegressor:
        """The network to train."""
        return self.classifier

    @property
    def n_cells(self) -> int:
        """Training cells."""
        return len(self.train)

    def _losses(self, rows: Tensor, t: Tensor, normals: Tensor) -> Tensor:
        device = self.classifier.basis.device
        u, theta = self.cells.draw(rows, t, normals)
        return -self.classifier.log_prob(u.to(device), theta.to(device), self.cells.target[rows].to(device))


def _times(uniforms: Tensor) -> Tensor:
    """Turn uniform numbers into times whose angles are uniform."""
    theta = uniforms * (math.pi / 2)
    return theta.sin() / (theta.sin() + theta.cos())
