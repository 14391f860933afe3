"""The denoiser: predict the mean of the clean latents from noisy ones (x0 prediction)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from scdiffuse.diffusion._compiled_denoiser import CompiledDenoisedMean
from scdiffuse.diffusion._config import DiffusionConfig
from scdiffuse.diffusion._path import angle, scales
from scdiffuse.nn import (
    ConditionalMean,
    ConditionEmbedding,
    ConditionTensors,
    ModulatedBlock,
    Modulation,
    TimeEmbedding,
    UnseenLabels,
)

__all__ = ["DenoisedMean", "Denoiser", "LatentDenoiser"]


class DenoisedMean(Protocol):
    """Denoised mean of cells with fixed conditions."""

    def __call__(self, z_t: Tensor, t: Tensor) -> Tensor:
        """Predict the mean of the clean latents.

        Parameters
        ----------
        z_t
            Noisy latents, shape ``(B, D)``.
        t
            Times, shape ``()`` or ``(B,)``.

        Returns
        -------
        Mean of ``z`` given ``z_t``, shape ``(B, D)``.
        """
        ...


class Denoiser(Protocol):
    """Predicts clean latents from noisy ones; solvers call it and guides wrap it."""

    def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
        """Fix the conditions of ``B`` cells, once for all steps.

        Parameters
        ----------
        conditions
            Conditions of ``B`` cells, any of them missing.

        Returns
        -------
        A function of noisy latents and times that returns the denoised means of these cells.
        """
        ...


class LatentDenoiser(nn.Module):
    r"""Denoiser of latents of unit variance, preconditioned so that a zero network is right for a normal distribution.

    With :math:`\theta` the angle of time, :math:`m(c)` the conditional mean of cells with the conditions :math:`c` and
    :math:`y = z_t / \sqrt{\alpha_t^2 + \sigma_t^2} - \cos\theta\, m(c)`,

    .. math:: \mathrm{mean} = m(c) + \cos\theta\, y + \sin\theta\, F(y, \theta, c),

    which a zero network makes exact for :math:`z \sim \mathcal{N}(m(c), 1)`. Beside its blocks, :math:`F` has a gain
    and a shift of each latent that follow time and conditions, which is all that other normal distributions need.

    Parameters
    ----------
    n_latent
        Width ``D`` of the latent.
    n_labels
        Number of labels of each categorical condition.
    n_continuous
        Number of continuous conditions.
    config
        Width and depth.
    n_unseen
        Number of labels of each categorical condition that no training cell has.
    n_mapped
        How many of these are known by cells that were mapped.

    References
    ----------
    Karras et al. 2022, https://arxiv.org/abs/2206.00364, section 5, with data of unit variance on the linear path.
    """

    def __init__(
        self,
        n_latent: int,
        *,
        n_labels: Sequence[int] = (),
        n_continuous: int = 0,
        config: DiffusionConfig,
        n_unseen: Sequence[int] = (),
        n_mapped: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.n_latent = n_latent
        self.n_labels = tuple(n_labels)
        self.n_continuous = n_continuous
        self.config = config
        self.time = TimeEmbedding(config.embedding_width)
        unseen = UnseenLabels(n_labels, n_unseen, n_mapped)
        self.conditions = ConditionEmbedding(n_labels, n_continuous, config.embedding_width, unseen=unseen)
        self.conditional_mean = ConditionalMean(
            n_labels, n_continuous, n_latent, pairwise_interactions=config.pairwise_interactions, unseen=unseen
        )
        self.read = nn.Linear(n_latent, config.width)
        self.blocks = nn.ModuleList(ModulatedBlock(config.width, config.embedding_width) for _ in range(config.depth))
        self.write = nn.Linear(config.width, n_latent)
        self.gain = nn.Linear(config.embedding_width, n_latent)
        self.shift = nn.Linear(config.embedding_width, n_latent)
        for linear in (self.write, self.gain, self.shift):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, y: Tensor, theta: Tensor, conditions: ConditionTensors) -> Tensor:
        """Evaluate the network ``F`` for training.

        Parameters
        ----------
        y
            Noisy latents minus the conditional mean at this noise, shape ``(B, D)``.
        theta
            Angles of their times, shape ``(B,)``.
        conditions
            Conditions of the cells.

        Returns
        -------
        ``F``, shape ``(B, D)``.
        """
        embedding = self.time(theta) + self.conditions(conditions)
        refined = self._refine(y, [block.modulate(embedding) for block in self.modulated_blocks])
        return torch.addcmul(refined + self.shift(embedding), self.gain(embedding), y)

    def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
        """Fix the conditions of ``B`` cells; the embedding of conditions is computed once for all times.

        Parameters
        ----------
        conditions
            Conditions of ``B`` cells, any of them missing.

        Returns
        -------
        A function of noisy latents and times that returns the denoised means of these cells.
        """
        weight = self.read.weight
        if weight.device.type != "cpu" or weight.dtype != torch.float32:
            return self._on_any_device(conditions)
        compiled = None

        def denoised_mean(z_t: Tensor, t: Tensor) -> Tensor:
            nonlocal compiled
            if t.ndim or torch.is_grad_enabled():
                return self._on_any_device(conditions)(z_t, t)
            compiled = compiled or CompiledDenoisedMean(self, conditions)
            return compiled(z_t, t)

        return denoised_mean

    def _on_any_device(self, conditions: ConditionTensors) -> DenoisedMean:
        """Fix conditions on any device, for times that may differ between cells, and with gradients."""
        embedding, conditional_mean = self.conditions(conditions), self.conditional_mean(conditions)
        fixed = [block.modulate(embedding) for block in self.modulated_blocks]
        fixed_gain, fixed_shift = self.gain(embedding), self.shift(embedding)

        def denoised_mean(z_t: Tensor, t: Tensor) -> Tensor:
            theta = angle(t)[..., None]
            y = z_t / scales(t).norm[..., None] - theta.cos() * conditional_mean
            of_time = self.time(theta.reshape(-1))
            pairs = zip(self.modulated_blocks, fixed, strict=True)
            by = [part.plus(block.modulate_without_bias(of_time)) for block, part in pairs]
            gain = fixed_gain + nn.functional.linear(of_time, self.gain.weight)
            shift = fixed_shift + nn.functional.linear(of_time, self.shift.weight)
            network = torch.addcmul(self._refine(y, by) + shift, gain, y)
            denoised: Tensor = conditional_mean + theta.cos() * y + theta.sin() * network
            return denoised

        return denoised_mean

    @property
    def modulated_blocks(self) -> list[ModulatedBlock]:
        """The residual blocks."""
        return [block for block in self.blocks if isinstance(block, ModulatedBlock)]

    def _refine(self, y: Tensor, by: list[Modulation]) -> Tensor:
        h = self.read(y)
        for block, modulation in zip(self.blocks, by, strict=True):
            h = block(h, modulation)
        refined: Tensor = self.write(nn.functional.layer_norm(h, (self.config.width,)))
        return refined
