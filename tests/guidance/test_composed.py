"""Guidance scales for each condition, sums of conditions and negative guidance, on a mixture with two conditions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse.diffusion import DenoisedMean, Denoiser, sample
from scdiffuse.guidance import ClassifierFreeGuide, NegativeTarget
from scdiffuse.nn import ConditionTensors

MEANS = torch.tensor([[[1.5, 0.0], [1.5, 2.0]], [[-1.0, 0.5], [-1.5, 3.0]]]).double()
FRACTIONS = torch.tensor([[0.4, 0.1], [0.2, 0.3]]).double()
STD = 0.5


@dataclass(frozen=True)
class PairDenoiser:
    """One normal component for each pair of labels; missing labels leave a mixture."""

    means: Tensor = MEANS
    fractions: Tensor = FRACTIONS

    def prior(self, codes: Tensor) -> Tensor:
        """Return log fractions of the components that suit the labels, shape ``(B, 4)``."""
        fits = [(codes[:, at, None] < 0) | (codes[:, at, None] == torch.arange(2)) for at in range(2)]
        kept = (fits[0][:, :, None] & fits[1][:, None, :]) * self.fractions
        return kept.flatten(1).log()

    def log_density(self, z_t: Tensor, t: float, codes: Tensor) -> Tensor:
        """Return ``log p(z_t, c)`` up to a constant."""
        variance = (1 - t) ** 2 * STD**2 + t**2
        offset = z_t[:, None] - (1 - t) * self.means.flatten(0, 1)
        return (self.prior(codes) - 0.5 * offset.square().sum(2) / variance).logsumexp(1)

    def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
        """Return Tweedie's mean."""
        prior, means = self.prior(conditions.codes), self.means.flatten(0, 1)

        def denoised_mean(z_t: Tensor, t: Tensor) -> Tensor:
            alpha, sigma = 1 - t[..., None, None], t[..., None, None]
            variance = alpha**2 * STD**2 + sigma**2
            offset = z_t[:, None] - alpha * means
            weights = (prior - 0.5 * (offset**2 / variance).sum(2)).softmax(1)
            return (weights[..., None] * (means + alpha * STD**2 / variance * offset)).sum(1)

        return denoised_mean


ORACLE = PairDenoiser()
T = torch.tensor(0.5).double()


