"""The compiled negative log-likelihood and its gradient equal those on tensors, for extreme numbers too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.special import log1p
from torch import Tensor

from scdiffuse._core.compiled import compiled
from scdiffuse.autoencoder import NegativeBinomial, OutlierNegativeBinomial, SparseCounts, read_counts
from scdiffuse.autoencoder.cpu import _vectors as vectors

N_CELLS, N_GENES = 7, 1_100  # more genes than a block holds
WEIGHTS = torch.linspace(0.2, 2.0, N_CELLS)


def _random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def cells() -> SparseCounts:
    """Counts from none to thousands; the third cell has none, the fourth more than a block holds."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(0.2, 5.0, (N_CELLS, N_GENES)))
    counts[2] = 0
    counts[3] += 1
    counts[4, :4] = 1, 1023, 1024, 90_000
    return read_counts(sp.csr_matrix(counts), torch.device("cpu"))


def _likelihood(kind: type[NegativeBinomial], *, size: float, spread: float) -> NegativeBinomial:
    likelihood = kind(N_GENES)
    with torch.no_grad():
        for at, name in enumerate(likelihood.precisions()):
            likelihood.get_parameter(name).add_(spread * _random(at, N_GENES))
        likelihood.mean_exponent.fill_(0.4)
        likelihood.log_inverse_dispersion.add_(size)
    return likelihood


def _both(
    likelihood: NegativeBinomial, logits: Tensor, cells: SparseCounts, *, outliers: bool = True, varies: bool = False
) -> list[list[Tensor]]:
    """Value and gradients, compiled and in double precision."""
    found = []
    for exact in (False, True):
        held = cells
        if exact:
            likelihood, logits = likelihood.double(), logits.double()
            held = cells._replace(counts=cells.counts.double(), totals=cells.totals.double())
        given = logits.clone().requires_grad_()
        shift = torch.linspace(-4.0, -1.0, N_CELLS, dtype=logits.dtype, requires_grad=True)
        of_state = shift if varies else None
        nll = likelihood.nll(given, held, WEIGHTS.to(logits.dtype), outliers=outliers, shift=of_state)
        inputs = [given, *likelihood.parameters(), shift]
        gradients = torch.autograd.grad(nll, inputs, allow_unused=True, materialize_grads=True)
        found.append([nll.detach(), *gradients])
    return found


@pytest.mark.parametrize("log_size", [20.0, 24.0, 40.0])
@pytest.mark.parametrize("kind", [NegativeBinomial, OutlierNegativeBinomial])
def test_dispersions_of_poisson_counts_have_no_bound(
    cells: SparseCounts, kind: type[NegativeBinomial], log_size: float
) -> None:
    likelihood = kind(N_GENES)
    with torch.no_grad():
        likelihood.log_inverse_dispersion.fill_(log_size)
    (nll, by_logits, *_), (exact, expected, *_) = _both(likelihood, 2 * _random(9, N_CELLS, N_GENES), cells)
    assert nll.item() == pytest.approx(exact.item(), rel=1e-5)
    np.testing.assert_allclose(by_logits, expected, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("outliers", [True, False])
@pytest.mark.parametrize("kind", [NegativeBinomial, OutlierNegativeBinomial])
@pytest.mark.parametrize(("size", "spread"), [(-5.0, 0.0), (-6.0, 1.5), (10.0, 0.5)])
def test_compiled_loops_compute_what_tensors_do(
    cells: SparseCounts, kind: type[NegativeBinomial], size: float, spread: float, *, outliers: bool, varies: bool
) -> None:
    likelihood = _likelihood(kind, size=size, spread=spread)
    (nll, *gradients), (exact, *expected) = _both(
        likelihood, 2 * _random(9, N_CELLS, N_GENES), cells, outliers=outliers, varies=varies
    )
    assert nll.item() == pytest.approx(exact.item(), rel=3e-5 if varies else 1e-5)
    for one, other in zip(gradients, expected, strict=True):
        part = 1e-3 if varies else 3e-4  # near Poisson, single precision loses digits of dispersions
        torch.testing.assert_close(one.double(), other, rtol=0.0, atol=part * float(other.abs().max()))


def test_logits_that_differ_by_hundreds_give_finite_gradients(cells: SparseCounts) -> None:
    logits = 2 * _random(9, N_CELLS, N_GENES)
    logits[0, :50] = -300.0
    logits[1, 7] = 200.0
    likelihood = _likelihood(OutlierNegativeBinomial, size=0.0, spread=0.5)
    (nll, *gradients), _ = _both(likelihood, logits, cells)
    assert all(bool(torch.isfinite(one).all()) for one in (nll, *gradients))


def test_nan_logits_give_a_nan(cells: SparseCounts) -> None:
    logits = _random(9, N_CELLS, N_GENES)
    logits[5, 1000] = torch.nan
    assert OutlierNegativeBinomial(N_GENES).nll(logits, cells, WEIGHTS).isnan()


def test_threads_change_rounding_only(
    cells: SparseCounts, set_threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    likelihood, logits = _likelihood(OutlierNegativeBinomial, size=-5.0, spread=1.0), _random(9, N_CELLS, N_GENES)
    monkeypatch.setattr("scdiffuse.autoencoder.cpu._nll._VALUES_A_THREAD", 1)
    found = []
    for n in (1, 3):
        set_threads(n)
        given = logits.clone().requires_grad_()
        shift = torch.linspace(-1.0, 1.0, N_CELLS, requires_grad=True)
        nll = likelihood.nll(given, cells, WEIGHTS, shift=shift)
        found.append([nll.detach(), *torch.autograd.grad(nll, [given, *likelihood.parameters(), shift])])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=0.0, atol=0.0)  # a cell does not depend on the others


def test_a_factor_of_the_nll_is_one_of_the_gradients(cells: SparseCounts) -> None:
    likelihood, logits = OutlierNegativeBinomial(N_GENES), _random(9, N_CELLS, N_GENES).requires_grad_()
    once, thrice = (
        torch.autograd.grad(factor * likelihood.nll(logits, cells, WEIGHTS), logits)[0] for factor in (1.0, 3.0)
    )
    torch.testing.assert_close(thrice, 3 * once)


@pytest.mark.parametrize(
    ("name", "exact", "lowest", "highest"),
    [("exp_into", np.exp, -86.0, 87.0), ("log1p_into", log1p, 1e-12, 1e12), ("log_into", np.log, 1e-37, 1e37)],
)
def test_elementary_functions_have_the_digits_of_their_type(
    name: str, exact: np.ufunc, lowest: float, highest: float
) -> None:
    x = np.linspace(lowest, highest, 100_001) if name == "exp_into" else np.geomspace(lowest, highest, 100_001)
    x = x.astype(np.float32)
    found = np.empty_like(x)
    compiled(fused=True)(getattr(vectors, name).py_func)(x, found)
    np.testing.assert_allclose(
        found, exact(x.astype(np.float64)), rtol=5e-7 if name == "exp_into" else 3e-7, atol=1e-12
    )
