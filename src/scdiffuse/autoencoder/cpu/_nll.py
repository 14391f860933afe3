"""Negative log-likelihood of counts on the CPU, value and gradient in compiled passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.threads import run_by_rows
from scdiffuse.autoencoder._counts import SparseCounts
from scdiffuse.autoencoder.cpu._nll_types import CellSums, CountRows, GeneDispersions, GeneSums

__all__ = ["compiled_nll", "is_compiled_for"]

_VALUES_A_THREAD = 1 << 16  # logits below which a thread of their own takes longer than it saves


def is_compiled_for(logits: Tensor) -> bool:
    """Tell whether `compiled_nll` takes logits of this device and type."""
    return logits.device.type == "cpu" and logits.dtype == torch.float32


def compiled_nll(
    logits: Tensor,
    cells: SparseCounts,
    weights: Tensor,
    *,
    log_inverse_dispersion: Tensor,
    outlier_component: tuple[Tensor, Tensor] | tuple[None, None] = (None, None),
    state: tuple[Tensor, Tensor] | tuple[None, None] = (None, None),
) -> Tensor:
    """Compute the negative log-likelihood of counts under a negative binomial, with an outlier component or without.

    The result is that of `likelihoods._dense.dense_terms` and of the ratios in `likelihoods._log_ratio` together, up to
    rounding, in a quarter of the time.

    Parameters
    ----------
    logits
        Unnormalised log expression fractions, shape ``(B, G)``, single precision.
    cells
        The non-zero counts of the cells.
    weights
        Weight of each cell, shape ``(B,)``, not differentiable.
    log_inverse_dispersion
        Log of the inverse dispersion of each gene, shape ``(G,)``.
    outlier_component
        Logs of rate and size of the outliers of each gene, each of shape ``(G,)``; `None` turns the component off.
    state
        Exponent of the mean in inverse dispersions, shape ``(1,)``, and the shift of their logs in each cell, shape
        ``(B,)``; with `None`, dispersions are the same in all cells.

    Returns
    -------
    The sum over the cells of the negative log-likelihood in nats times the weight, shape ``()``, differentiable once.
    """
    nll: Tensor = _CompiledNll.apply(logits, log_inverse_dispersion, *outlier_component, *state, cells, weights)  # type: ignore[no-untyped-call]
    return nll


class _CompiledNll(torch.autograd.Function):
    """Value and gradients come from one pass over the logits."""

    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 - autograd passes by position
        ctx: Any,  # noqa: ANN401
        logits: Tensor,
        log_inverse_dispersion: Tensor,
        log_outlier_rate: Tensor | None,
        log_outlier_size: Tensor | None,
        mean_exponent: Tensor | None,
        shift: Tensor | None,
        cells: SparseCounts,
        weights: Tensor,
    ) -> Tensor:
        # numba takes half a second to import, which only training needs.
        from scdiffuse.autoencoder.cpu._nll_kernels import nll_rows

        values = logits.detach().contiguous().numpy()
        top = torch.from_numpy(values.max(axis=1))  # by numpy, whose threads do not spin in the way of those below
        shifts = weights if shift is None else shift.detach()  # not read where dispersions do not vary
        row_tensors = (cells.starts, cells.genes, cells.counts, cells.totals[:, 0], weights, top, shifts)
        rows = CountRows(*(tensor.numpy() for tensor in row_tensors))
        dispersions = _gene_dispersions(log_inverse_dispersion, (log_outlier_rate, log_outlier_size), mean_exponent)
        with_outliers = log_outlier_rate is not None
        cell_sums = CellSums(*np.zeros((len(CellSums._fields), len(values)), np.float32))
        gradient = np.empty((len(values) if ctx.needs_input_grad[0] else 0, values.shape[1]), np.float32)

        def score(part: tuple[int, int]) -> tuple[float, NDArray[np.float32]]:
            sums = np.zeros((len(GeneSums._fields), values.shape[1]), np.float32)
            found = GeneSums(*sums)
            nll = nll_rows(values, rows, dispersions, with_outliers, gradient, found, cell_sums, part)
            return nll, sums

        parts = run_by_rows(score, len(values), at_most=values.size // _VALUES_A_THREAD)
        sums = GeneSums(*np.sum([found for _, found in parts], axis=0))
        rate, size = dispersions.outlier_rate, dispersions.outlier_size
        by_both = rate * dispersions.plain_fraction * sums.by_plain_fraction  # more outliers leave fewer plain counts
        by_rate = sums.by_rate + rate * sums.by_zero_rate - (1 + size) * by_both
        by_size = sums.by_outlier_size - size * by_both
        by_exponent = cell_sums.by_exponent.sum(keepdims=True)
        found = (gradient, sums.by_inverse_dispersion, by_rate, by_size, by_exponent, cell_sums.by_shift)
        ctx.gradients = [torch.from_numpy(one) for one in found]
        return torch.tensor(sum(total for total, _ in parts), dtype=torch.float32)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        factor = float(grads[0])
        pairs = zip(ctx.gradients, ctx.needs_input_grad, strict=False)
        gradients = [gradient if is_needed else None for gradient, is_needed in pairs]
        if factor != 1.0:
            gradients = [gradient if gradient is None else gradient * factor for gradient in gradients]
        return *gradients, None, None


def _gene_dispersions(
    log_inverse_dispersion: Tensor, outlier_component: tuple[Tensor | None, Tensor | None], exponent: Tensor | None
) -> GeneDispersions:
    log_r = log_inverse_dispersion.detach().numpy()
    log_rate = rate = size = np.zeros_like(log_r)
    log_outlier_rate, log_outlier_size = outlier_component
    if log_outlier_rate is not None and log_outlier_size is not None:
        log_rate, size = log_outlier_rate.detach().numpy(), np.exp(log_outlier_size.detach().numpy())
        rate = np.exp(log_rate)
    log_plain_fraction = -np.log1p(rate * (1 + size))
    return GeneDispersions(
        log_r,
        np.exp(log_r),
        np.exp(-log_r),
        log_rate,
        rate,
        size,
        log_plain_fraction,
        np.exp(log_plain_fraction),
        np.float32(0.0 if exponent is None else exponent.item()),
        exponent is not None,
    )