def pairs(n: int = 24) -> tuple[Tensor, ConditionTensors]:
    """Noisy latents of cells with every pair of labels."""
    at = torch.arange(n)
    z_t = torch.randn(n, 2, generator=torch.Generator().manual_seed(0)).double()
    return z_t, ConditionTensors(torch.stack([at % 2, at // 2 % 2], dim=1), torch.zeros(n, 0))


def hidden(conditions: ConditionTensors, *columns: int) -> Tensor:
    codes = conditions.codes.clone()
    codes[:, list(columns)] = -1
    return codes


def guided_mean(z_t: Tensor, terms: list[tuple[float, Tensor]]) -> Tensor:
    """Tweedie's mean of the density that is a product of powers of known ones."""
    leaf = z_t.clone().requires_grad_()
    density = sum((weight * ORACLE.log_density(leaf, 0.5, codes)).sum() for weight, codes in terms)
    (score,) = torch.autograd.grad(density, leaf)  # type: ignore[arg-type]
    return (z_t + 0.25 * score) / 0.5


@dataclass
class Counting:
    denoiser: Denoiser
    calls: int = 0

    def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
        denoised_mean = self.denoiser.condition_on(conditions)

        def count(z_t: Tensor, t: Tensor) -> Tensor:
            self.calls += 1
            return denoised_mean(z_t, t)

        return count


def test_scales_of_one_are_the_conditional_to_the_bit() -> None:
    z_t, conditions = pairs()
    plain = sample(ORACLE, z_t, conditions)
    assert torch.equal(sample(ClassifierFreeGuide(ORACLE, (1.0, 1.0)), z_t, conditions), plain)


@pytest.mark.parametrize("at", [0, 1])
def test_a_scale_of_zero_takes_the_condition_away_to_the_bit(at: int) -> None:
    z_t, conditions = pairs()
    scales = (0.0, 1.0) if at == 0 else (1.0, 0.0)
    without = ORACLE.condition_on(conditions._replace(codes=hidden(conditions, at)))(z_t, T)
    assert torch.equal(ClassifierFreeGuide(ORACLE, scales).condition_on(conditions)(z_t, T), without)


@pytest.mark.parametrize("scales", [(2.0, 1.0), (0.5, 3.0), (0.0, 0.0)])
def test_each_scale_is_a_power_of_the_likelihood_of_its_condition(scales: tuple[float, float]) -> None:
    """p(z | c) times p(c_k | z, others)^(s_k - 1): p(c_k | z, others) is p(z, c) / p(z, others)."""
    z_t, conditions = pairs()
    terms = [(1.0, conditions.codes)]
    for at, scale in enumerate(scales):
        terms += [(scale - 1.0, conditions.codes), (1.0 - scale, hidden(conditions, at))]
    guided = ClassifierFreeGuide(ORACLE, scales).condition_on(conditions)(z_t, T)
    torch.testing.assert_close(guided, guided_mean(z_t, terms))


@pytest.mark.parametrize("scale", [1.0, 2.0, (0.5, 1.5)])
def test_the_sum_of_conditions_is_a_product_of_each_alone(scale: float | tuple[float, float]) -> None:
    z_t, conditions = pairs()
    each = scale if isinstance(scale, tuple) else (scale, scale)
    terms = [(1.0 - sum(each), hidden(conditions, 0, 1))]
    terms += [(each[0], hidden(conditions, 1)), (each[1], hidden(conditions, 0))]
    guided = ClassifierFreeGuide(ORACLE, scale, composition="additive").condition_on(conditions)(z_t, T)
    torch.testing.assert_close(guided, guided_mean(z_t, terms))


def test_the_sum_is_the_joint_where_conditions_are_independent() -> None:
    """Each condition moves a dimension of its own, so that neither is informative of the other."""
    means = torch.tensor([[[1.0, 0.5], [1.0, -1.0]], [[-2.0, 0.5], [-2.0, -1.0]]]).double()
    oracle = PairDenoiser(means, torch.tensor([[0.42, 0.18], [0.28, 0.12]]).double())
    z_t, conditions = pairs()
    summed = ClassifierFreeGuide(oracle, composition="additive").condition_on(conditions)(z_t, T)
    torch.testing.assert_close(summed, oracle.condition_on(conditions)(z_t, T))


@pytest.mark.parametrize("scale", [0.0, 0.5, 2.0])
def test_negative_guidance_divides_the_density(scale: float) -> None:
    z_t, conditions = pairs()
    away = conditions.codes.clone()
    away[:, 1] = 0
    terms = [(1.0, conditions.codes), (-scale, away), (scale, hidden(conditions, 1))]
    guided = ClassifierFreeGuide(ORACLE, away=(NegativeTarget(1, 0.0, scale),)).condition_on(conditions)(z_t, T)
    torch.testing.assert_close(guided, guided_mean(z_t, terms))


def test_negative_guidance_lowers_the_fraction_of_a_label() -> None:
    noise = torch.randn(2000, 2, generator=torch.Generator().manual_seed(1)).double()
    nothing = ConditionTensors(torch.full((2000, 2), -1), torch.zeros(2000, 0))

    def share(guide: Denoiser) -> float:
        made = sample(guide, noise, nothing)
        return float((torch.cdist(made, MEANS.flatten(0, 1)).argmin(1) < 2).double().mean())

    assert share(ORACLE) == pytest.approx(0.5, abs=0.04)
    once, twice = (share(ClassifierFreeGuide(ORACLE, away=(NegativeTarget(0, 0.0, scale),))) for scale in (1.0, 2.0))
    assert twice < once < 0.25


def test_negative_guidance_leads_away_from_numbers() -> None:
    @dataclass
    class Seen:
        values: Tensor | None = None

        def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
            kept = conditions.values.nan_to_num(0.0)
            return lambda z_t, t: kept + torch.zeros_like(z_t)

    conditions = ConditionTensors(torch.zeros(5, 0, dtype=torch.int64), torch.full((5, 1), 2.0))
    guided = ClassifierFreeGuide(Seen(), away=(NegativeTarget(0, 0.5, 3.0),)).condition_on(conditions)
    torch.testing.assert_close(guided(torch.zeros(5, 1), T), torch.full((5, 1), 2.0 - 3.0 * 0.5))


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        ({"scale": (1.0, 1.0)}, 1),
        ({"scale": (2.0, 1.0)}, 2),
        ({"scale": (2.0, 3.0)}, 3),
        ({"composition": "additive"}, 3),
        ({"away": (NegativeTarget(0, 0.0),)}, 3),
        ({"scale": (2.0, 1.0), "away": (NegativeTarget(0, 0.0),)}, 2),
        ({"scale": (2.0, 1.0), "away": (NegativeTarget(0, 0.0, 0.0),)}, 2),
    ],
)
def test_only_the_denoised_means_that_matter_are_computed(settings: dict[str, Any], calls: int) -> None:
    z_t, conditions = pairs()
    counting = Counting(ORACLE)
    ClassifierFreeGuide(counting, **settings).condition_on(conditions)(z_t, T)
    assert counting.calls == calls


def test_outside_of_the_interval_scales_are_one_without_negative_guidance() -> None:
    z_t, conditions = pairs()
    settings: dict[str, Any] = {"scale": (2.0, 3.0), "away": (NegativeTarget(0, 0.0),)}
    guide = ClassifierFreeGuide(ORACLE, interval=(0.4, 0.6), **settings).condition_on(conditions)
    t = torch.linspace(0.1, 0.9, 24).double()
    strong, plain = ClassifierFreeGuide(ORACLE, **settings).condition_on(conditions), ORACLE.condition_on(conditions)
    expected = torch.where(((t >= 0.4) & (t <= 0.6))[:, None], strong(z_t, t), plain(z_t, t))
    torch.testing.assert_close(guide(z_t, t), expected)


def test_a_cell_ignores_its_batch_mates() -> None:
    z_t, conditions = pairs(700)
    guide = ClassifierFreeGuide(ORACLE, (2.0, 0.5), away=(NegativeTarget(0, 1.0),))
    whole = sample(guide, z_t, conditions, solver_steps=3)
    rows = torch.tensor([5, 600])
    assert torch.equal(sample(guide, z_t[rows], conditions.rows(rows), solver_steps=3), whole[rows])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scale": (1.0, -1.0)}, "must be 0 or more, got -1.0; expected a finite number"),
        ({"scale": "strong"}, "must be 0 or more, got 'strong'"),
        ({"scale": True}, "must be 0 or more, got True"),
        ({"away": (NegativeTarget(0, 0.0, math.inf),)}, "must be 0 or more, got inf"),
        ({"composition": "sum"}, "must be 'joint' or 'additive', got 'sum'. 'joint' is the model as learnt"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        ClassifierFreeGuide(ORACLE, **settings)


def test_a_scale_is_needed_for_each_condition() -> None:
    with pytest.raises(SettingError, match="There are 3 guidance scales for 2 conditions; give one number, or"):
        ClassifierFreeGuide(ORACLE, (1.0, 1.0, 1.0)).condition_on(pairs()[1])
