"""The final fit of dispersions: genes share a prior, and dispersions depend on mean and state."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from scdiffuse._core.processes import Processes
from scdiffuse.autoencoder._autoencoder import CountAutoencoder
from scdiffuse.autoencoder._counts import SparseCounts

__all__ = ["DispersionBlock", "DispersionFit", "block_nll"]

_LEAST_RATE = 1e-4  # of duplication: its log stays finite


class DispersionBlock(NamedTuple):
    """Some cells at fixed latents."""

    latent: Tensor
    """Latents, shape ``(B, D)``."""
    logits: Tensor
    """Unnormalised log expression fractions, shape ``(B, G)``."""
    cells: SparseCounts
    """Counts."""
    weights: Tensor
    """Weight of each cell, shape ``(B,)``."""
    place: int = 0
    """Number of the block among those of all processes."""


class DispersionFit:
    r"""Maximise the posterior of the parameters of a likelihood at fixed latents, over all cells at each step.

    A gene that is rarely detected says next to nothing about its own dispersion. Left to itself, it would stay where it
    started: thousands of such genes together are then drawn with too few twos. So the parameter of a gene is a centre
    that all genes share and an offset with a Gaussian prior of mean 0,

    .. math:: \theta_g = \theta_0 + \delta_g, \qquad \delta_g \sim \mathcal N(0, 1 / \lambda),

    and the centres are fitted beside the offsets, as are the exponent of the mean and the effects of latents. What all
    genes share is fitted alone at first, since offsets could take its place for a while. Near Poisson, gradients are
    small beside their noise over the cells of one training step, so that training cannot do this. Each parameter has a
    step size of its own that follows the sign of its gradient.

    Parameters
    ----------
    module
        The autoencoder; the parameters of its likelihood, and the dispersion loadings of its decoder, are changed.

    References
    ----------
    Riedmiller & Braun 1993, https://doi.org/10.1109/ICNN.1993.298623 (Rprop). Love et al. 2014,
    https://doi.org/10.1186/s13059-014-0550-8, eq. 5 (genes that share a prior of their dispersions).
    """

    def __init__(self, module: CountAutoencoder) -> None:
        config = module.config.dispersion
        self._module, self._likelihood = module, module.likelihood
        self._precisions = self._likelihood.precisions()
        self._genes = {name: self._likelihood.get_parameter(name) for name in self._precisions}
        self._centres, self._offsets = {}, {}
        for name, values in self._genes.items():
            given = values.detach()
            centre = given.median().reshape(1) if config.shared_prior else torch.zeros_like(given[:1])
            self._centres[name] = centre.clone()
            self._offsets[name] = torch.zeros_like(given) if config.shared_prior else given.clone()
        others = {name: one for name, one in self._likelihood.named_parameters() if name not in self._genes}
        rate = others.pop("duplication_rate", None)
        self._rates = [] if rate is None else [rate]
        self._shared = list(others.values()) if config.mean_dependence else []
        loadings = module.decoder.dispersion_loadings
        self._loadings = [loadings] if self._likelihood.takes_shift and config.state_dependence else []
        fitted = [*self._offsets.values(), *self._shared]
        if config.shared_prior:
            fitted += self._centres.values()
        groups = [{"params": fitted, "lr": config.first_step}]
        if self._loadings:
            groups.append({"params": self._loadings, "lr": config.first_state_step})
        if self._rates:
            groups.append({"params": self._rates, "lr": config.first_rate_step})
        self._optimiser = torch.optim.Rprop(
            groups,
            etas=(config.step_decrease, config.step_increase),
            step_sizes=(config.smallest_step, config.largest_step),
        )
        self._n_steps = 0
        self._write()

    def step(self, blocks: list[DispersionBlock], processes: Processes) -> None:
        """Take one step over all cells.

        Parameters
        ----------
        blocks
            Cells of this process.
        processes
            The processes that share the cells.
        """
        config = self._module.config.dispersion
        parameters = [*self._genes.values(), *self._shared, *self._rates, *self._loadings]
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        for block in blocks:
            block_nll(self._module, block).backward(inputs=parameters)  # type: ignore[no-untyped-call]
        for parameter in parameters:
            assert parameter.grad is not None
            processes.all_reduce(parameter.grad)
        for loadings in self._loadings:
            assert loadings.grad is not None
            loadings.grad.add_(loadings.detach(), alpha=config.state_precision)
        self._n_steps += 1
        self._share_gradients()
        self._optimiser.step()
        self._write()
        for parameter in parameters:
            parameter.grad = None

    def _share_gradients(self) -> None:
        """Turn the gradients of genes into those of centres and offsets, and add those of the priors."""
        config = self._module.config.dispersion
        penalty = self._likelihood.penalty()
        if not config.shared_prior and penalty.requires_grad:
            penalty.backward()  # type: ignore[no-untyped-call]
        for name, parameter in self._genes.items():
            gradient, offset = parameter.grad, self._offsets[name]
            assert gradient is not None
            if not config.shared_prior:
                offset.grad = gradient
                continue
            self._centres[name].grad = gradient.sum().reshape(1)
            is_alone = self._n_steps <= config.n_shared_steps
            offset.grad = None if is_alone else gradient + self._precisions[name] * offset

    @torch.no_grad()
    def _write(self) -> None:
        """Put the sums of centres and offsets into the likelihood."""
        for name, parameter in self._genes.items():
            parameter.copy_(self._centres[name] + self._offsets[name])
        for rate in self._rates:
            rate.clamp_(min=_LEAST_RATE)


def block_nll(module: CountAutoencoder, block: DispersionBlock) -> Tensor:
    """Compute the weighted negative log-likelihood of some cells at their latents, in nats.

    Parameters
    ----------
    module
        The autoencoder.
    block
        The cells.
    """
    likelihood = module.likelihood
    if not likelihood.takes_shift:
        return likelihood.nll(block.logits, block.cells, block.weights)
    shift = module.decoder.dispersion_shift(block.latent)
    return likelihood.nll(block.logits, block.cells, block.weights, shift=shift)  # type: ignore[call-arg]
