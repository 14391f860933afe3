"""The fit of the chance that a molecule is counted twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from scdiffuse._core.processes import Processes
from scdiffuse._core.progress import Progress
from scdiffuse.autoencoder._autoencoder import CountAutoencoder
from scdiffuse.autoencoder._dispersion_fit import DispersionBlock, DispersionFit, block_nll
from scdiffuse.autoencoder.likelihoods import NegativeBinomial

__all__ = ["dispersions_of", "fit_duplicates"]

_SMALL_RATE, _LEAST_GAIN = 3e-3, 2.0  # the gain in nats over all cells, which chance has once in twenty times


def fit_duplicates(
    module: CountAutoencoder,
    blocks: list[DispersionBlock],
    processes: Processes,
    *,
    trained: Mapping[str, Tensor],
    progress: bool = False,
) -> None:
    """Fit the duplication rate with the dispersions, if cells are likelier with one; without one, nothing changes.

    Where counts come twice, dispersions alone give too many ones and too few twos. They are at their optimum without
    duplicates, so that the likelihood of a small rate at these dispersions tells whether a rate is worth its fit. The
    fit begins where training ended, as that without a rate did, so that dispersions do not keep what is explained by
    duplicates.

    Parameters
    ----------
    module
        The autoencoder, after the fit of its dispersions.
    blocks
        Cells of this process.
    processes
        The processes that share the cells.
    trained
        `dispersions_of` the autoencoder before that fit.
    progress
        Show a progress bar.
    """
    config, likelihood = module.config.dispersion, module.likelihood
    if not config.duplicates or not isinstance(likelihood, NegativeBinomial):
        return
    without, most = dispersions_of(module), _nll(module, blocks, processes) - _LEAST_GAIN
    likelihood.set_duplication_rate(_SMALL_RATE)
    if _nll(module, blocks, processes) < most:
        _restore(module, trained)
        likelihood.set_duplication_rate(config.first_duplication_rate)
        fit = DispersionFit(module)
        with Progress("duplicates", config.n_steps, enabled=progress) as bar:
            for _ in range(config.n_steps):
                fit.step(blocks, processes)
                bar.advance(1)
        if likelihood.duplicates >= config.least_duplication_rate and _nll(module, blocks, processes) < most:
            return
    likelihood.set_duplication_rate(0.0)
    _restore(module, without)


def dispersions_of(module: CountAutoencoder) -> dict[str, Tensor]:
    """Copy the parameters that the final fit of dispersions changes, by name.

    Parameters
    ----------
    module
        The autoencoder.
    """
    return {name: parameter.detach().clone() for name, parameter in _parameters(module)}


@torch.no_grad()
def _restore(module: CountAutoencoder, saved: Mapping[str, Tensor]) -> None:
    for name, parameter in _parameters(module):
        if name in saved:
            parameter.copy_(saved[name])


def _parameters(module: CountAutoencoder) -> Iterator[tuple[str, nn.Parameter]]:
    yield from module.likelihood.named_parameters()
    yield "dispersion_loadings", module.decoder.dispersion_loadings


@torch.no_grad()
def _nll(module: CountAutoencoder, blocks: list[DispersionBlock], processes: Processes) -> float:
    """Sum the negative log-likelihood over the cells of all processes."""
    return processes.total(sum(float(block_nll(module, block)) for block in blocks))
