from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from tests.oracles import MixtureDenoiser, labels

from scdiffuse._core.errors import SettingError
from scdiffuse.diffusion import DenoisedMean, Denoiser, sample
from scdiffuse.guidance import ClassifierFreeGuide
from scdiffuse.nn import ConditionTensors

ORACLE = MixtureDenoiser(torch.tensor([[1.0, 0.0], [0.0, 1.5]]).double(), 0.4, torch.tensor([0.7, 0.3]).double())


@dataclass
class Counting:
    """A denoiser that counts how often it is asked."""

    denoiser: Denoiser
    calls: list[int] = field(default_factory=list)

    def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
        denoised_mean = self.denoiser.condition_on(conditions)

        def count(z_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            self.calls.append(1)
            return denoised_mean(z_t, t)

        return count


def noisy() -> tuple[torch.Tensor, ConditionTensors]:
    return torch.randn(30, 2, generator=torch.Generator().manual_seed(0)).double(), labels(torch.arange(30) % 3 - 1)


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 2.5])
def test_the_guided_score_is_that_of_the_weighted_density(scale: float) -> None:
    """Tweedie: mean = (z_t + sigma^2 score) / alpha, and the score of p(z_t) [p(z_t | c) / p(z_t)]^s is known."""
    z_t, conditions = noisy()
    t, alpha, sigma = torch.tensor(0.6).double(), 0.4, 0.6
    z_t.requires_grad_()
    variance = alpha**2 * ORACLE.std**2 + sigma**2
    parts = -0.5 * ((z_t[:, None] - alpha * ORACLE.centers) ** 2).sum(2) / variance
    free = (parts + ORACLE.weights.log()).logsumexp(1)
    codes = conditions.codes[:, 0]
    own = torch.where(codes < 0, free, parts.gather(1, codes.clamp(min=0)[:, None])[:, 0])
    (score,) = torch.autograd.grad((free + scale * (own - free)).sum(), z_t)
    guided = ClassifierFreeGuide(ORACLE, scale).condition_on(conditions)(z_t.detach(), t)
    torch.testing.assert_close(guided, (z_t.detach() + sigma**2 * score) / alpha, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("scale", "calls"), [(0.0, 4), (1.0, 4), (2.0, 8)])
def test_only_what_is_needed_is_computed(scale: float, calls: int) -> None:
    z_t, conditions = noisy()
    counting = Counting(ORACLE)
    sample(ClassifierFreeGuide(counting, scale), z_t, conditions, solver_steps=4)
    assert len(counting.calls) == calls


def test_scale_one_is_the_conditional_and_zero_the_free_denoiser() -> None:
    z_t, conditions = noisy()
    assert torch.equal(sample(ClassifierFreeGuide(ORACLE, 1.0), z_t, conditions), sample(ORACLE, z_t, conditions))
    assert torch.equal(
        sample(ClassifierFreeGuide(ORACLE, 0.0), z_t, conditions), sample(ORACLE, z_t, conditions.absent())
    )


def test_missing_conditions_are_not_guided() -> None:
    z_t, _ = noisy()
    nothing = labels(torch.full((30,), -1))
    guided = sample(ClassifierFreeGuide(ORACLE, 3.0), z_t, nothing)
    torch.testing.assert_close(guided, sample(ORACLE, z_t, nothing))


def test_outside_of_the_interval_the_conditional_holds() -> None:
    z_t, conditions = noisy()
    guide = ClassifierFreeGuide(ORACLE, 2.0, interval=(0.3, 0.6)).condition_on(conditions)
    plain, strong = ORACLE.condition_on(conditions), ClassifierFreeGuide(ORACLE, 2.0).condition_on(conditions)
    t = torch.linspace(0.1, 0.9, 30).double()
    inside = (t >= 0.3) & (t <= 0.6)
    expected = torch.where(inside[:, None], strong(z_t, t), plain(z_t, t))
    torch.testing.assert_close(guide(z_t, t), expected)
    assert torch.equal(guide(z_t, t[0]), plain(z_t, t[0]))


def test_a_larger_scale_moves_cells_further_from_the_other_label() -> None:
    noise = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)).double()
    conditions = labels(torch.zeros(500, dtype=torch.int64))
    means = [float(sample(ClassifierFreeGuide(ORACLE, s), noise, conditions)[:, 1].mean()) for s in (0.0, 1.0, 2.0)]
    assert means[0] > means[1] + 0.1 > means[2] + 0.2


@pytest.mark.parametrize("scale", [-0.5, float("inf"), float("nan")])
def test_a_scale_out_of_range_is_refused(scale: float) -> None:
    with pytest.raises(SettingError, match="The scale of guidance must be 0 or more"):
        ClassifierFreeGuide(ORACLE, scale)


@pytest.mark.parametrize("interval", [(0.5, 0.5), (-0.1, 0.5), (0.5, 1.1)])
def test_an_interval_out_of_range_is_refused(interval: tuple[float, float]) -> None:
    with pytest.raises(SettingError, match="The guidance interval must run from a lower to a higher time"):
        ClassifierFreeGuide(ORACLE, 2.0, interval)
