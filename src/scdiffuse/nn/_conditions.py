"""Conditions of cells as tensors, and their embedding; any condition may be missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from scdiffuse.nn._time import fourier_features
from scdiffuse.nn._unseen_labels import UnseenLabels

__all__ = ["ConditionEmbedding", "ConditionTensors"]

_LANES = 8  # in products of other widths, the last bits of a row depend on its position among the rows


class ConditionTensors(NamedTuple):
    """Conditions of ``B`` cells as tensors."""

    codes: Tensor
    """Code of each label, ``int64``, shape ``(B, C_categorical)``; -1 is missing."""
    values: Tensor
    """Standardised numbers, ``float32``, shape ``(B, C_continuous)``; NaN is missing."""

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.codes.shape[0])

    @property
    def n_conditions(self) -> int:
        """Number of conditions of both kinds."""
        return int(self.codes.shape[1] + self.values.shape[1])

    def columns(self, n_labels: Sequence[int], unseen: UnseenLabels | None = None) -> Tensor:
        """Encode labels one-hot, followed by the numbers; missing conditions are zeros.

        Parameters
        ----------
        n_labels
            Number of trained labels of each categorical condition.
        unseen
            Weights of trained labels that stand for unseen ones.

        Returns
        -------
        Columns, ``float32``, shape ``(B, sum(n_labels) + C_continuous)``.
        """
        found = []
        for at, n in enumerate(n_labels):
            code = self.codes[:, at]
            is_trained = (code >= 0) & (code < n)
            column = nn.functional.one_hot(torch.where(is_trained, code, n), n + 1)[:, :n].to(self.values.dtype)
            if unseen is not None and unseen.n_unseen[at]:
                column[code >= n] = unseen.weights(at)[code[code >= n] - n]
            found.append(column)
        return torch.cat([*found, self.values.nan_to_num(0.0)], dim=1)

    def rows(self, rows: Tensor | slice) -> Self:
        """Return the conditions of some of the cells."""
        return self._replace(codes=self.codes[rows], values=self.values[rows])

    def to(self, device: torch.device) -> Self:
        """Return the same conditions on a device."""
        return self._replace(codes=self.codes.to(device), values=self.values.to(device))

    def padded(self, n_cells: int) -> Self:
        """Append cells without conditions until there are `n_cells`."""
        n_more = n_cells - self.n_cells  # not `pad`, which refuses tables without columns up to PyTorch 2.6
        codes = self.codes.new_full((n_more, self.codes.shape[1]), -1)
        values = self.values.new_full((n_more, self.values.shape[1]), torch.nan)
        return self._replace(codes=torch.cat([self.codes, codes]), values=torch.cat([self.values, values]))

    def absent(self) -> Self:
        """Return the same cells with every condition missing."""
        codes, values = torch.full_like(self.codes, -1), torch.full_like(self.values, torch.nan)
        return self._replace(codes=codes, values=values)

    def without(self, drop: Tensor) -> Self:
        """Return the conditions with some of them missing.

        Parameters
        ----------
        drop
            Which conditions to hide, ``bool``, shape ``(B, C_categorical + C_continuous)``, categorical ones first.
        """
        n = self.codes.shape[1]
        codes = self.codes.masked_fill(drop[:, :n], -1)
        return self._replace(codes=codes, values=self.values.masked_fill(drop[:, n:], torch.nan))


class ConditionEmbedding(nn.Module):
    """Embed conditions so that each may be missing on its own and all may interact.

    Each label and each number has an embedding, and each condition has an embedding of being missing. The embeddings of
    a cell are added, and a small residual network lets them interact. Embeddings start at zero, so that an untrained
    network ignores its conditions.

    Parameters
    ----------
    n_labels
        Number of labels of each categorical condition.
    n_continuous
        Number of continuous conditions.
    width
        Width of the embedding.
    n_frequencies
        Fourier features of a number.
    highest
        Largest frequency of a number, in radians per two standard deviations; finer structure is noise.
    largest
        Largest number in standard deviations; larger ones are clamped.
    unseen
        Labels that no training cell has: each is embedded by the weighted mean of the embeddings of trained ones.
    """

    def __init__(
        self,
        n_labels: Sequence[int],
        n_continuous: int,
        width: int,
        *,
        n_frequencies: int = 8,
        highest: float = 8.0,
        largest: float = 4.0,
        unseen: UnseenLabels | None = None,
    ) -> None:
        super().__init__()
        self.unseen = unseen or UnseenLabels(n_labels)
        self.n_labels = tuple(n_labels)
        self.n_continuous = n_continuous
        self.width = width
        self.n_frequencies, self.highest, self.largest = n_frequencies, highest, largest
        n_features = 2 * n_frequencies + 1
        self._padding = (0, -n_features % _LANES)
        self.labels = nn.ModuleList(nn.Embedding(n + 1, width) for n in n_labels)  # the last row is "missing"
        self.numbers = nn.ModuleList(nn.Linear(n_features, width) for _ in range(n_continuous))
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
            embedded = table(torch.where((code < 0) | (code >= n), n, code))
            if self.unseen.n_unseen[at]:
                embedded[code >= n] = self.unseen.mixed(at, code, table.get_parameter("weight")[:n])
            total = total + embedded
        for at, linear in enumerate(self.numbers):
            missing = values[:, at].isnan()
            bounded = values[:, at].nan_to_num(0.0).clamp(-self.largest, self.largest)
            features = fourier_features(bounded / 2, self.n_frequencies, highest=self.highest)
            features = nn.functional.pad(torch.cat([bounded[:, None], features], dim=1), self._padding)
            weight, bias = linear.get_parameter("weight"), linear.get_parameter("bias")
            present = nn.functional.linear(features, nn.functional.pad(weight, self._padding), bias)
            total = total + torch.where(missing[:, None], self.missing_numbers[at], present)
        mixed: Tensor = total + self.outer(nn.functional.silu(self.inner(total)))
        return mixed
