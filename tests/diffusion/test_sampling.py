"""The sampling loop against denoisers whose paths are known exactly, and its invariants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.oracles import GaussianDenoiser, MixtureDenoiser, labels, no_conditions
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse.diffusion import (
    SOLVERS,
    DiffusionConfig,
    Euler,
    Heun,
    LatentDenoiser,
    Multistep,
    Solver,
    add_noise,
    sample,
)
from scdiffuse.nn import ConditionTensors


@pytest.fixture
def network() -> LatentDenoiser:
    """A denoiser with weights that are not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = LatentDenoiser(6, n_labels=[3], n_continuous=1, config=DiffusionConfig(width=48, depth=2))
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
        made.gain.weight.mul_(0.1)  # a path that stretches latents many times over is no path of data
    return made


def cells(n: int) -> tuple[Tensor, ConditionTensors]:
    draw = torch.Generator().manual_seed(1)
    codes = torch.randint(-1, 3, (n, 1), generator=draw)
    return torch.randn(n, 6, generator=draw), ConditionTensors(codes, torch.randn(n, 1, generator=draw))


@pytest.mark.parametrize("batch_size", [1, 100, 512, 600])
def test_the_batch_size_changes_no_bit(network: LatentDenoiser, batch_size: int) -> None:
    noise, conditions = cells(1100)
    whole = sample(network, noise, conditions, solver_steps=3)
    parts = [slice(begin, begin + batch_size) for begin in range(0, 1100, batch_size)][:12]
    for rows in parts:
        assert torch.equal(sample(network, noise[rows], conditions.rows(rows), solver_steps=3), whole[rows])


def test_the_order_of_cells_changes_no_bit(network: LatentDenoiser) -> None:
    noise, conditions = cells(700)
    order = torch.randperm(700, generator=torch.Generator().manual_seed(2))
    shuffled = sample(network, noise[order], conditions.rows(order), solver_steps=3)
    assert torch.equal(shuffled, sample(network, noise, conditions, solver_steps=3)[order])


def test_a_cell_ignores_its_batch_mates(network: LatentDenoiser) -> None:
    noise, conditions = cells(20)
    before = sample(network, noise, conditions, solver_steps=3)
    noise[1:] = 50.0
    assert torch.equal(sample(network, noise, conditions, solver_steps=3)[0], before[0])


def test_mixtures_come_back_with_their_fractions() -> None:
    centers = 2.0 * torch.eye(3)
    oracle = MixtureDenoiser(centers, 0.1, torch.tensor([0.6, 0.3, 0.1]))
    noise = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0))
    z = sample(oracle, noise, labels(torch.full((20_000,), -1)))
    distance = torch.cdist(z, centers)
    fractions = distance.argmin(1).bincount(minlength=3) / 20_000
    torch.testing.assert_close(fractions, oracle.weights, atol=0.02, rtol=0)  # measured at most 0.006
    assert float(distance.min(1).values.square().mean() / 3) == pytest.approx(0.01, rel=0.15)


def test_a_label_gives_its_component() -> None:
    oracle = MixtureDenoiser(2.0 * torch.eye(3), 0.1, torch.tensor([0.6, 0.3, 0.1]))
    z = sample(oracle, torch.randn(50, 3), labels(torch.full((50,), 2)))
    assert float((z - torch.tensor([0.0, 0.0, 2.0])).abs().max()) < 0.6


@pytest.mark.parametrize(("start", "end"), [(0.6, 0.0), (1.0, 0.3), (0.8, 0.2)])
def test_paths_may_begin_and_end_between_data_and_noise(start: float, end: float) -> None:
    oracle = GaussianDenoiser(torch.tensor([0.8, -0.5]).double(), torch.tensor([0.5, 1.7]).double())
    noise = torch.randn(9, 2).double()
    reached = sample(oracle, oracle.end(noise, start), no_conditions(9), solver_steps=64, start=start, end=end)
    torch.testing.assert_close(reached, oracle.end(noise, end), atol=2e-3, rtol=0)


def test_little_noise_leaves_cells_where_they_were() -> None:
    oracle = MixtureDenoiser(2.0 * torch.eye(3), 0.1, torch.tensor([0.6, 0.3, 0.1]))
    t = torch.tensor(0.2)
    noisy = add_noise(2.0 * torch.eye(3), torch.randn(3, 3), t)
    z = sample(oracle, noisy, labels(torch.full((3,), -1)), start=float(t))
    assert torch.equal(torch.cdist(z, oracle.centers).argmin(1), torch.arange(3))


