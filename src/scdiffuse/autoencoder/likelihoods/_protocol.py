"""What a likelihood of counts offers, and where its dispersion parameters start."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse.autoencoder._counts import Counted

__all__ = ["UMIS", "Likelihood", "Shapes", "shapes_of"]

_READS = 4.0  # counts that a gene has each time it is found, from which on counts are reads


class Shapes(NamedTuple):
    """Where the shapes of all genes begin, by the names of the parameters."""

    log_size: float
    """Log of the inverse dispersion."""
    log_burst_rate: float
    """Log of the bursts a count."""
    log_burst_size: float
    """Log of the counts a burst."""


UMIS = Shapes(5.0, -6.5, 2.5)
"""Nearly Poisson, so that latents explain first and dispersion takes what they leave; isolated bursts."""


def shapes_of(clump: float) -> Shapes:
    """Choose where shapes begin.

    Molecules are counted one by one. Reads of one molecule come together, so that a gene is either missed or has many,
    and a start near Poisson stays where it began: its gradient says nothing about what lies that far.

    Parameters
    ----------
    clump
        Counts that a usual gene has each time it is found: hardly more than 1 for molecules, dozens for reads.
    """
    return UMIS if clump < _READS else Shapes(-1.5, -3.0, math.log(clump))


class Likelihood(Protocol):
    """A distribution of counts with its own parameters for each gene."""

    def start(self, shapes: Shapes) -> None:
        """Set the parameters of all genes to where they begin."""

    def neg_log_prob(self, logits: Tensor, cells: Counted, *, outliers: bool = True) -> Tensor:
        """Score counts; `logits` has shape ``(B, G)``, the result ``(B,)`` is in nats a cell."""

    def misfit(self, logits: Tensor, cells: Counted, weights: Tensor, *, outliers: bool = True) -> Tensor:
        """Sum what `neg_log_prob` says over cells with weights ``(B,)``; the result is ``()``."""

    def penalty(self) -> Tensor:
        """Return minus the log prior of the parameters, in nats for the whole data set."""

    def sample(
        self, shares: NDArray[np.float32], library_size: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> sp.csr_matrix:
        """Draw counts; `shares` has shape ``(B, G)``, `library_size` and the `keys` of the cells' streams ``(B,)``."""
