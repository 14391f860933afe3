"""The compiled denoiser on the CPU: the numbers of the network, for all cells alike."""

from __future__ import annotations

import pytest
import torch

from scdiffuse.diffusion import DiffusionConfig, LatentDenoiser, sample
from scdiffuse.nn import ConditionTensors

T = torch.tensor(0.6)
KINDS = {"none": ([], 0), "labels": ([11], 0), "numbers": ([], 2), "both": ([4, 3], 1)}


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def network(request: pytest.FixtureRequest) -> LatentDenoiser:
    """A denoiser of the default size with weights that are not zero."""
    n_labels, n_continuous = request.param
    made = LatentDenoiser(41, n_labels=n_labels, n_continuous=n_continuous, config=DiffusionConfig(depth=2))
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in (*made.parameters(), made.conditional_mean.weights):
            weight.add_(0.05 * torch.randn(weight.shape, generator=draw))
    return made


def conditions_of(network: LatentDenoiser, n: int) -> ConditionTensors:
    draw = torch.Generator().manual_seed(1)
    codes = [torch.randint(-1, labels, (n, 1), generator=draw) for labels in network.n_labels]
    values = torch.randn(n, network.n_continuous, generator=draw)
    values[torch.rand(values.shape, generator=draw) < 0.3] = torch.nan
    return ConditionTensors(torch.cat([torch.zeros(n, 0, dtype=torch.int64), *codes], dim=1), values)


@torch.no_grad()
def test_compiled_means_are_those_of_the_network(network: LatentDenoiser) -> None:
    z_t, conditions = torch.randn(100, 41, generator=torch.Generator().manual_seed(2)), conditions_of(network, 100)
    denoised_mean = network.condition_on(conditions)
    compiled = denoised_mean(z_t, T)
    torch.testing.assert_close(compiled, denoised_mean(z_t, T.expand(100)), atol=1e-5, rtol=0)
    assert torch.equal(compiled, denoised_mean(z_t, T))


@torch.no_grad()
def test_a_cell_ignores_the_conditions_of_its_batch_mates(network: LatentDenoiser) -> None:
    noise, conditions = torch.randn(700, 41, generator=torch.Generator().manual_seed(2)), conditions_of(network, 700)
    whole = sample(network, noise, conditions, solver_steps=2)
    draw = torch.Generator().manual_seed(3)
    for n in (1, 7, 40, 513):
        cells = torch.randperm(700, generator=draw)[:n]
        assert torch.equal(sample(network, noise[cells], conditions.rows(cells), solver_steps=2), whole[cells])


def test_gradients_pass_where_they_are_requested(network: LatentDenoiser) -> None:
    z_t = torch.randn(3, 41, requires_grad=True)
    network.condition_on(conditions_of(network, 3))(z_t, T).sum().backward()  # type: ignore[no-untyped-call]
    assert z_t.grad is not None
