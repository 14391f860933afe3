"""What a likelihood of counts offers, and where its dispersion parameters start."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse.autoencoder._counts import Counted

__all__ = ["UMI_START", "DispersionStart", "Likelihood", "dispersion_start"]

_READS = 4.0  # counts that a gene has each time it is found, from which on counts are reads


class DispersionStart(NamedTuple):
    """Where the shapes of all genes begin, by the names of the parameters."""

    log_inverse_dispersion: float
    """Log of the inverse dispersion."""
    log_outlier_rate: float
    """Log of the bursts a count."""
    log_outlier_size: float
    """Log of the counts a burst."""


UMI_START = DispersionStart(5.0, -6.5, 2.5)
"""Nearly Poisson, so that latents explain first and dispersion takes what they leave; isolated bursts."""


def dispersion_start(counts_per_detection: float) -> DispersionStart:
    """Choose where shapes begin.

    Molecules are counted one by one. Reads of one molecule come together, so that a gene is either missed or has many,
    and a start near Poisson stays where it began: its gradient says nothing about what lies that far.

    Parameters
    ----------
    counts_per_detection
        Counts that a usual gene has each time it is found: hardly more than 1 for molecules, dozens for reads.
    """
    return UMI_START if counts_per_detection < _READS else DispersionStart(-1.5, -3.0, math.log(counts_per_detection))


class Likelihood(Protocol):
    """A distribution of counts with its own parameters for each gene."""

    def start(self, shapes: DispersionStart) -> None:
        """Set the parameters of all genes to where they begin."""

    def nll_per_cell(self, logits: Tensor, cells: Counted, *, outliers: bool = True) -> Tensor:
        """Score counts; `logits` has shape ``(B, G)``, the result ``(B,)`` is in nats a cell."""

    def nll(self, logits: Tensor, cells: Counted, weights: Tensor, *, outliers: bool = True) -> Tensor:
        """Sum what `nll_per_cell` says over cells with weights ``(B,)``; the result is ``()``."""

    def penalty(self) -> Tensor:
        """Return minus the log prior of the parameters, in nats for the whole data set."""

    def sample(
        self, fractions: NDArray[np.float32], library_size: NDArray[np.int64], keys: NDArray[np.uint64]
    ) -> sp.csr_matrix:
        """Draw counts; `fractions` has shape ``(B, G)``, `library_size` and `keys` of the cells' streams ``(B,)``."""
