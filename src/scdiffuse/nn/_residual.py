"""Residual block whose normalisation is modulated by time and conditions."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

__all__ = ["ModulatedBlock", "Modulation"]


class Modulation(NamedTuple):
    """Scale, shift and gate of a block; modulations of several sources add up."""

    scale: Tensor
    """Factor of the normalised features, shape ``(B, width)`` or ``(1, width)``."""
    shift: Tensor
    """Offset of the normalised features, same shape."""
    gate: Tensor
    """Factor of the residual update, same shape."""

    def plus(self, other: Modulation) -> Self:
        """Add the modulation of another source."""
        return self._replace(
            scale=self.scale + other.scale, shift=self.shift + other.shift, gate=self.gate + other.gate
        )


class ModulatedBlock(nn.Module):
    r"""Refine features with scales, shifts and gates that are linear in an embedding.

    .. math:: h \leftarrow h + g \odot W_2\, \mathrm{silu}\!\left(W_1 \left[a \odot \mathrm{norm}(h) + b\right]\right),
              \quad (a, b, g) = (1, 0, 1) + S e

    with :math:`e` the embedding. :math:`S` and :math:`W_2` start at zero, so that a fresh block changes nothing.

    Parameters
    ----------
    width
        Width of the features.
    embedding_width
        Width of the embedding.

    References
    ----------
    Peebles and Xie 2023, https://arxiv.org/abs/2212.09748 (adaptive layer norm with zero initialisation).
    """

    def __init__(self, width: int, embedding_width: int) -> None:
        super().__init__()
        self.width = width
        self.scale = nn.Linear(embedding_width, width)
        self.shift = nn.Linear(embedding_width, width)
        self.gate = nn.Linear(embedding_width, width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        for linear, start in ((self.scale, 1.0), (self.shift, 0.0), (self.gate, 1.0), (self.outer, 0.0)):
            nn.init.zeros_(linear.weight)
            nn.init.constant_(linear.bias, start)

    def modulate(self, embedding: Tensor) -> Modulation:
        """Compute the modulation of an embedding.

        Parameters
        ----------
        embedding
            Sum of the embeddings of time and conditions, shape ``(B, embedding_width)``.

        Returns
        -------
        Modulation of ``B`` cells.
        """
        return Modulation(self.scale(embedding), self.shift(embedding), self.gate(embedding))

    def modulate_without_bias(self, embedding: Tensor) -> Modulation:
        """Compute what one more summand of the embedding adds to the modulation: `modulate` without its biases.

        Parameters
        ----------
        embedding
            The summand, shape ``(B, embedding_width)``.

        Returns
        -------
        Modulation to add with `Modulation.plus`.
        """
        linear = nn.functional.linear
        return Modulation(*(linear(embedding, part.weight) for part in (self.scale, self.shift, self.gate)))

    def forward(self, h: Tensor, by: Modulation) -> Tensor:
        """Refine features.

        Parameters
        ----------
        h
            Features, shape ``(B, width)``.
        by
            Modulation of the block.

        Returns
        -------
        Refined features, shape ``(B, width)``.
        """
        modulated = torch.addcmul(by.shift, nn.functional.layer_norm(h, (self.width,)), by.scale)
        return torch.addcmul(h, self.outer(nn.functional.silu(self.inner(modulated))), by.gate)
