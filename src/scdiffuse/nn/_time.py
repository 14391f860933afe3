"""Smooth features of a number, and the embedding of time made of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["TimeEmbedding", "fourier_features"]


def fourier_features(position: Tensor, n_frequencies: int, *, highest: float) -> Tensor:
    r"""Turn numbers into sines and cosines, so that a linear map can be any smooth function of them.

    .. math:: \left(\cos \omega_k x, \sin \omega_k x\right)_k, \quad
              \omega_k = \omega_{\max}^{k / (n - 1)}, \quad k = 0, \dots, n - 1.

    Parameters
    ----------
    position
        Numbers of order one, any shape ``(*)``.
    n_frequencies
        Number of frequencies, at least 2.
    highest
        The largest frequency in radians per unit; the lowest is 1.

    Returns
    -------
    Features between -1 and 1, shape ``(*, 2 * n_frequencies)``.

    References
    ----------
    Tancik et al. 2020, https://arxiv.org/abs/2006.10739.

    Examples
    --------
    >>> fourier_features(torch.zeros(1), 2, highest=8.0)
    tensor([[1., 1., 0., 0.]])
    """
    steps = torch.arange(n_frequencies, dtype=position.dtype, device=position.device) / (n_frequencies - 1)
    angles = position[..., None] * torch.exp(math.log(highest) * steps)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimeEmbedding(nn.Module):
    """Embed the position between data and noise.

    Parameters
    ----------
    width
        Width of the embedding.
    n_frequencies
        Frequencies of the features.
    highest
        The largest frequency in radians per unit of position.
    """

    def __init__(self, width: int, *, n_frequencies: int = 16, highest: float = 32.0) -> None:
        super().__init__()
        self.n_frequencies = n_frequencies
        self.highest = highest
        self.inner = nn.Linear(2 * n_frequencies, width)
        self.outer = nn.Linear(width, width)

    def forward(self, position: Tensor) -> Tensor:
        """Embed positions.

        Parameters
        ----------
        position
            Position between data and noise, of order one, any shape ``(*)``.

        Returns
        -------
        Embeddings, shape ``(*, width)``.
        """
        features = fourier_features(position, self.n_frequencies, highest=self.highest)
        embedded: Tensor = self.outer(nn.functional.silu(self.inner(features)))
        return embedded
