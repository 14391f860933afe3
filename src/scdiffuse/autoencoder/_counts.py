"""The non-zero counts of a batch, as tensors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

__all__ = ["SparseCounts", "read_counts"]


class SparseCounts(NamedTuple):
    """The non-zero counts of a batch, as tensors."""

    counts: Tensor
    """Counts, shape ``(nnz,)``, at least 1."""
    starts: Tensor
    """Where each cell starts among the counts, and the end of the last cell, shape ``(B + 1,)``."""
    genes: Tensor
    """Gene of each count, shape ``(nnz,)``."""
    totals: Tensor
    """Library size of each cell, shape ``(B, 1)``, at least 1."""

    @property
    def rows(self) -> Tensor:
        """Cell of each count, shape ``(nnz,)``."""
        cells = torch.arange(len(self.totals), device=self.starts.device)
        # With the output size given, an accelerator needs no synchronisation.
        return torch.repeat_interleave(cells, self.starts.diff(), output_size=len(self.counts))


def read_counts(counts: sp.csr_matrix, device: torch.device) -> SparseCounts:
    """Copy the non-zero counts of a batch to a device.

    Parameters
    ----------
    counts
        Counts of the cells, shape ``(B, G)``, without stored zeros.
    device
        Device of the tensors.
    """
    totals = np.maximum(np.asarray(counts.sum(axis=1)), 1.0).astype(np.float32)
    return SparseCounts(
        torch.from_numpy(counts.data.astype(np.float32)).to(device),
        torch.from_numpy(counts.indptr.astype(np.int64)).to(device),
        torch.from_numpy(counts.indices.astype(np.int64)).to(device),
        torch.from_numpy(totals).to(device),
    )
