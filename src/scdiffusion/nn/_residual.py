"""Residual block whose normalisation is steered by time and conditions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ModulatedBlock"]


class ModulatedBlock(nn.Module):
    r"""Refine features under shifts, scales and gates that come from outside.

    .. math:: h \leftarrow h + g \odot W_2\, \mathrm{silu}\!\left(W_1 \left[(1 + a) \odot \mathrm{norm}(h) + b
              \right]\right)

    with :math:`(a, b, g)` the modulation. The last layer starts at zero, so that a fresh block changes nothing.

    Parameters
    ----------
    width
        Width of the features.

    References
    ----------
    Peebles and Xie 2023, https://arxiv.org/abs/2212.09748 (adaptive layer norm with zero initialisation).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, h: Tensor, modulation: Tensor) -> Tensor:
        """Refine features.

        Parameters
        ----------
        h
            Features, shape ``(B, width)``.
        modulation
            Scale, shift and gate side by side, shape ``(B, 3 * width)``; zeros leave all three neutral.

        Returns
        -------
        Refined features, shape ``(B, width)``.
        """
        scale, shift, gate = modulation.chunk(3, dim=1)
        normal = nn.functional.layer_norm(h, (self.width,))
        steered = torch.addcmul(normal + shift, normal, scale)
        change = self.outer(nn.functional.silu(self.inner(steered)))
        return torch.addcmul(h + change, change, gate)
