"""The least time that a training step can take: its products at the rate of a large one, its bytes at that of a copy.

A step has to multiply, forwards and twice backwards, every cell with the weights that it meets: all of a dense layer,
of the first layer of the encoder only those of the genes found in the cell (whose input needs no gradient). The logits
of the genes have to be written, read for the normaliser, read and written for the gradient, and read for its two
products; every weight read twice, its gradient written, and weight, moments and average read and written by the
optimiser. What the likelihood computes at the counts themselves is left out: the least time is an underestimate.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from scdiffuse import CellGenerator

_SIDE, _COPIED = 1_024, 1 << 26
_REPEATS = 5
_FLOAT = 4
_PASSES_OF_LOGITS = 6
_PASSES_OF_WEIGHTS = 12


class Rates(NamedTuple):
    """What one thread of this machine does in a second."""

    operations: float
    """Multiplications and additions of a large product of matrices."""
    bytes: float
    """Read and written by a large copy."""


class Work(NamedTuple):
    """What a step has to do."""

    operations: float
    bytes: float

    def seconds(self, rates: Rates) -> float:
        """Return the least time, products and bytes one after the other."""
        return self.operations / rates.operations + self.bytes / rates.bytes


def measure_rates() -> Rates:
    """Time a large product and a large copy, the best of several, with the threads that torch has."""
    import torch

    left, right = torch.rand(2, _SIDE, _SIDE)
    source = torch.rand(_COPIED // _FLOAT)
    target = torch.empty_like(source)
    product, copy = _best(lambda: left @ right), _best(lambda: target.copy_(source))
    return Rates(2 * _SIDE**3 / product, 2 * _COPIED / copy)


def work_of_steps(model: CellGenerator, *, found: int, batch: int) -> dict[str, Work]:
    """Count what a step of each network has to do.

    Parameters
    ----------
    model
        A fitted model.
    found
        Genes found in a cell.
    batch
        Cells of a step.
    """
    from benchmarks.inside import autoencoder_of, networks

    config, network, n_genes = model.config.autoencoder, autoencoder_of(model), len(model.genes)
    weights = _count(network)
    dense = _count(network.encoder) - config.n_hidden * n_genes + _count(network.decoder.body)
    operations = 6 * (config.n_latent + config.n_nonlinear) * n_genes + 4 * found * config.n_hidden + 6 * dense
    n_bytes = _PASSES_OF_LOGITS * batch * n_genes + _PASSES_OF_WEIGHTS * weights
    denoiser = _count(networks(model).denoiser)
    return {
        "autoencoder": Work(batch * operations, _FLOAT * n_bytes),
        "diffusion": Work(6 * batch * denoiser, _FLOAT * _PASSES_OF_WEIGHTS * denoiser),
    }


def _count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def _best(call: Callable[[], object]) -> float:
    call()
    spans = []
    for _ in range(_REPEATS):
        begin = time.perf_counter()
        call()
        spans.append(time.perf_counter() - begin)
    return min(spans)
