"""Parametric bootstrap: what finite training costs by itself, with the fitted model as the truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import anndata as ad

from scdiffuse._core.errors import SettingError

__all__ = ["Bootstrap", "parametric_bootstrap"]

_LEAST_CELLS = 20


class Generator(Protocol):
    """Anything that generates cells."""

    def generate(self, n_cells: int, /, *, seed: int) -> ad.AnnData | Path:
        """Generate cells, in memory."""


class Bootstrap(NamedTuple):
    """Cells for `evaluate`: ``evaluate(..., truth=bootstrap.truth, refitted=bootstrap.refitted)``."""

    truth: ad.AnnData
    """Fresh cells of the fitted model, which the refitted model never saw."""
    refitted: ad.AnnData
    """Cells of the refitted model."""


def parametric_bootstrap(
    model: Generator, refit: Callable[[ad.AnnData], Generator], *, n_fit: int, n_cells: int, seed: int = 0
) -> Bootstrap:
    """Fit a second model to cells of a first, to learn what finite training costs by itself.

    A generator carries the sampling error of the cells that it was fitted to, and a classifier with many cells sees
    it, however right the model is. Here the fitted model is the truth: a model refitted to as many of its cells makes
    that error and no other, apart from what the fit itself does. A classifier that tells the two apart at .56 leaves
    of an AUC of .60 against real cells only .04 to what the model gets wrong. It costs one more fit.

    Parameters
    ----------
    model
        The fitted model; anything with ``generate(n_cells, seed=...)``.
    refit
        Fits a model to cells, with the settings of the first; called once.
    n_fit
        Cells to refit to: as many as the model was fitted to.
    n_cells
        Cells of either model to compare: as many as are evaluated.
    seed
        Seed of the cells.

    Returns
    -------
    Cells of both models.

    Raises
    ------
    SettingError
        ``n_fit`` or ``n_cells`` is below 20.

    References
    ----------
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 6.5.
    """
    for name, value in (("n_fit", n_fit), ("n_cells", n_cells)):
        if value < _LEAST_CELLS:
            msg = f"`{name}` is {value}, expected at least {_LEAST_CELLS}. Take as many as the model was fitted to."
            raise SettingError(msg)
    drawn = _generate(model, n_fit + n_cells, seed=seed)
    training, truth = drawn[:n_fit].copy(), drawn[n_fit:].copy()
    return Bootstrap(truth, _generate(refit(training), n_cells, seed=seed + 1))


def _generate(model: Generator, n_cells: int, *, seed: int) -> ad.AnnData:
    cells = model.generate(n_cells, seed=seed)
    assert isinstance(cells, ad.AnnData), "no path was given"
    return cells