def test_two_intervals_are_one_path() -> None:
    oracle = GaussianDenoiser(torch.tensor([0.8]), torch.tensor([0.5]))
    noise, none = torch.randn(9, 1), no_conditions(9)
    half = sample(oracle, noise, none, solver_steps=64, end=0.5)
    torch.testing.assert_close(
        sample(oracle, half, none, solver_steps=64, start=0.5), oracle.end(noise), atol=2e-3, rtol=0
    )


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_inversion_finds_the_noise_that_latents_came_from(solver: Solver) -> None:
    oracle = GaussianDenoiser(torch.tensor([0.8, -0.5]).double(), torch.tensor([0.5, 1.7]).double())
    noise = torch.randn(9, 2, generator=torch.Generator().manual_seed(0)).double()
    data, none = oracle.end(noise), no_conditions(9)
    tolerance = 0.02 if isinstance(solver, Euler) else 5e-4
    back = sample(oracle, data, none, solver=solver, solver_steps=128, start=0.0, end=1.0)
    torch.testing.assert_close(back, noise, atol=tolerance, rtol=0)
    half = sample(oracle, data, none, solver=solver, solver_steps=128, start=0.0, end=0.4)
    torch.testing.assert_close(half, oracle.end(noise, 0.4), atol=tolerance, rtol=0)


@pytest.mark.parametrize(("solver", "order"), [(Euler(), 1.0), (Heun(), 2.0), (Multistep(), 2.9)])
def test_inversion_converges_as_generation_does(solver: Solver, order: float) -> None:
    oracle = GaussianDenoiser(torch.tensor([0.8]).double(), torch.tensor([0.5]).double())
    noise = torch.linspace(-2.0, 2.0, 9).double()[:, None]
    data, none, errors = oracle.end(noise), no_conditions(9), []
    n_steps = [16, 32, 64, 128]
    for n in n_steps:
        back = sample(oracle, data, none, solver=solver, solver_steps=n, start=0.0, end=1.0)
        errors.append(float((back - noise).abs().max()))
    order_found = np.polyfit(np.log(n_steps), np.log(errors), 1)[0]
    assert -order_found == pytest.approx(order, abs=0.25)


def test_inversion_and_generation_reproduce_the_latents(network: LatentDenoiser) -> None:
    z, conditions = cells(40)
    errors = []
    for solver_steps in (8, 16, 32):
        noise = sample(network, z, conditions, solver=Heun(), solver_steps=solver_steps, start=0.0, end=1.0)
        errors.append(
            float((sample(network, noise, conditions, solver=Heun(), solver_steps=solver_steps) - z).abs().max())
        )
    assert errors[2] < 0.01 * float(z.abs().max())
    assert errors[2] < 0.4 * errors[1] < 0.16 * errors[0]


def test_no_cells_give_no_latents(network: LatentDenoiser) -> None:
    noise, conditions = cells(5)
    assert sample(network, noise[:0], conditions.rows(slice(0, 0))).shape == (0, 6)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"solver_steps": 0}, "`solver_steps` must be at least 1, got 0"),
        ({"solver_steps": 2**63}, "`solver_steps` must be at most 10,000, got 9223372036854775808"),
        ({"start": 0.2, "end": 0.2}, "`start` and `end` must differ"),
        ({"start": 1.5}, r"Times run from 1 \(noise\) to 0"),
        ({"end": -0.1}, r"Times run from 1 \(noise\) to 0"),
    ],
)
def test_settings_out_of_range_are_refused(network: LatentDenoiser, given: dict[str, Any], words: str) -> None:
    noise, conditions = cells(3)
    with pytest.raises(SettingError, match=words):
        sample(network, noise, conditions, **given)


def test_conditions_of_other_cells_are_refused(network: LatentDenoiser) -> None:
    noise, conditions = cells(3)
    with pytest.raises(SettingError, match="conditions of 2 cells for 3 latents"):
        sample(network, noise, conditions.rows(slice(0, 2)))


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
@pytest.mark.parametrize("start", [0.0, 1e-12, 1e-7])
def test_noise_too_small_to_compute_with_leaves_data_as_none_does(solver: Solver, start: float) -> None:
    latents = GaussianDenoiser(torch.tensor([1.5, -2.0]), torch.tensor([0.3, 2.0]))
    noise = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    given = latents.end(noise, start)
    found = sample(latents, given, no_conditions(20), solver=solver, solver_steps=256, start=start, end=1.0)
    torch.testing.assert_close(found, noise, atol=0.05, rtol=0.0)
