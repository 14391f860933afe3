"""Classifier guidance against mixtures whose posterior is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from tests.oracles import GaussianDenoiser, MixtureDenoiser, labels, no_conditions
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse.diffusion import angle, sample, scales
from scdiffuse.guidance import ClassifierFreeGuide, ClassifierGuide, with_targets
from scdiffuse.nn import ConditionTensors

MEANS = torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, -1.0]]).double()
FRACTIONS = torch.tensor([0.5, 0.3, 0.2]).double()
ORACLE = MixtureDenoiser(MEANS, 0.3, FRACTIONS)


@dataclass(frozen=True)
class MixtureClassifier:
    """What noisy latents say of the component, exactly; ``given`` holds the share of a label in each component."""

    given: Tensor
    """Shape ``(3, K)``."""
    means: Tensor = MEANS
    std: float = 0.3
    fractions: Tensor = FRACTIONS

    def log_prob(self, u: Tensor, theta: Tensor, target: Tensor, *, away: bool = False) -> Tensor:
        """Weigh components by what is left of them in the noise."""
        share = theta.cos().square()[..., None] * torch.ones_like(u[:, :1])
        spread = share * self.std**2 + 1.0 - share
        parts = (u @ self.means.T - 0.5 * share * self.means.square().sum(1)) / spread + self.fractions.log()
        found = (
            (parts.log_softmax(1)[:, :, None] + self.given.log()).logsumexp(1).gather(1, target.long()[:, None])[:, 0]
        )
        return torch.log(-torch.expm1(found)) if away else found


EXACT = MixtureClassifier(torch.eye(3).double())
HALF = MixtureClassifier(torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]).double())
"""A label that is seen in every component."""


def cells(n: int, *, target: Tensor | float, scale: float = 1.0) -> tuple[Tensor, ConditionTensors]:
    """Noise, and a target for a guide over cells without conditions."""
    noise = torch.randn(n, 2, generator=torch.Generator().manual_seed(0)).double()
    wanted = torch.as_tensor(target, dtype=torch.float64).expand(n)[:, None]
    own = labels(torch.full((n,), -1))._replace(values=torch.zeros(n, 0).double())
    return noise, with_targets(own, wanted, torch.full((n, 1), scale))


def test_a_certain_label_gives_the_denoiser_of_its_component() -> None:
    z_t, conditions = cells(40, target=torch.arange(40) % 3)
    guide, own = (
        ClassifierGuide(ORACLE, (EXACT,)).condition_on(conditions),
        ORACLE.condition_on(labels(torch.arange(40) % 3)),
    )
    for t in (0.05, 0.3, 0.7, 0.95, 1.0):
        torch.testing.assert_close(guide(z_t, torch.tensor(t).double()), own(z_t, torch.tensor(t).double()))


def test_a_label_seen_everywhere_gives_the_posterior_mixture() -> None:
    """By Bayes, guiding by p(y | z_t, t) turns the fractions of the components into their fractions given y."""
    z_t, conditions = cells(40, target=1.0)
    posterior = MixtureDenoiser(MEANS, 0.3, FRACTIONS * HALF.given[:, 1] / (FRACTIONS * HALF.given[:, 1]).sum())
    own = posterior.condition_on(labels(torch.full((40,), -1)))
    guide = ClassifierGuide(ORACLE, (HALF,)).condition_on(conditions)
    for t in torch.tensor([0.1, 0.5, 0.9, 1.0]).double():
        torch.testing.assert_close(guide(z_t, t), own(z_t, t))


def test_guided_cells_are_those_of_the_posterior() -> None:
    z_t, conditions = cells(6000, target=1.0)
    made = sample(ClassifierGuide(ORACLE, (HALF,)), z_t, conditions, solver_steps=64)
    nearest = torch.cdist(made, MEANS).argmin(1)
    posterior = FRACTIONS * HALF.given[:, 1] / (FRACTIONS * HALF.given[:, 1]).sum()
    torch.testing.assert_close(nearest.bincount(minlength=3) / 6000, posterior, atol=0.02, rtol=0, check_dtype=False)
    for at in range(3):
        torch.testing.assert_close(made[nearest == at].mean(0), MEANS[at], atol=0.06, rtol=0)
        assert float(made[nearest == at].std(0).mean()) == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize("scale", [0.0, 0.5, 2.0, 5.0])
def test_a_scale_is_a_power_of_the_density(scale: float) -> None:
    """Tweedie: mean = (z_t + sigma^2 score) / alpha, with the score of p(z_t) p(y | z_t)^s by autograd."""
    z_t, conditions = cells(30, target=1.0, scale=scale)
    t = torch.tensor(0.6).double()
    alpha, sigma = scales(t)
    leaf = z_t.clone().requires_grad_()
    variance = alpha**2 * 0.3**2 + sigma**2
    free = (-0.5 * ((leaf[:, None] - alpha * MEANS) ** 2).sum(2) / variance + FRACTIONS.log()).logsumexp(1)
    u = angle(t).cos() * leaf / scales(t).norm
    said = HALF.log_prob(u, angle(t), torch.ones(30))
    (score,) = torch.autograd.grad((free + scale * said).sum(), leaf)
    guided = ClassifierGuide(ORACLE, (HALF,)).condition_on(conditions)(z_t, t)
    torch.testing.assert_close(guided, (z_t + sigma**2 * score) / alpha)


def test_the_label_of_a_normal_gives_a_known_normal() -> None:
    """N(0, 1), and a number y = z + noise of variance v: the posterior is N(y / (1 + v), v / (1 + v))."""

    class Number:
        def log_prob(self, u: Tensor, theta: Tensor, target: Tensor, *, away: bool = False) -> Tensor:
            return -0.5 * (target - u[:, 0]) ** 2 / (1.0 - theta.cos() ** 2 + 0.5)

    plain = GaussianDenoiser(torch.zeros(1).double(), torch.ones(1).double())
    noise = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0)).double()
    none = no_conditions(4000)._replace(values=torch.zeros(4000, 0).double())
    asked = with_targets(none, torch.full((4000, 1), 1.5), torch.ones(4000, 1))
    made = sample(ClassifierGuide(plain, (Number(),)), noise, asked, solver_steps=64)
    assert float(made.mean()) == pytest.approx(1.0, abs=0.04)
    assert float(made.var()) == pytest.approx(1 / 3, rel=0.06)


def test_several_classifiers_multiply() -> None:
    z_t, _ = cells(20, target=0.0)
    own = labels(torch.full((20,), -1))._replace(values=torch.zeros(20, 0).double())
    asked = with_targets(own, torch.tensor([[1.0, 0.0]]).expand(20, 2), torch.tensor([[1.0, 2.0]]).expand(20, 2))
    t = torch.tensor(0.5).double()
    both = ClassifierGuide(ORACLE, (HALF, EXACT)).condition_on(asked)(z_t, t)
    mean = ORACLE.condition_on(own)(z_t, t)
    for classifier, target, scale in ((HALF, 1.0, 1.0), (EXACT, 0.0, 2.0)):
        alone = with_targets(own, torch.full((20, 1), target), torch.full((20, 1), scale))
        mean = (
            mean + ClassifierGuide(ORACLE, (classifier,)).condition_on(alone)(z_t, t) - ORACLE.condition_on(own)(z_t, t)
        )
    torch.testing.assert_close(both, mean)


def test_away_from_a_label_leaves_the_mixture_of_the_others() -> None:
    z_t, conditions = cells(40, target=0.0)
    others = MixtureDenoiser(MEANS, 0.3, torch.tensor([1e-30, 0.6, 0.4]).double()).condition_on(
        labels(torch.full((40,), -1))
    )
    guide = ClassifierGuide(ORACLE, (EXACT,), (True,)).condition_on(conditions)
    t = torch.tensor(0.7).double()
    torch.testing.assert_close(guide(z_t, t), others(z_t, t), rtol=1e-4, atol=1e-4)


def test_it_works_together_with_condition_free_guidance() -> None:
    z_t, _ = cells(30, target=0.0)
    codes = torch.arange(30) % 3
    own = labels(codes)._replace(values=torch.zeros(30, 0).double())
    asked = with_targets(own, torch.ones(30, 1), torch.ones(30, 1))
    t = torch.tensor(0.5).double()
    free = ClassifierFreeGuide(ORACLE, 2.0)
    expected = (
        free.condition_on(own)(z_t, t)
        - ORACLE.condition_on(own)(z_t, t)
        + ClassifierGuide(ORACLE, (HALF,)).condition_on(asked)(z_t, t)
    )
    torch.testing.assert_close(ClassifierGuide(free, (HALF,)).condition_on(asked)(z_t, t), expected)


def test_no_target_and_scale_zero_are_no_guide() -> None:
    noise, asked = cells(20, target=math.nan)
    _, weak = cells(20, target=1.0, scale=0.0)
    plain = sample(ORACLE, noise, labels(torch.full((20,), -1)))
    for conditions in (asked, weak):
        assert torch.equal(sample(ClassifierGuide(ORACLE, (HALF,)), noise, conditions), plain)


def test_each_cell_has_its_own_target_and_ignores_its_mates() -> None:
    noise, asked = cells(700, target=torch.arange(700) % 2)
    whole = sample(ClassifierGuide(ORACLE, (HALF,)), noise, asked, solver_steps=3)
    rows = torch.tensor([3, 699, 512])
    assert torch.equal(
        sample(ClassifierGuide(ORACLE, (HALF,)), noise[rows], asked.rows(rows), solver_steps=3), whole[rows]
    )
    noise[1:] = 50.0
    assert torch.equal(sample(ClassifierGuide(ORACLE, (HALF,)), noise, asked, solver_steps=3)[0], whole[0])


def test_outside_of_the_interval_nothing_is_guided() -> None:
    z_t, asked = cells(30, target=1.0)
    window = ClassifierGuide(ORACLE, (HALF,), interval=(0.3, 0.6)).condition_on(asked)
    always, plain = (
        ClassifierGuide(ORACLE, (HALF,)).condition_on(asked),
        ORACLE.condition_on(labels(torch.full((30,), -1))),
    )
    t = torch.linspace(0.1, 0.9, 30).double()
    expected = torch.where(((t >= 0.3) & (t <= 0.6))[:, None], always(z_t, t), plain(z_t, t))
    torch.testing.assert_close(window(z_t, t), expected)
    assert torch.equal(window(z_t, t[0]), plain(z_t, t[0]))


@pytest.mark.parametrize("interval", [(0.5, 0.5), (-0.1, 0.5), (0.5, 1.1), (0.5,), "late", (0.1, "late")])
def test_an_interval_out_of_range_is_refused(interval: tuple[float, float]) -> None:
    with pytest.raises(SettingError, match=r"from a lower to a higher time within 0 to 1, got .* Give `\(0, 1\)`"):
        ClassifierGuide(ORACLE, (HALF,), interval=interval)
