"""The misfit of counts on the main processor, value and gradient in compiled passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scdiffuse._core.threads import run_by_rows
from scdiffuse.autoencoder._counts import Counted
from scdiffuse.autoencoder.cpu._nll_types import CountedRows, GeneDispersions, GeneSums

__all__ = ["compiled_nll", "is_compiled_for"]

_VALUES_A_THREAD = 1 << 16  # logits below which a thread of their own takes longer than it saves


def is_compiled_for(logits: Tensor) -> bool:
    """Tell whether `compiled_nll` knows numbers of this kind."""
    return logits.device.type == "cpu" and logits.dtype == torch.float32


def compiled_nll(
    logits: Tensor,
    cells: Counted,
    weights: Tensor,
    *,
    log_inverse_dispersion: Tensor,
    outlier_component: tuple[Tensor, Tensor] | tuple[None, None] = (None, None),
) -> Tensor:
    """Score counts by a negative binomial, with bursts or without.

    The same as `_terms.dense_terms` and the gains of `_gains` together, up to rounding, in a quarter of the time.

    Parameters
    ----------
    logits
        Unnormalised log shares, shape ``(B, G)``, single precision.
    cells
        The non-zero counts of the cells.
    weights
        Weight of each cell, shape ``(B,)``, not differentiable.
    log_inverse_dispersion
        Log of the inverse dispersion of each gene, shape ``(G,)``.
    outlier_component
        Logs of the bursts a count and of the counts a burst of each gene, each of shape ``(G,)``; `None` for none.

    Returns
    -------
    The sum over the cells of minus the log probability in nats times the weight, shape ``()``, differentiable once.
    """
    score: Tensor = _CompiledNll.apply(logits, log_inverse_dispersion, *outlier_component, cells, weights)  # type: ignore[no-untyped-call]
    return score


class _CompiledNll(torch.autograd.Function):
    """Slopes are found with the value, in one pass over the logits."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes by position
        ctx: Any,  # noqa: ANN401
        logits: Tensor,
        log_inverse_dispersion: Tensor,
        log_rate: Tensor | None,
        log_outlier_size: Tensor | None,
        cells: Counted,
        weights: Tensor,
    ) -> Tensor:
        # The compiler takes half a second to import, which only those who train shall wait for.
        from scdiffuse.autoencoder.cpu._nll_kernels import nll_rows

        given = logits.detach().contiguous().numpy()
        top = torch.from_numpy(given.max(axis=1))  # by numpy, whose threads do not spin in the way of those below
        held = (cells.starts, cells.genes, cells.counts, cells.totals[:, 0], weights, top)
        rows = CountedRows(*(tensor.numpy() for tensor in held))
        shapes = _shapes(log_inverse_dispersion, log_rate, log_outlier_size)
        slope = np.empty((len(given) if ctx.needs_input_grad[0] else 0, given.shape[1]), np.float32)

        def score(part: tuple[int, int]) -> tuple[float, NDArray[np.float32]]:
            found = np.zeros((len(GeneSums._fields), given.shape[1]), np.float32)
            return nll_rows(given, rows, shapes, log_rate is not None, slope, GeneSums(*found), part), found

        parts = run_by_rows(score, len(given), at_most=given.size // _VALUES_A_THREAD)
        sums = GeneSums(*np.sum([found for _, found in parts], axis=0))
        whole = shapes.rate * shapes.part * sums.by_part  # the part of counts of no burst shrinks as bursts grow
        by_rate = sums.by_rate + shapes.rate * sums.by_zero_rate - (1 + shapes.outlier_size) * whole
        by_outlier_size = sums.by_outlier_size - shapes.outlier_size * whole
        ctx.slopes = [torch.from_numpy(one) for one in (slope, sums.by_inverse_dispersion, by_rate, by_outlier_size)]
        return torch.tensor(sum(total for total, _ in parts), dtype=torch.float32)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        factor = float(grads[0])
        asked = zip(ctx.slopes, ctx.needs_input_grad, strict=False)
        held = [slope if is_asked else None for slope, is_asked in asked]
        if factor != 1.0:
            held = [slope if slope is None else slope * factor for slope in held]
        return *held, None, None


def _shapes(
    log_inverse_dispersion: Tensor, log_rate: Tensor | None, log_outlier_size: Tensor | None
) -> GeneDispersions:
    log_inverse_dispersions = log_inverse_dispersion.detach().numpy()
    log_rates = rate = outlier_component = np.zeros_like(log_inverse_dispersions)
    if log_rate is not None and log_outlier_size is not None:
        log_rates, outlier_component = log_rate.detach().numpy(), np.exp(log_outlier_size.detach().numpy())
        rate = np.exp(log_rates)
    log_part = -np.log1p(rate * (1 + outlier_component))
    return GeneDispersions(
        log_inverse_dispersions,
        np.exp(log_inverse_dispersions),
        np.exp(-log_inverse_dispersions),
        log_rates,
        rate,
        outlier_component,
        log_part,
        np.exp(log_part),
    )
