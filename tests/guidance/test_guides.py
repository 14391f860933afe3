"""Guides by name: a guide that is not part of the package, wrapped around a denoiser that is exact."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from tests.oracles import GaussianDenoiser, labels, no_conditions
from torch import Tensor

from scdiffuse._core.errors import SettingError, UnknownNameError
from scdiffuse.diffusion import DenoisedMean, Denoiser, sample, scales
from scdiffuse.guidance import GUIDES, ClassifierFreeGuide, wrap_in_guides
from scdiffuse.nn import ConditionTensors

ORACLE = GaussianDenoiser(torch.tensor([1.0, -0.5]).double(), torch.tensor([0.5, 0.8]).double())


@dataclass(frozen=True)
class QuadraticGuide:
    r"""Multiply the density of clean latents by :math:`e^{-s z^2 / 2}`; exact for the oracle and ``variance``."""

    denoiser: Denoiser
    variance: float
    scale: float = 1.0

    def condition_on(self, conditions: ConditionTensors) -> DenoisedMean:
        denoised_mean = self.denoiser.condition_on(conditions)

        def guided(z_t: Tensor, t: Tensor) -> Tensor:
            alpha, sigma = scales(t[..., None])
            posterior = 1.0 / (1.0 / self.variance + alpha**2 / sigma**2)
            return denoised_mean(z_t, t) / (1.0 + self.scale * posterior)

        return guided


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GUIDES, "quadratic", QuadraticGuide)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_a_new_guide_needs_a_class_and_a_line_of_the_registry(scale: float) -> None:
    one = GaussianDenoiser(ORACLE.center[:1], ORACLE.std[:1])
    variance = float(one.std) ** 2
    exact = GaussianDenoiser(
        one.center / (1 + scale * variance), (variance / (1 + scale * variance)) ** 0.5 * one.std / one.std
    )
    noise = torch.linspace(-2.0, 2.0, 9).double()[:, None]
    guided = wrap_in_guides(one, {"quadratic": {"variance": variance, "scale": scale}})
    made = sample(guided, noise, no_conditions(9), solver_steps=128)
    torch.testing.assert_close(made, exact.end(noise), atol=1e-3, rtol=0)


@pytest.mark.usefixtures("registered")
def test_guides_are_nested_in_their_order() -> None:
    guided = wrap_in_guides(ORACLE, {"classifier_free": {"scale": 2.0}, "quadratic": {"variance": 0.25}})
    assert guided == QuadraticGuide(ClassifierFreeGuide(ORACLE, 2.0), 0.25)


def test_no_guide_leaves_the_denoiser() -> None:
    assert wrap_in_guides(ORACLE, {}) is ORACLE


def test_unknown_guides_and_settings_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"'classifier-free' is not a guide.*Did you mean 'classifier_free'\?"):
        wrap_in_guides(ORACLE, {"classifier-free": {}})
    with pytest.raises(
        SettingError, match=r"The guide 'classifier_free' got the settings .*expected some of \['scale'"
    ):
        wrap_in_guides(ORACLE, {"classifier_free": {"strength": 2.0}})
    with pytest.raises(SettingError, match="The scale of guidance must be 0 or more"):
        wrap_in_guides(ORACLE, {"classifier_free": {"scale": -2.0}}).condition_on(labels(torch.zeros(1).long()))
