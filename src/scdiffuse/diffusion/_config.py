"""Settings of the latent diffusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scdiffuse._core.errors import SettingError

__all__ = ["DiffusionConfig", "SolverName"]

SolverName = Literal["euler", "heun", "multistep"]


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig:
    """How the distribution of latents is learnt and sampled."""

    width: int = 192
    """Width of the denoiser's hidden layers."""
    depth: int = 4
    """Residual blocks of the denoiser."""
    embedding_width: int = 64
    """Width of the embeddings of time and conditions."""
    drop_each: float = 0.1
    """Probability with which each condition of a training cell is hidden, on its own."""
    drop_all: float = 0.1
    """Probability with which all conditions of a training cell are hidden together."""
    log_noise_mean: float = 0.0
    """Mean of the logarithm of noise over signal at training times; 0 is half and half."""
    log_noise_std: float = 1.0
    """Standard deviation of the same logarithm."""
    solver: SolverName = "multistep"
    """How the path from noise to data is integrated."""
    solver_steps: int = 10
    """Steps of the solver from noise to data; most of the cost of generation is linear in it."""
    ode_steps: int = 16
    """The same where given cells are carried along the path, there and back."""

    def __post_init__(self) -> None:
        for name in ("width", "depth", "embedding_width", "solver_steps", "ode_steps"):
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
        if self.solver not in {"euler", "heun", "multistep"}:
            msg = f"`solver` must be 'euler', 'heun' or 'multistep', got {self.solver!r}."
            raise SettingError(msg)
