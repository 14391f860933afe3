"""A distilled sampler against a denoiser whose path is known exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from scdiffuse._core.errors import SettingError
from scdiffuse._core.processes import Part
from scdiffuse._core.random import Draws
from scdiffuse.diffusion import (
    DiffusionConfig,
    DistillationTask,
    Euler,
    LatentDenoiser,
    integrate_paths,
    new_distilled,
    sample,
)
from scdiffuse.nn import ConditionTensors
from scdiffuse.train import Run, TrainConfig, TrainState, train

MEANS = torch.tensor([[2.0, -1.0], [0.0, 3.0]])
N = 400


@pytest.fixture
def teacher() -> LatentDenoiser:
    """Exact for two labels with standard normal latents around their means: noise goes to noise plus mean."""
    config = DiffusionConfig(width=16, depth=1, embedding_width=8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LatentDenoiser(2, n_labels=[2], config=config)
    network.conditional_mean.weights.copy_(MEANS)
    return network.requires_grad_(requires_grad=False)


def _given(seed: int) -> tuple[Tensor, ConditionTensors]:
    draws = torch.Generator().manual_seed(seed)
    codes = torch.randint(2, (N, 1), generator=draws)
    return torch.randn(N, 2, generator=draws), ConditionTensors(codes, torch.zeros(N, 0))


def _task(teacher: LatentDenoiser, *, solver_steps: int) -> DistillationTask:
    noise, conditions = _given(0)
    paths = integrate_paths(teacher, noise, conditions, solver_steps=solver_steps)
    return DistillationTask(new_distilled(teacher), paths=paths, conditions=conditions, n_validation=100)


def test_paths_are_those_of_the_teacher(teacher: LatentDenoiser) -> None:
    noise, conditions = _given(0)
    paths = integrate_paths(teacher, noise, conditions, solver_steps=2)
    conditional_mean = MEANS[conditions.codes[:, 0]]
    half = noise + math.cos(math.pi / 4) * conditional_mean
    torch.testing.assert_close(paths, torch.stack([noise, half, noise + conditional_mean], dim=1), rtol=0, atol=5e-3)


@pytest.mark.parametrize("solver_steps", [1, 2])
def test_a_distilled_sampler_maps_noise_as_its_teacher_does(teacher: LatentDenoiser, solver_steps: int) -> None:
    task = _task(teacher, solver_steps=solver_steps)
    noise, conditions = _given(1)
    exact = noise + MEANS[conditions.codes[:, 0]]

    def distance() -> float:
        made = sample(task.module, noise, conditions, solver=Euler(), solver_steps=solver_steps)
        return float((made - exact).square().mean().sqrt())

    before = distance()
    config = TrainConfig(batch_size=100, min_steps=400, learning_rate=0.01, n_validations=4, decay=0.9)
    state = TrainState.start(task, config)
    train(state, Run(stage="student", config=config, n_steps=400, seed=0, progress=False))
    assert distance() < 0.1 < 0.4 * before
    with torch.no_grad():
        assert teacher.shift.weight.abs().max() == 0.0


def test_parts_of_the_validation_add_up(teacher: LatentDenoiser) -> None:
    task = _task(teacher, solver_steps=2)
    parts = [task.validate(Part(rank, 2)) for rank in (0, 1)]
    assert sum(parts) == pytest.approx(task.validate())
    held = float(task.loss(np.arange(N - 100, N), Draws([], [0])).detach())
    assert task.validate() == pytest.approx(held)


def test_no_steps_and_no_paths_are_refused(teacher: LatentDenoiser) -> None:
    noise, conditions = _given(0)
    with pytest.raises(SettingError, match="`solver_steps` of a distilled sampler must be at least 1, got 0; 2 suits"):
        integrate_paths(teacher, noise, conditions, solver_steps=0)
    with pytest.raises(SettingError, match="400 of 400 paths are left to validate with"):
        DistillationTask(teacher, paths=torch.zeros(N, 2, 2), conditions=conditions, n_validation=N)
