"""The settings of a model, as one tree that is saved with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from scdiffuse._core.errors import SettingError
from scdiffuse.autoencoder import AutoencoderConfig
from scdiffuse.calibration import CalibrationConfig
from scdiffuse.diffusion import DiffusionConfig
from scdiffuse.train import TrainConfig

__all__ = ["ModelConfig"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Settings of both networks and of their training."""

    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    autoencoder_training: TrainConfig = field(default_factory=lambda: TrainConfig(largest_share=1 / 3))
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    diffusion_training: TrainConfig = field(
        default_factory=lambda: TrainConfig(batch_size=512, min_steps=1_000, learning_rate=2e-3, decay=0.995)
    )
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    library_size_scores: bool = True
    """Off-switch: the diffusion sees library sizes as normal scores of their quantiles, not as standardised logs."""
    validation_fraction: float = 0.1
    """Fraction of the cells that stops the training instead of being learnt from."""
    latent: Mapping[str, Any] | None = None
    """Description of a pretrained latent space; `CellGenerator` sets it from its argument of that name."""

    def __post_init__(self) -> None:
        if not 0.0 < self.validation_fraction < 0.5:
            msg = f"`validation_fraction` must lie between 0 and 0.5, got {self.validation_fraction};"
            raise SettingError(msg + " 0.1 suits most data.")

    @property
    def obsm_key(self) -> str | None:
        """Entry of `obsm` that the latents are, if they are one."""
        return None if self.latent is None else self.latent.get("obsm_key")

    def with_latent(self, description: Mapping[str, Any]) -> Self:
        """Return the same settings for a pretrained latent space.

        Parameters
        ----------
        description
            What ``Foundation.describe`` returned.
        """
        return replace(
            self, latent=dict(description), autoencoder=replace(self.autoencoder, n_latent=description["width"])
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as plain dictionaries."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """Build the tree from plain dictionaries.

        Parameters
        ----------
        tree
            What `to_dict` returned.
        """
        return cls(
            autoencoder=AutoencoderConfig(**tree["autoencoder"]),
            autoencoder_training=TrainConfig(**tree["autoencoder_training"]),
            diffusion=DiffusionConfig(**tree["diffusion"]),
            diffusion_training=TrainConfig(**tree["diffusion_training"]),
            calibration=CalibrationConfig(**tree["calibration"]),
            library_size_scores=tree["library_size_scores"],
            validation_fraction=tree["validation_fraction"],
            latent=tree.get("latent"),
        )
