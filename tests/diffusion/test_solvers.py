"""Solvers against denoisers whose paths are known exactly."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
import torch
from tests.oracles import GaussianDenoiser, MixtureDenoiser, labels, no_conditions
from torch import Tensor

from scdiffuse._core.errors import SettingError, UnknownNameError
from scdiffuse.diffusion import (
    SOLVERS,
    DiffusionConfig,
    Euler,
    Heun,
    Multistep,
    PastVelocity,
    Solver,
    Step,
    Velocity,
    sample,
    solver_named,
)

STEPS = (24, 48, 96, 192)


def measured_order(solver: Solver) -> float:
    """Slope of the logarithm of the error over that of the number of steps."""
    oracle = GaussianDenoiser(torch.tensor([0.8, -0.5]).double(), torch.tensor([0.5, 1.7]).double())
    noise = torch.tensor([[1.3, -0.4], [0.2, 2.0]]).double()
    exact = oracle.end(noise)
    errors = [
        float((sample(oracle, noise, no_conditions(2), solver=solver, solver_steps=n) - exact).abs().max())
        for n in STEPS
    ]
    return -float(np.polyfit(np.log(STEPS), np.log(errors), 1)[0])


@pytest.mark.parametrize(("solver", "order"), [(Euler(), 1), (Heun(), 2), (Multistep(2), 2), (Multistep(3), 2)])
def test_solvers_converge_at_their_order(solver: Solver, order: int) -> None:
    assert measured_order(solver) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(
    ("solver", "bound"), [(Euler(), 0.08), (Heun(), 0.02), (Multistep(2), 0.04), (Multistep(), 0.01)]
)
def test_sixteen_steps_give_the_variance_of_the_data(solver: Solver, bound: float) -> None:
    std = torch.linspace(0.3, 2.0, 8).double()
    noise = torch.randn(4000, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = sample(
        GaussianDenoiser(torch.zeros(8).double(), std), noise, no_conditions(4000), solver=solver, solver_steps=16
    )
    assert float(((z / noise).abs() / std - 1).abs().max()) < bound


def test_a_third_velocity_halves_the_error_of_a_mixture() -> None:
    oracle = MixtureDenoiser(2.0 * torch.eye(3).double(), 0.3, torch.ones(3).double() / 3)
    noise = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).double()
    nothing = labels(torch.full((200,), -1))
    exact = sample(oracle, noise, nothing, solver=Heun(), solver_steps=500)
    two, three = (sample(oracle, noise, nothing, solver=Multistep(k), solver_steps=16) for k in (2, 3))
    assert float((three - exact).abs().mean()) < 0.6 * float((two - exact).abs().mean())


@pytest.mark.parametrize("solver", [Euler(), Heun(), Multistep()])
def test_one_step_is_exact_for_a_standard_normal(solver: Solver) -> None:
    noise = torch.randn(5, 3).double()
    oracle = GaussianDenoiser(torch.zeros(3).double(), torch.ones(3).double())
    torch.testing.assert_close(sample(oracle, noise, no_conditions(5), solver=solver, solver_steps=1), noise)


@pytest.mark.parametrize("solver", [Euler(), Heun(), Multistep()])
def test_solvers_call_the_denoiser_as_often_as_they_say_and_never_at_angle_zero(solver: Solver) -> None:
    called: list[float] = []

    def velocity(y: Tensor, theta: float) -> Tensor:
        called.append(theta)
        return -y

    step = solver.step(torch.ones(1, 1), (0.5, 0.0), velocity, past=())
    assert len(called) == solver.n_calls
    assert min(called) > 0
    assert step.y.shape == (1, 1)


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
def test_call_angles_are_those_of_the_calls(solver: Solver) -> None:
    angles = torch.linspace(1.0, 0.0, 5).double()
    called: set[float] = set()

    def velocity(y: Tensor, theta: float) -> Tensor:
        called.add(theta)
        return -y

    y, past = Step(torch.ones(1, 1), ())
    for interval in pairwise(angles.tolist()):
        y, past = solver.step(y, interval, velocity, past=past)
    assert called == set(solver.call_angles(angles).tolist())


@dataclass(frozen=True)
class Midpoint(Solver):
    """A solver that is not part of the package."""

    n_calls: ClassVar[int] = 2

    def step(
        self, y: Tensor, interval: tuple[float, float], velocity: Velocity, *, past: tuple[PastVelocity, ...]
    ) -> Step:
        now, to = interval
        half = 0.5 * (to - now)
        return Step(y + (to - now) * velocity(y + half * velocity(y, now), now + half), ())


def test_a_new_solver_needs_a_class_and_a_line_of_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOLVERS, "midpoint", Midpoint())
    assert measured_order(solver_named(DiffusionConfig(solver="midpoint").solver)) == pytest.approx(2, abs=0.15)


def test_solvers_are_found_by_name() -> None:
    assert solver_named("heun") == Heun()
    with pytest.raises(UnknownNameError, match=r"'multi_step' is not a solver.*Did you mean 'multistep'\?"):
        solver_named("multi_step")


@pytest.mark.parametrize("n_velocities", [0, 5])
def test_a_number_of_velocities_out_of_range_is_refused(n_velocities: int) -> None:
    with pytest.raises(SettingError, match="`n_velocities` must lie between 1 and 4"):
        Multistep(n_velocities)
