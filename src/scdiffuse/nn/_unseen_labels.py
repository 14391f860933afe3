"""Labels that no training cell has, as weighted means of labels that training cells have."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["UnseenLabels"]


class UnseenLabels(nn.Module):
    """Weights of the trained labels that stand for labels without training cells.

    Codes count the trained labels of a condition from 0 and go on with its unseen labels.

    Parameters
    ----------
    n_labels
        Number of trained labels of each categorical condition.
    n_unseen
        Number of unseen labels of each; none unless given.
    n_mapped
        How many of these, the last ones, are known by cells that were mapped; none unless given. The weights of a
        mapped label are equal: gene factors hold what its cells have for themselves.
    """

    def __init__(self, n_labels: Sequence[int], n_unseen: Sequence[int] = (), n_mapped: Sequence[int] = ()) -> None:
        super().__init__()
        self.n_labels = tuple(n_labels)
        self.n_unseen = tuple(n_unseen) or (0,) * len(self.n_labels)
        self.n_mapped = tuple(n_mapped) or (0,) * len(self.n_labels)
        for at, (n, more) in enumerate(zip(self.n_labels, self.n_unseen, strict=True)):
            if more:
                self.register_buffer(f"weights_{at}", torch.full((more, n), 1.0 / n))
                self.register_buffer(f"expected_error_{at}", torch.ones(more))

    @property
    def conditions(self) -> list[int]:
        """Positions of the conditions that have unseen labels."""
        return [at for at, more in enumerate(self.n_unseen) if more]

    def mapped_row(self, at: int, code: int) -> int:
        """Return the row of a mapped label among those of its condition; below 0 for all other labels."""
        return code - self.n_labels[at] - self.n_unseen[at] + self.n_mapped[at]

    def weights(self, at: int) -> Tensor:
        """Return the weights of the trained labels of a condition, shape ``(n_unseen, n_labels)``; rows sum to 1."""
        return self.get_buffer(f"weights_{at}")

    def expected_error(self, at: int) -> Tensor:
        """Return the part of the effect of each unseen label that is expected to be missed, shape ``(n_unseen,)``."""
        return self.get_buffer(f"expected_error_{at}")

    def set(self, at: int, weights: Tensor, expected_error: Tensor) -> None:
        """Set weights and expected errors of a condition, shapes as `weights` and `expected_error` return them."""
        self.weights(at).copy_(weights)
        self.expected_error(at).copy_(expected_error)

    def mixed(self, at: int, codes: Tensor, rows: Tensor) -> Tensor:
        """Put weighted means of the rows of trained labels in the place of unseen labels.

        Parameters
        ----------
        at
            Position of the condition.
        codes
            Codes of ``B`` cells, shape ``(B,)``.
        rows
            A row for each trained label, shape ``(n_labels, ...)``.

        Returns
        -------
        A row for each cell that has an unseen label, shape ``(n, ...)``.
        """
        n = self.n_labels[at]
        return self.weights(at)[codes[codes >= n] - n] @ rows
