"""Embedding of any number of conditions, any of them missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from scdiffuse.nn._time import fourier_features

__all__ = ["ConditionEmbedding", "ConditionTensors"]

_FREQUENCIES = 8
# Zeros beside the features of a number: in narrow products of other lengths, a row depends on its place among the rows.
_ROOM = (0, -(2 * _FREQUENCIES + 1) % 8)
_HIGHEST = 8.0  # radians per standard deviation: finer wiggles of a condition are noise
_SPREAD = 4.0  # beyond this many standard deviations a number reads as the bound


class ConditionTensors(NamedTuple):
    """Conditions of ``B`` cells as tensors."""

    codes: Tensor
    """Code of each label, ``int64``, shape ``(B, C_categorical)``; -1 is missing."""
    values: Tensor
    """Standardised numbers, ``float32``, shape ``(B, C_continuous)``; NaN is missing."""

    @property
    def n_cells(self) -> int:
        """Cells that the conditions belong to."""
        return int(self.codes.shape[0])

    @property
    def n_conditions(self) -> int:
        """Conditions of both kinds."""
        return int(self.codes.shape[1] + self.values.shape[1])

    def columns(self, n_labels: Sequence[int]) -> Tensor:
        """Write labels as columns of zeros and ones, and numbers as they are, behind them; missing ones are zeros.

        Parameters
        ----------
        n_labels
            Number of labels of each categorical condition.

        Returns
        -------
        Columns, ``float32``, shape ``(B, sum(n_labels) + C_continuous)``.
        """
        found = []
        for at, n in enumerate(n_labels):
            code = self.codes[:, at]
            found.append(nn.functional.one_hot(torch.where(code < 0, n, code), n + 1)[:, :n].to(self.values.dtype))
        return torch.cat([*found, self.values.nan_to_num(0.0)], dim=1)

    def rows(self, rows: Tensor | slice) -> Self:
        """Return the conditions of some of the cells."""
        return self._replace(codes=self.codes[rows], values=self.values[rows])

    def to(self, device: torch.device) -> Self:
        """Return the same conditions on a device."""
        return self._replace(codes=self.codes.to(device), values=self.values.to(device))

    def padded(self, n_cells: int) -> Self:
        """Return the same conditions, and cells without conditions after them until there are `n_cells`."""
        room = (0, 0, 0, n_cells - self.n_cells)
        codes = nn.functional.pad(self.codes, room, value=-1)
        return self._replace(codes=codes, values=nn.functional.pad(self.values, room, value=torch.nan))

    def absent(self) -> Self:
        """Return the same cells with every condition missing."""
        codes, values = torch.full_like(self.codes, -1), torch.full_like(self.values, torch.nan)
        return self._replace(codes=codes, values=values)

    def without(self, drop: Tensor) -> Self:
        """Return the conditions with some of them missing.

        Parameters
        ----------
        drop
            Which to take away, ``bool``, shape ``(B, C_categorical + C_continuous)``, categorical ones first.
        """
        n = self.codes.shape[1]
        codes = self.codes.masked_fill(drop[:, :n], -1)
        return self._replace(codes=codes, values=self.values.masked_fill(drop[:, n:], torch.nan))


class ConditionEmbedding(nn.Module):
    """Embed conditions so that each may be missing on its own and all may interact.

    Each label and each number has an embedding, each condition an embedding of being missing; those of a cell are
    added, and a small residual network lets them interact. Embeddings start at zero, so that an untrained network
    ignores its conditions.

    Parameters
    ----------
    n_labels
        Number of labels of each categorical condition.
    n_continuous
        Number of continuous conditions.
    width
        Width of the embedding.
    """

    def __init__(self, n_labels: Sequence[int], n_continuous: int, width: int) -> None:
        super().__init__()
        self.n_labels = tuple(n_labels)
        self.n_continuous = n_continuous
        self.width = width
        self.labels = nn.ModuleList(nn.Embedding(n + 1, width) for n in n_labels)  # the last row is "missing"
        self.numbers = nn.ModuleList(nn.Linear(2 * _FREQUENCIES + 1, width) for _ in range(n_continuous))
        self.missing_numbers = nn.Parameter(torch.zeros(n_continuous, width))
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        for part in (*self.labels, *self.numbers, self.outer):
            for parameter in part.parameters():
                nn.init.zeros_(parameter)

    def forward(self, conditions: ConditionTensors) -> Tensor:
        """Embed the conditions of cells.

        Parameters
        ----------
        conditions
            Codes and numbers of ``B`` cells.

        Returns
        -------
        Embeddings, shape ``(B, width)``.
        """
        codes, values = conditions
        total = values.new_zeros(codes.shape[0], self.width)
        for at, (table, n) in enumerate(zip(self.labels, self.n_labels, strict=True)):
            code = codes[:, at]
            total = total + table(torch.where(code < 0, n, code))
        for at, linear in enumerate(self.numbers):
            missing = values[:, at].isnan()
            bounded = values[:, at].nan_to_num(0.0).clamp(-_SPREAD, _SPREAD)
            features = fourier_features(bounded / 2, _FREQUENCIES, highest=_HIGHEST)
            features = nn.functional.pad(torch.cat([bounded[:, None], features], dim=1), _ROOM)
            weight, bias = linear.get_parameter("weight"), linear.get_parameter("bias")
            present = nn.functional.linear(features, nn.functional.pad(weight, _ROOM), bias)
            total = total + torch.where(missing[:, None], self.missing_numbers[at], present)
        mixed: Tensor = total + self.outer(nn.functional.silu(self.inner(total)))
        return mixed
