"""Library sizes as the diffusion sees them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["LibrarySizeScore"]

_RISE = 1e-6  # of the log at each score, so that sizes which many cells have still rise
_ONE_SIZE = 0.1  # of the log, from the least to the largest: cells brought to one depth, whose spread says nothing
_APART = 1e-5  # of the log: more than sizes that many cells have rise, less than two sizes differ


class LibrarySizeScore(nn.Module):
    r"""Library sizes as normal scores, so that a normal distribution of scores is the distribution of library sizes.

    The library size at the score :math:`s` is the quantile of the training cells at :math:`\Phi(s)`, between knots in
    the log. Thresholds that cells had to pass stay thresholds, instead of being smeared out.

    Parameters
    ----------
    by_quantiles
        Whether scores follow the quantiles of the training cells. If not, a score is the standardised log of the
        library size, and library sizes are log-normal.
    n_knots
        Quantiles that are kept.
    """

    knots: Tensor
    scores: Tensor
    spread: Tensor

    def __init__(self, *, by_quantiles: bool = True, n_knots: int = 129) -> None:
        super().__init__()
        self.by_quantiles = by_quantiles
        self.register_buffer("knots", torch.linspace(-1.0, 1.0, n_knots, dtype=torch.float64))
        self.register_buffer("scores", self.knots.clone())
        self.register_buffer("spread", torch.ones((), dtype=torch.float64))

    def learn(self, library_sizes: NDArray[np.number]) -> None:
        """Read the quantiles off the training cells.

        Parameters
        ----------
        library_sizes
            Library sizes of the training cells, shape ``(N,)``, at least 1.
        """
        from scipy.special import ndtr, ndtri

        logs = np.log(np.asarray(library_sizes, dtype=np.float64))
        spread = max(float(logs.std()), 1e-3)
        end = float(ndtri(1.0 - 0.5 / max(len(logs), 2)))
        scores = np.linspace(-end, end, len(self.knots))
        knots = logs.mean() + spread * scores
        if self.by_quantiles:
            knots = np.quantile(logs, ndtr(scores), method="hazen") + _RISE * scores
        self.scores.copy_(torch.from_numpy(scores))
        self.knots.copy_(torch.from_numpy(knots))
        self.spread.fill_(spread)

    def of(self, library_sizes: NDArray[np.number]) -> NDArray[np.float64]:
        """Find the scores of library sizes; beyond those of training, scores go on as those of a log-normal.

        A size that many cells have is the middle of its quantiles. Where the training cells were brought to one size,
        all beyond are as the nearest of them.

        Parameters
        ----------
        library_sizes
            Library sizes, shape ``(B,)``, at least 1.
        """
        from scipy.special import ndtr, ndtri

        logs = np.log(np.asarray(library_sizes, dtype=np.float64))
        knots, scores = self.knots.cpu().numpy(), self.scores.cpu().numpy()
        if self.by_quantiles and knots[-1] - knots[0] < _ONE_SIZE:
            logs = logs.clip(knots[0], knots[-1])
        first, last = (ndtr(np.interp(logs + apart, knots, scores)) for apart in (-_APART, _APART))
        inside = ndtri((first + last) / 2)
        beyond = (logs - np.clip(logs, knots[0], knots[-1])) / float(self.spread)
        found: NDArray[np.float64] = inside + beyond
        return found

    def library_sizes(self, scores: Tensor) -> NDArray[np.int64]:
        """Find the library sizes at scores, within those of the training cells.

        Parameters
        ----------
        scores
            Shape ``(B,)``.
        """
        logs = np.interp(scores.double().cpu().numpy(), self.scores.cpu().numpy(), self.knots.cpu().numpy())
        found: NDArray[np.int64] = np.exp(logs).round().astype(np.int64)
        return found
