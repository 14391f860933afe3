from __future__ import annotations

import pytest
import torch
from tests.oracles import GaussianDenoiser, no_conditions

from scdiffuse.diffusion import DiffusionConfig, LatentDenoiser
from scdiffuse.diffusion._path import angle, scales
from scdiffuse.nn import ConditionTensors

CONFIG = DiffusionConfig(width=16, depth=2, embedding_width=8)


@pytest.fixture
def denoiser() -> LatentDenoiser:
    """A denoiser with weights that are not zero."""
    made = LatentDenoiser(5, n_labels=[3], n_continuous=1, config=CONFIG)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
        made.conditional_mean.weights.normal_(generator=torch.Generator().manual_seed(0))
    return made


def some_conditions(n: int) -> ConditionTensors:
    return ConditionTensors(torch.arange(n)[:, None] % 4 - 1, torch.linspace(-1, 1, n)[:, None])


def test_a_fresh_denoiser_is_exact_for_a_standard_normal() -> None:
    fresh, z_t, t = LatentDenoiser(5, config=CONFIG), torch.randn(7, 5), torch.rand(7)
    exact = GaussianDenoiser(torch.zeros(5), torch.ones(5)).condition_on(no_conditions(7))(z_t, t)
    torch.testing.assert_close(fresh.condition_on(no_conditions(7))(z_t, t), exact)


def test_denoised_means_follow_the_equation_of_the_network(denoiser: LatentDenoiser) -> None:
    z_t, t, conditions = torch.randn(6, 5), torch.rand(6), some_conditions(6)
    theta = angle(t)
    conditional_mean = denoiser.conditional_mean(conditions)
    y = z_t / scales(t).norm[:, None] - theta.cos()[:, None] * conditional_mean
    expected = conditional_mean + theta.cos()[:, None] * y + theta.sin()[:, None] * denoiser(y, theta, conditions)
    torch.testing.assert_close(denoiser.condition_on(conditions)(z_t, t), expected)


def test_one_time_for_all_is_that_time_for_each(denoiser: LatentDenoiser) -> None:
    z_t, denoised_mean = torch.randn(6, 5), denoiser.condition_on(some_conditions(6))
    torch.testing.assert_close(denoised_mean(z_t, torch.tensor(0.3)), denoised_mean(z_t, torch.full((6,), 0.3)))


def test_without_noise_the_latent_is_its_own_denoised_mean(denoiser: LatentDenoiser) -> None:
    z = torch.randn(6, 5)
    torch.testing.assert_close(denoiser.condition_on(some_conditions(6))(z, torch.tensor(0.0)), z)


def test_conditions_and_their_absence_matter(denoiser: LatentDenoiser) -> None:
    z_t, t = torch.randn(1, 5).expand(4, 5), torch.tensor(0.7)
    conditions = ConditionTensors(
        torch.tensor([[0], [1], [-1], [-1]]), torch.tensor([[0.0], [0.0], [0.0], [torch.nan]])
    )
    means = denoiser.condition_on(conditions)(z_t, t)
    assert torch.pdist(means).min() > 1e-4


def test_the_names_of_the_weights_stay_as_saved_models_have_them(denoiser: LatentDenoiser) -> None:
    names = {name.rsplit(".", 1)[0].replace("blocks.1", "blocks.0") for name in denoiser.state_dict()}
    block = {f"blocks.0.{part}" for part in ("scale", "shift", "gate", "inner", "outer")}
    conditions = {f"conditions.{part}" for part in ("labels.0", "numbers.0", "inner", "outer")}
    assert names == {
        "time.inner",
        "time.outer",
        "read",
        "write",
        "gain",
        "shift",
        "conditions",
        "conditional_mean",
        *block,
        *conditions,
    }
