"""Compiled denoiser for CPUs: denoised means at little more than the cost of their matrix products."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse.diffusion._config import DiffusionConfig
from scdiffuse.diffusion._path import angle, scales
from scdiffuse.nn import ConditionalMean, ConditionEmbedding, ConditionTensors, ModulatedBlock, TimeEmbedding

__all__ = ["CompiledDenoisedMean"]

_AT_ONCE = 32  # distinct combinations of conditions embedded together, a constant number: see `SAMPLED_AT_ONCE`
Floats = NDArray[np.float32]


class DenoiserLayers(Protocol):
    """The layers of a `LatentDenoiser` that the compiled denoiser evaluates."""

    config: DiffusionConfig
    n_latent: int
    time: TimeEmbedding
    conditions: ConditionEmbedding
    conditional_mean: ConditionalMean
    read: nn.Linear
    write: nn.Linear
    gain: nn.Linear
    shift: nn.Linear

    @property
    def modulated_blocks(self) -> list[ModulatedBlock]:
        """The residual blocks."""


class _Product(NamedTuple):
    """Weights of a matrix product and the bias added to it."""

    bias: Tensor
    weight: Tensor


class CompiledDenoisedMean:
    """Denoised mean of cells with fixed conditions, at one time for all of them, without gradients.

    The result equals that of `LatentDenoiser` on other devices up to rounding. Cells with the same conditions share the
    modulation that these conditions add, and compiled passes over features that stay in the cache do everything but the
    matrix products.

    Parameters
    ----------
    denoiser
        The network, in single precision, on the CPU.
    conditions
        Conditions of ``B`` cells.
    """

    def __init__(self, denoiser: DenoiserLayers, conditions: ConditionTensors) -> None:
        self._denoiser = denoiser
        self._read, self._write = _product(denoiser.read), _product(denoiser.write)
        self._products = [(_product(block.inner), _product(block.outer)) for block in denoiser.modulated_blocks]
        heads: list[tuple[nn.Linear, ...]] = []
        for block in denoiser.modulated_blocks:
            heads += [(block.scale, block.shift), (block.gate,)]
        heads.append((denoiser.gain, denoiser.shift))
        linears = [linear for head in heads for linear in head]
        self._weight = torch.cat([linear.weight for linear in linears]).t()
        self._ends = np.cumsum([sum(linear.out_features for linear in head) for head in heads]).tolist()
        first, self._which = _distinct(conditions)
        modulation, self._conditional_mean = self._bind_conditions(
            conditions.rows(first), torch.cat([linear.bias for linear in linears])
        )
        self._modulation = [np.ascontiguousarray(band) for band in self._bands(modulation)]
        shape = (conditions.n_cells, denoiser.config.width)
        self._h, self._inner, self._outer = torch.empty(shape), torch.empty(shape), torch.empty(shape)
        identity = np.repeat(np.array([1.0, 0.0], np.float32), denoiser.config.width)
        self._unmodulated = (np.zeros((1, identity.size), np.float32), identity, np.zeros(conditions.n_cells, np.int64))

    def __call__(self, z_t: Tensor, t: Tensor) -> Tensor:
        """Predict clean latents ``(B, D)`` from noisy ones at a time ``()``."""
        # The compiler takes half a second to import; only generation waits for it.
        from scdiffuse.diffusion import _kernels

        theta = angle(t)
        cosine, sine = float(theta.cos()), float(theta.sin())
        y = torch.add(z_t / scales(t).norm, self._conditional_mean, alpha=-cosine)
        of_time = self._bands((self._denoiser.time(theta[None]) @ self._weight).numpy()[0])
        network = self._refine(y, of_time)
        _kernels.affine(network.numpy(), y.numpy(), self._modulation[-1], of_time[-1], self._which)
        return torch.add(torch.add(self._conditional_mean, y, alpha=cosine), network, alpha=sine)

    def _refine(self, y: Tensor, of_time: list[Floats]) -> Tensor:
        from scdiffuse.diffusion import _kernels

        inner, outer, which = self._inner, self._outer, self._which
        h, change = self._h.numpy(), outer.numpy()
        torch.addmm(self._read.bias, y, self._read.weight, out=self._h)
        for at, (first, second) in enumerate(self._products):
            _kernels.modulate(h, self._modulation[2 * at], of_time[2 * at], which, change)
            torch.addmm(first.bias, outer, first.weight, out=inner)
            nn.functional.silu(inner, inplace=True)
            torch.addmm(second.bias, inner, second.weight, out=outer)
            _kernels.gate(h, change, self._modulation[2 * at + 1], of_time[2 * at + 1], which)
        _kernels.modulate(h, *self._unmodulated, change)
        return torch.addmm(self._write.bias, outer, self._write.weight)

    def _bind_conditions(self, conditions: ConditionTensors, bias: Tensor) -> tuple[Floats, Tensor]:
        """Compute the modulation that conditions add, a row each, and the conditional means of the cells."""
        n = conditions.n_cells
        modulation, conditional_mean = np.empty((n, len(bias)), np.float32), torch.empty(n, self._denoiser.n_latent)
        for begin in range(0, n, _AT_ONCE):
            rows = slice(begin, min(begin + _AT_ONCE, n))
            block = conditions.rows(rows).padded(_AT_ONCE)
            added = torch.addmm(bias, self._denoiser.conditions(block), self._weight)
            modulation[rows] = added[: rows.stop - begin].numpy()
            conditional_mean[rows] = self._denoiser.conditional_mean(block)[: rows.stop - begin]
        return modulation, conditional_mean[torch.from_numpy(self._which)]

    def _bands(self, packed: Floats) -> list[Floats]:
        """Split the outputs of all heads, which lie side by side."""
        return [packed[..., begin:end] for begin, end in zip([0, *self._ends], self._ends, strict=False)]


def _product(linear: nn.Linear) -> _Product:
    return _Product(linear.bias, linear.weight.t())


def _distinct(conditions: ConditionTensors) -> tuple[Tensor, NDArray[np.int64]]:
    """Find a cell for each combination of conditions, and the combination of each cell."""
    which, first = np.zeros(conditions.n_cells, np.int64), np.zeros(1, np.int64)
    values = (
        conditions.values.contiguous().view(torch.int32).numpy()
    )  # by their bits, so that missing values are values too
    for column in (*conditions.codes.numpy().T, *values.T):
        labels, of_cell = np.unique(column, return_inverse=True)
        _, first, which = np.unique(which * len(labels) + of_cell, return_index=True, return_inverse=True)
    return torch.from_numpy(first), which
