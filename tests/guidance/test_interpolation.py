from __future__ import annotations

import pytest
import torch
from tests.guidance.test_classifier_free import Counting
from tests.oracles import GaussianDenoiser, MixtureDenoiser, labels
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse.diffusion import sample, scales
from scdiffuse.guidance import ClassifierFreeGuide, GradientInterpolation, pair_conditions
from scdiffuse.nn import ConditionTensors

A = GaussianDenoiser(torch.tensor([1.0, 0.0]).double(), torch.tensor([0.5, 0.8]).double())
B = GaussianDenoiser(torch.tensor([-1.0, 2.0]).double(), torch.tensor([0.5, 0.8]).double())
ORACLE = MixtureDenoiser(torch.tensor([[1.0, 0.0], [0.0, 1.5]]).double(), 0.4, torch.tensor([0.7, 0.3]).double())


def noise(n: int = 30) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0)).double()


def pulled(n: int, weight: float) -> ConditionTensors:
    zeros = torch.zeros(n, dtype=torch.int64)
    return pair_conditions(labels(zeros), labels(zeros + 1), torch.full((n,), weight))


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 1.0])
def test_the_interpolated_score_is_that_of_the_product_of_densities(weight: float) -> None:
    """Tweedie: mean = (z_t + sigma^2 score) / alpha, and the score of p_a(z_t)^(1-w) p_b(z_t)^w is known."""
    z_t = noise().requires_grad_()
    t = torch.tensor(0.6).double()
    alpha, sigma = scales(t)
    log_density = torch.zeros(len(z_t)).double()
    for share, part in ((1.0 - weight, A), (weight, B)):
        variance = alpha**2 * part.std**2 + sigma**2
        log_density = log_density - 0.5 * share * ((z_t - alpha * part.center) ** 2 / variance).sum(1)
    (score,) = torch.autograd.grad(log_density.sum(), z_t)
    interpolated = GradientInterpolation(A, B).condition_on(pulled(30, weight))(z_t.detach(), t)
    torch.testing.assert_close(interpolated, (z_t.detach() + sigma**2 * score) / alpha, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_normal_targets_of_one_width_are_interpolated_at_their_mean(weight: float) -> None:
    between = GaussianDenoiser((1.0 - weight) * A.center + weight * B.center, A.std)
    z = sample(GradientInterpolation(A, B), noise(), pulled(30, weight), solver_steps=64)
    torch.testing.assert_close(z, between.end(noise()), atol=2e-3, rtol=0)


def test_each_cell_has_its_own_weight() -> None:
    weights = torch.tensor([0.0, 0.4, 1.0]).repeat(10)
    zeros = torch.zeros(30, dtype=torch.int64)
    together = sample(
        GradientInterpolation(ORACLE, ORACLE), noise(), pair_conditions(labels(zeros), labels(zeros + 1), weights)
    )
    for weight in (0.0, 0.4, 1.0):
        mine = weights == weight
        alone = sample(GradientInterpolation(ORACLE, ORACLE), noise()[mine], pulled(10, weight))
        assert torch.equal(together[mine], alone)


@pytest.mark.parametrize(("weight", "calls"), [(0.0, 4), (0.5, 8), (1.0, 4)])
def test_a_target_without_weight_is_not_computed(weight: float, calls: int) -> None:
    counting = Counting(ORACLE)
    sample(GradientInterpolation(counting, counting), noise(), pulled(30, weight), solver_steps=4)
    assert len(counting.calls) == calls


def test_two_equal_targets_are_one() -> None:
    counting, own = Counting(ORACLE), labels(torch.arange(30) % 2)
    z = sample(
        GradientInterpolation(counting, counting),
        noise(),
        pair_conditions(own, own, torch.full((30,), 0.5)),
        solver_steps=4,
    )
    assert len(counting.calls) == 4
    assert torch.equal(z, sample(ORACLE, noise(), own, solver_steps=4))


def test_guides_are_interpolated_with_their_guidance() -> None:
    guide = ClassifierFreeGuide(ORACLE, 2.0)
    zeros, t = torch.zeros(30, dtype=torch.int64), torch.tensor(0.5).double()
    interpolated = GradientInterpolation(guide, guide).condition_on(pulled(30, 0.25))(noise(), t)
    expected = 0.75 * guide.condition_on(labels(zeros))(noise(), t) + 0.25 * guide.condition_on(labels(zeros + 1))(
        noise(), t
    )
    torch.testing.assert_close(interpolated, expected)


def test_weights_out_of_range_are_refused() -> None:
    with pytest.raises(SettingError, match=r"Weights must lie between 0 \(start\) and 1 \(target\), got 1.5"):
        pulled(3, 1.5)


def test_targets_of_other_cells_are_refused() -> None:
    with pytest.raises(SettingError, match="Both targets need the same columns for the same cells"):
        pair_conditions(
            labels(torch.zeros(3, dtype=torch.int64)), labels(torch.zeros(2, dtype=torch.int64)), torch.zeros(3)
        )
