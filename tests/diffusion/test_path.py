from __future__ import annotations

import math

import pytest
import torch

from scdiffuse.diffusion import add_noise, scales
from scdiffuse.diffusion._path import angle, time


def test_time_runs_from_data_to_noise() -> None:
    z, noise = torch.randn(3, 2), torch.randn(3, 2)
    assert torch.equal(add_noise(z, noise, torch.tensor(0.0)), z)
    assert torch.equal(add_noise(z, noise, torch.tensor(1.0)), noise)


def test_each_cell_has_its_own_time() -> None:
    z, noise = torch.zeros(2, 3), torch.ones(2, 3)
    assert add_noise(z, noise, torch.tensor([0.25, 0.5])).tolist() == [[0.25] * 3, [0.5] * 3]


def test_angles_turn_latents_of_unit_variance() -> None:
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    at, theta = scales(t), angle(t)
    torch.testing.assert_close(at.alpha / at.norm, theta.cos())
    torch.testing.assert_close(at.sigma / at.norm, theta.sin())
    assert (float(theta[0]), float(theta[-1])) == (0.0, math.pi / 2)


def test_time_of_an_angle_is_the_time_it_came_from() -> None:
    t = torch.linspace(0, 1, 101)
    assert [time(theta) for theta in angle(t).tolist()] == pytest.approx(t.tolist(), abs=1e-6)
