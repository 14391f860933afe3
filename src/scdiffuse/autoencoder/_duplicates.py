"""The fit of the duplication rate: how many more times than once a molecule is counted on average."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from scdiffuse._core.processes import Processes
from scdiffuse._core.progress import Progress
from scdiffuse._core.random import cell_keys
from scdiffuse.autoencoder._autoencoder import CountAutoencoder
from scdiffuse.autoencoder._dispersion_fit import DispersionBlock, DispersionFit, block_nll
from scdiffuse.autoencoder.likelihoods import NegativeBinomial

__all__ = ["dispersions_of", "fit_duplicates"]


def fit_duplicates(
    module: CountAutoencoder,
    blocks: list[DispersionBlock],
    processes: Processes,
    *,
    trained: Mapping[str, Tensor],
    seed: int = 0,
    progress: bool = False,
) -> None:
    """Fit the duplication rate with the dispersions, where it is needed and cells are likelier; or change nothing.

    Where molecules have duplicates, cells drawn with dispersions alone have too few twos beside their ones. The fit
    begins where training ended, as that without a rate did, so that dispersions keep nothing that duplicates explain.

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
    seed
        Seed of the drawn cells.
    progress
        Show a progress bar.
    """
    config, likelihood = module.config.dispersion, module.likelihood
    if not config.duplicates or not isinstance(likelihood, NegativeBinomial):
        return
    if _missing_twos(module, blocks, processes, seed=seed) < config.missing_twos:
        return
    most = min(config.n_duplicates_cells, config.n_duplicates_logits / module.n_genes)
    every = math.ceil(_n_cells(blocks, processes) / most)
    some = [block for block in blocks if block.place % every == 0]
    without, fitted = _nll(module, some, processes), dispersions_of(module)
    _restore(module, trained)
    likelihood.set_duplication_rate(config.first_duplication_rate)
    fit = DispersionFit(module)
    n_cells = _n_cells(some, processes)
    with Progress("duplicates", config.n_steps * n_cells, enabled=progress) as bar:
        for _ in range(config.n_steps):
            fit.step(some, processes)
            bar.advance(n_cells)
    if likelihood.duplicates < config.least_duplication_rate or _nll(module, some, processes) >= without:
        likelihood.set_duplication_rate(0.0)
        _restore(module, fitted)


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
        parameter.copy_(saved[name])


def _parameters(module: CountAutoencoder) -> Iterator[tuple[str, nn.Parameter]]:
    yield from module.likelihood.named_parameters()
    yield "dispersion_loadings", module.decoder.dispersion_loadings


def _n_cells(blocks: list[DispersionBlock], processes: Processes) -> int:
    """Count the cells of all processes."""
    return round(processes.total(sum(len(block.weights) for block in blocks)))


def _missing_twos(module: CountAutoencoder, blocks: list[DispersionBlock], processes: Processes, *, seed: int) -> float:
    """Divide the twos for each one in the cells by those in cells drawn at their latents."""
    numbers = torch.zeros(2, 2, dtype=torch.float64)
    for block in blocks:
        library_sizes = block.cells.totals[:, 0].cpu().numpy().astype(np.int64)
        keys = cell_keys(seed, f"twos {block.place}", np.arange(len(library_sizes)))
        drawn = torch.from_numpy(module.decode(block.latent, library_sizes, keys).data)
        for sample, counts in enumerate((block.cells.counts.cpu(), drawn)):
            numbers[sample] += torch.stack([(counts == n).sum() for n in (1, 2)])
    processes.all_reduce(numbers)
    ones, twos = (numbers + 1).T
    return float(twos[0] / ones[0] * ones[1] / twos[1])


@torch.no_grad()
def _nll(module: CountAutoencoder, blocks: list[DispersionBlock], processes: Processes) -> float:
    """Sum the negative log-likelihood over the cells of all processes."""
    return processes.total(sum(float(block_nll(module, block)) for block in blocks))
