"""The recipe of scDiffusion, written anew from the paper (Luo et al. 2024, btae518).

As in the paper: counts to log1p of counts per 10,000; a deterministic autoencoder G-1024-1024-1024-128 with its codes
on the unit sphere, trained with mean squared error; denoising diffusion on the codes, 1,000 steps, linear betas 1e-4 to
.02, a skip network of about 3.5 M weights that predicts the noise; one classifier per condition trained on noised
codes, whose gradients move the reverse mean.

Not as in the paper: nothing comes from a foundation model; batch normalisation uses its running statistics outside of
training; training stops at a compute budget instead of after 600,000 steps; and the decoded log values, which are no
counts, are scaled to the library size of a training cell of the same label and rounded.

The embedding of the step is the package's own. Its training loop (which averages weights, lowers the rate and stops
early), its classifiers (linear discriminants with a network on top) and its solvers (which draw no noise) are left out:
with them it would be another recipe, and a stronger one.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.generators.shared import LibrarySizes, joint_labels, log_normalise, pack
from scdiffuse.nn import TimeEmbedding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    from anndata import AnnData

_WIDTH = 128
_N_STEPS = 1000
_BATCH = 128
_TIME_WIDTH = 256
_PARTS_OF_BUDGET = {"autoencoder": 0.4, "denoiser": 0.4, "classifiers": 0.2}


class OriginalRecipe:
    """Autoencoder, denoising diffusion and classifiers, trained one after the other within CPU ``seconds``."""

    def __init__(self, *, seconds: float = 90.0, scale: float = 2.0, max_steps: int = 100_000) -> None:
        self._seconds, self._scale, self._max_steps = seconds, scale, max_steps

    def fit(self, adata: AnnData, *, condition_keys: Sequence[str], seed: int) -> None:
        """Train the three parts, each for its part of the budget."""
        torch.manual_seed(seed)
        self._keys, self._template = list(condition_keys), adata[:0].copy()
        counts = sparse.csr_matrix(adata.X)
        self._library_sizes = LibrarySizes(counts, joint_labels(adata.obs, self._keys))
        log_counts = log_normalise(counts)
        self._autoencoder = _Autoencoder(adata.n_vars)
        self._n_cells = adata.n_obs
        self._train(self._autoencoder, self._reconstruction(log_counts), part="autoencoder", rate=1e-3)
        codes = self._encode(log_counts)
        self._denoiser = _TimedNetwork((1024, 512, 256, 512, 1024, 1024), _WIDTH)
        self._train(self._denoiser, self._noise_error(codes), part="denoiser", rate=3e-4)
        self._vocabularies = [np.unique(adata.obs[key].astype(str)) for key in self._keys]
        self._classifiers = nn.ModuleList(_TimedNetwork((512, 256), len(labels)) for labels in self._vocabularies)
        targets = self._codes_of(adata.obs)
        self._train(self._classifiers, self._label_error(codes, targets), part="classifiers", rate=3e-4)

    def generate(self, obs: pd.DataFrame, *, seed: int) -> AnnData:
        """Denoise from noise in 1,000 steps under the classifiers, decode, scale, round."""
        generator = torch.Generator().manual_seed(seed)
        targets = self._codes_of(obs)
        z = torch.randn(len(obs), _WIDTH, generator=generator)
        for step in reversed(range(_N_STEPS)):
            z = self._reverse(z, targets, step=step, generator=generator)
        with torch.no_grad():
            log_counts = self._autoencoder.decode(functional.normalize(z, dim=1)).clamp_(min=0.0)
        rates = np.expm1(log_counts.numpy().astype(np.float64))
        labels = joint_labels(obs, self._keys)
        sizes = self._library_sizes.draw(labels, np.random.default_rng(seed))
        rates *= (sizes / np.maximum(rates.sum(axis=1), 1e-12))[:, None]
        return pack(np.rint(rates), obs, self._template)

    def _train(self, model: nn.Module, loss: Callable[[Tensor], Tensor], *, part: str, rate: float) -> None:
        model.train()
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=1e-4)
        end = time.process_time() + self._seconds * _PARTS_OF_BUDGET[part]
        for _ in range(self._max_steps):
            optimiser.zero_grad()
            value = loss(torch.randint(self._n_cells, (min(_BATCH, self._n_cells),)))
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if time.process_time() > end:
                break
        model.eval().requires_grad_(requires_grad=False)

    def _reconstruction(self, log_counts: sparse.csr_matrix) -> Callable[[Tensor], Tensor]:
        def loss(rows: Tensor) -> Tensor:
            x = torch.from_numpy(log_counts[rows.numpy()].toarray())
            return functional.mse_loss(self._autoencoder.decode(self._autoencoder.encode(x)), x)

        return loss

    def _noise_error(self, codes: Tensor) -> Callable[[Tensor], Tensor]:
        def loss(rows: Tensor) -> Tensor:
            steps = torch.randint(_N_STEPS, (len(rows),))
            noise = torch.randn(len(rows), _WIDTH)
            return functional.mse_loss(self._denoiser(_noised(codes[rows], noise, steps), steps), noise)

        return loss

    def _label_error(self, codes: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
        def loss(rows: Tensor) -> Tensor:
            steps = torch.randint(_N_STEPS, (len(rows),))
            z_t = _noised(codes[rows], torch.randn(len(rows), _WIDTH), steps)
            return -self._log_likelihood(z_t, steps, targets[rows]).mean()

        return loss

    def _log_likelihood(self, z_t: Tensor, steps: Tensor, targets: Tensor) -> Tensor:
        """Sum over conditions of the log-probability of the wanted label, shape ``(B,)``."""
        terms = [
            functional.cross_entropy(classifier(z_t, steps), targets[:, column], reduction="none")
            for column, classifier in enumerate(self._classifiers)
        ]
        return -torch.stack(terms).sum(dim=0)

    def _reverse(self, z_t: Tensor, targets: Tensor, *, step: int, generator: torch.Generator) -> Tensor:
        """Draw the codes one step cleaner (Ho et al. 2020, eq. 6 and 7), the mean moved by the classifiers."""
        steps = torch.full((len(z_t),), step)
        kept, before = float(_KEPT[step]), float(_KEPT[step - 1]) if step else 1.0
        beta = 1.0 - kept / before
        with torch.no_grad():
            noise = self._denoiser(z_t, steps)
        # Codes lie on the unit sphere, so no entry of the denoised mean can leave [-1, 1].
        z = ((z_t - (1.0 - kept) ** 0.5 * noise) / kept**0.5).clamp(-1.0, 1.0)
        mean: Tensor = (before**0.5 * beta * z + (1.0 - beta) ** 0.5 * (1.0 - before) * z_t) / (1.0 - kept)
        moved = z_t.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self._log_likelihood(moved, steps, targets).sum(), moved)
        mean = mean + self._scale * beta * gradient
        if step == 0:
            return mean
        variance = beta * (1.0 - before) / (1.0 - kept)
        mean += variance**0.5 * torch.randn(z_t.shape, generator=generator)
        return mean

    def _encode(self, log_counts: sparse.csr_matrix) -> Tensor:
        with torch.no_grad():
            starts = range(0, log_counts.shape[0], 1024)
            blocks = (torch.from_numpy(log_counts[start : start + 1024].toarray()) for start in starts)
            return torch.cat([self._autoencoder.encode(block) for block in blocks])

    def _codes_of(self, obs: pd.DataFrame) -> Tensor:
        columns = [
            np.searchsorted(labels, obs[key].astype(str))
            for key, labels in zip(self._keys, self._vocabularies, strict=True)
        ]
        return torch.from_numpy(np.stack(columns, axis=1))


class _Autoencoder(nn.Module):
    def __init__(self, n_genes: int) -> None:
        super().__init__()
        self._encoder = nn.Sequential(*_layers((n_genes, 1024, 1024, 1024)), nn.Linear(1024, _WIDTH))
        self._decoder = nn.Sequential(*_layers((_WIDTH, 1024, 1024, 1024)), nn.Linear(1024, n_genes))

    def encode(self, log_counts: Tensor) -> Tensor:
        return functional.normalize(self._encoder(log_counts), dim=1)

    def decode(self, z: Tensor) -> Tensor:
        output: Tensor = self._decoder(z)
        return output


class _TimedNetwork(nn.Module):
    """Layers that depend on the step; one as wide as an earlier one adds what that one gave."""

    def __init__(self, widths: Sequence[int], n_out: int) -> None:
        super().__init__()
        self._time = TimeEmbedding(_TIME_WIDTH, n_frequencies=_TIME_WIDTH // 2, highest=float(_N_STEPS))
        self._layers = nn.ModuleList(_TimedLayer(*pair) for pair in pairwise((_WIDTH, *widths)))
        self._out = nn.Linear(widths[-1], n_out)

    def forward(self, z_t: Tensor, steps: Tensor) -> Tensor:
        hidden, time = z_t, self._time(steps / _N_STEPS)
        waiting: dict[int, Tensor] = {}
        for layer in self._layers:
            hidden = layer(hidden, time)
            width = hidden.shape[1]
            hidden = hidden + waiting.pop(width) if width in waiting else waiting.setdefault(width, hidden)
        output: Tensor = self._out(hidden)
        return output


class _TimedLayer(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self._linear = nn.Linear(n_in, n_out)
        self._time = nn.Linear(_TIME_WIDTH, n_out)
        self._norm = nn.LayerNorm(n_out)

    def forward(self, hidden: Tensor, time: Tensor) -> Tensor:
        return functional.silu(self._norm(self._linear(hidden) + self._time(time)))


def _layers(widths: Sequence[int]) -> Iterable[nn.Module]:
    for n_in, n_out in pairwise(widths):
        yield from (nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.PReLU())


def _noised(z: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
    kept = _KEPT[steps][:, None].float()
    return kept.sqrt() * z + (1.0 - kept).sqrt() * noise


_KEPT = torch.cumprod(1.0 - torch.linspace(1e-4, 0.02, _N_STEPS, dtype=torch.float64), dim=0)
