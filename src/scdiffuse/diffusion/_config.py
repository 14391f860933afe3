"""Settings of the latent diffusion."""

from __future__ import annotations

from dataclasses import dataclass

from scdiffuse._core.errors import SettingError, did_you_mean
from scdiffuse._core.schema import require_types
from scdiffuse.diffusion._solvers import SOLVERS, SolverName

__all__ = ["DiffusionConfig"]


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig:
    """Settings of the denoiser, of its training and of the sampling of latents."""

    width: int = 192
    """Width of the denoiser's hidden layers."""
    depth: int = 4
    """Residual blocks of the denoiser."""
    embedding_width: int = 64
    """Width of the embeddings of time and conditions."""
    pairwise_interactions: bool = True
    """Off-switch: the conditional mean of latents has pairwise interactions of conditions beside their sum."""
    drop_each: float = 0.1
    """Probability with which each condition of a training cell is hidden, on its own."""
    drop_all: float = 0.1
    """Probability with which all conditions of a training cell are hidden together."""
    log_noise_mean: float = 0.0
    """Mean of the logarithm of noise over signal at training times; 0 is as much noise as signal."""
    log_noise_std: float = 1.0
    """Standard deviation of the same logarithm."""
    solver: SolverName = "multistep"
    """Solver of the probability-flow ODE, a key of ``SOLVERS``."""
    solver_steps: int = 10
    """Steps of the solver from noise to data; most of the cost of generation is linear in it."""
    ode_steps: int = 8
    """Steps of the solver where given cells are integrated to noise and back (ODE inversion)."""
    distillation_ode_steps: int = 16
    """Steps of Heun's rule along the whole path that a distilled sampler learns from, rounded up for each interval."""
    validation_draws: int = 8_192
    """Noisy latents that a validation is computed on, about the cost of 5 training steps."""

    def __post_init__(self) -> None:
        require_types(self)
        for name in ("width", "depth", "embedding_width", "solver_steps", "ode_steps", "distillation_ode_steps"):
            if getattr(self, name) < 1:
                msg = f"`{name}` must be at least 1, got {getattr(self, name)}."
                raise SettingError(msg)
        for name in ("drop_each", "drop_all"):
            if not 0.0 <= getattr(self, name) < 1.0:
                msg = f"`{name}` is a probability below 1, got {getattr(self, name)}; 0.1 suits most data."
                raise SettingError(msg)
        if not self.log_noise_std > 0.0:
            msg = f"`log_noise_std` must be positive, got {self.log_noise_std}; 1.0 suits most data."
            raise SettingError(msg)
        if self.validation_draws < 2:
            msg = f"`validation_draws` must be at least 2, got {self.validation_draws}; 8192 suits most data."
            raise SettingError(msg)
        if self.solver not in SOLVERS:
            msg = f"`solver` must be one of {list(SOLVERS)}, got {self.solver!r}."
            raise SettingError(msg + did_you_mean(self.solver, SOLVERS))
